"""Webhook endpoints with how they do, and the attempts at one. Pure; times in ms."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from warehouse.rows import DeliveryRow
from warehouse.webhook_health import HealthRow
from web import formats
from web.exact_json import ms_of, ms_or_none
from web.views.overview_view import Figure

NO_HEALTH = HealthRow(webhook=0)
SHOWN_BY_EVENT = ("meter.created", "event.rejected")
"""Types whose entry has a page among the events."""
SUFFERED = ("retry", "dead")


class WebhookLine(NamedTuple):
    """An endpoint. ``state``: healthy, failing, idle (no attempt lately), inactive or disabled (``why``).

    ``rate``: how many of the attempts were delivered, as text.
    """

    id: int
    customer_id: str
    customer: str
    url: str
    events: list[str]
    state: str
    why: str
    test: bool
    created: int
    rotated: int | None
    rate: str
    health: HealthRow

    @property
    def is_active(self) -> bool:
        """True if it can be sent to, so that a replay is possible."""
        return self.state not in ("inactive", "disabled")


class AttemptLine(NamedTuple):
    """An attempt at a delivery, or a gap. ``event``: the id of the event it is about, if it has a page.

    ``said``: why it failed, or what the endpoint answered. ``again``: the delivery that can be replayed, or ''.
    """

    at: int
    type: str
    event: int | None
    attempt: int
    outcome: str
    status: int | None
    latency: int
    said: str
    next_at: int | None
    replay: bool
    again: str
    since: int
    until: int


def webhook_lines(
    shown: Iterable[Mapping[str, Any]], health: Mapping[int, HealthRow], names: Mapping[str, str]
) -> list[WebhookLine]:
    """Return endpoints of GET /api/admin/webhooks as lines. ``names``: of customers."""
    return [webhook_line(one, health.get(one["id"], NO_HEALTH), names) for one in shown]


def webhook_line(shown: Mapping[str, Any], health: HealthRow, names: Mapping[str, str]) -> WebhookLine:
    """Return one endpoint."""
    customer = shown["customer_id"]
    return WebhookLine(
        id=shown["id"],
        customer_id=customer,
        customer=names.get(customer, customer),
        url=shown["url"],
        events=shown["events"],
        state=_state(shown, health),
        why=shown["disabled"] or "",
        test=shown["test"],
        created=ms_of(shown["created_at"]),
        rotated=ms_or_none(shown["rotated_at"]),
        rate=formats.percent(health.delivered, health.attempts),
        health=health,
    )


def figures(line: WebhookLine) -> list[Figure]:
    """Return how an endpoint did in the last day."""
    health = line.health
    waiting = health.attempts - health.delivered - health.dead
    return [
        Figure("Attempts", formats.grouped(health.attempts), note="in 24 hours"),
        Figure(
            "Delivered", line.rate, note=f"{formats.grouped(health.delivered)} of {formats.grouped(health.attempts)}"
        ),
        Figure("Failed, to be retried", formats.grouped(waiting), note=f"{formats.grouped(health.dead)} given up"),
        Figure("Latency", f"{health.latency} ms" if health.delivered else formats.NOTHING, note="median"),
    ]


def attempt_line(row: DeliveryRow) -> AttemptLine:
    """Return an attempt as a line of a table."""
    number = row.event_id.removeprefix("evt_")
    is_event = row.type in SHOWN_BY_EVENT and number.isascii() and number.isdigit()
    return AttemptLine(
        at=row.at,
        type=row.type,
        event=int(number) if is_event else None,
        attempt=row.attempt,
        outcome="gap" if row.gap else row.outcome,
        status=row.status,
        latency=row.latency,
        said=(row.reason if row.gap else row.error or row.answer) or "",
        next_at=row.next_at,
        replay=row.replay,
        again="" if row.gap else row.delivery_id,
        since=row.since,
        until=row.until,
    )


def _state(shown: Mapping[str, Any], health: HealthRow) -> str:
    if shown["disabled"]:
        return "disabled"
    if not shown["active"]:
        return "inactive"
    if not health.attempts:
        return "idle"
    return "failing" if health.last_outcome in SUFFERED else "healthy"
