"""The response of POST /api/admin/pricing/replay, assembled from sums. Pure; money is exact."""

from collections.abc import Iterable

import msgspec

from schemas.money import format_cents, parse_cents
from schemas.objects import Number, iso, number
from warehouse.replay import Replayed, ReplayRow
from warehouse.time_range import TimeRange

CURRENCY = "usd"
WHOLE = ReplayRow(
    part="all",
    name="",
    why="",
    events=0,
    repriced=0,
    refused=0,
    waiting=0,
    actual="0",
    replayed="0",
    waiting_actual="0",
    waiting_replayed="0",
)
"""The sums of no events."""


class ReplaySums(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Sums of all events, or of one action, customer or day, or of the ``others`` without a row of their own."""

    action: str | None = None
    customer_id: str | None = None
    day: str | None = None
    others: int | None = None
    events: int
    repriced: int
    refused: int
    actual_cents: Number
    replayed_cents: Number
    difference_cents: Number


class RefusedEvents(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Events that a changed price cannot charge: how many, why, and what they did cost."""

    action: str
    reason: str
    quantity: str | None = None
    events: int
    actual_cents: Number


class WaitingOutcomes(msgspec.Struct, frozen=True):
    """Pending events that have not ended; what they add if all succeed. It is in no other sum."""

    outcomes: int
    actual_cents: Number
    replayed_cents: Number


class NotReplayed(msgspec.Struct, frozen=True):
    """Charges of registered outcomes, which have prices of their own."""

    registered_outcomes: int
    charged_cents: Number


class ReplayResponse(msgspec.Struct, frozen=True):
    """What the events of a time cost, and what they would cost with the changes."""

    from_: str = msgspec.field(name="from")
    to: str
    customer_id: str | None
    total: ReplaySums
    actions: list[ReplaySums]
    customers: list[ReplaySums]
    days: list[ReplaySums]
    refused: list[RefusedEvents]
    pending: WaitingOutcomes
    not_replayed: NotReplayed
    currency: str = CURRENCY


def response(time: TimeRange, customer: str, found: Replayed) -> ReplayResponse:
    """Return the response of a replay."""
    whole = whole_of(found)
    return ReplayResponse(
        from_=iso(time.start),
        to=iso(time.end),
        customer_id=customer or None,
        total=_sums(whole),
        actions=[_sums(row, action=row.name) for row in part(found, "action")] + _others(whole, found, "action"),
        customers=[_sums(row, customer_id=row.name) for row in part(found, "customer")]
        + _others(whole, found, "customer"),
        days=[_sums(row, day=row.name) for row in days(found)],
        refused=[_refused(row) for row in part(found, "refused")],
        pending=WaitingOutcomes(whole.waiting, _cents(whole.waiting_actual), _cents(whole.waiting_replayed)),
        not_replayed=NotReplayed(found.registered.charges, _cents(found.registered.total)),
    )


def part(found: Replayed, name: str) -> list[ReplayRow]:
    """Return the rows of one part; the largest difference first."""
    return [row for row in found.parts if row.part == name]


def days(found: Replayed) -> list[ReplayRow]:
    """Return the days, the earliest first."""
    return sorted(part(found, "day"), key=lambda row: row.name)


def whole_of(found: Replayed) -> ReplayRow:
    """Return the sums of all events."""
    return next(iter(part(found, "all")), WHOLE)


def others_of(whole: ReplayRow, rows: Iterable[ReplayRow]) -> tuple[int, int, int, int, int]:
    """Return the events, repriced, refused, actual and replayed (pico-cents) that no row has."""
    rows = list(rows)
    return (
        whole.events - sum(row.events for row in rows),
        whole.repriced - sum(row.repriced for row in rows),
        whole.refused - sum(row.refused for row in rows),
        parse_cents(whole.actual) - sum(parse_cents(row.actual) for row in rows),
        parse_cents(whole.replayed) - sum(parse_cents(row.replayed) for row in rows),
    )


def _others(whole: ReplayRow, found: Replayed, name: str) -> list[ReplaySums]:
    events, repriced, refused, actual, replayed = others_of(whole, part(found, name))
    if not events:
        return []
    return [
        ReplaySums(
            others=events,
            events=events,
            repriced=repriced,
            refused=refused,
            actual_cents=number(format_cents(actual)),
            replayed_cents=number(format_cents(replayed)),
            difference_cents=number(format_cents(replayed - actual)),
        )
    ]


def _sums(
    row: ReplayRow, action: str | None = None, customer_id: str | None = None, day: str | None = None
) -> ReplaySums:
    return ReplaySums(
        action=action,
        customer_id=customer_id,
        day=day,
        events=row.events,
        repriced=row.repriced,
        refused=row.refused,
        actual_cents=_cents(row.actual),
        replayed_cents=_cents(row.replayed),
        difference_cents=number(format_cents(parse_cents(row.replayed) - parse_cents(row.actual))),
    )


def _refused(row: ReplayRow) -> RefusedEvents:
    reason, _, quantity = row.why.partition(":")
    return RefusedEvents(
        action=row.name,
        reason=reason,
        quantity=quantity or None,
        events=row.events,
        actual_cents=_cents(row.actual),
    )


def _cents(text: str) -> msgspec.Raw:
    return number(format_cents(parse_cents(text)))
