"""Customers as the owner sees them: all in a list, and one in full. Pure; money in pico-cents, times in ms."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.ids import outcome_id
from schemas.money import parse_cents
from warehouse.account_rows import CustomerRow
from warehouse.dashboard_rows import SeriesRow
from warehouse.rows import EventRow, OutcomeRow, UsageSumRow
from warehouse.time_range import TimeRange
from web import formats, periods
from web.exact_json import ms_of, parsed, pico_of
from web.views import series_chart
from web.views.event_lines import EventLine, event_lines
from web.views.overview_view import Figure, RankedLine

COLOURED = 6
"""Actions with a colour of their own in the chart."""


class CustomerLine(NamedTuple):
    """A customer in the list. Changes are (text, direction); ``last``: its last event, None for never."""

    id: str
    name: str
    test: bool
    metered: bool
    events: int
    events_change: tuple[str, str]
    total: int
    total_change: tuple[str, str]
    last: int | None


class Profile(NamedTuple):
    """What is set about a customer."""

    id: str
    name: str
    test: bool
    metered: bool
    external_ids: Mapping[str, str]
    created: int
    on_empty: str = "charge"
    """What happens to an event that prepaid credit does not cover: ``charge`` or ``refuse``."""


class OpenOutcomeLine(NamedTuple):
    """An open outcome. ``task``: the customer's name for it, or its id; ``price``: what a success adds."""

    id: str
    event_id: int
    task: str
    agent: str
    price: int
    expires: int


class CustomerRows(NamedTuple):
    """The rows that a customer's page is made of. ``voided``: reasons by event; ``pending`` in pico-cents."""

    actions: Sequence[UsageSumRow]
    agents: Sequence[UsageSumRow]
    before: Sequence[UsageSumRow]
    series: Sequence[SeriesRow]
    pending: int
    outcomes: Sequence[OutcomeRow]
    events: Sequence[EventRow]
    voided: Mapping[int, str]


class CustomerView(NamedTuple):
    period: str
    period_name: str
    figures: list[Figure]
    chart: series_chart.SeriesChart
    actions: list[RankedLine]
    agents: list[RankedLine]
    outcomes: list[OpenOutcomeLine]
    events: list[EventLine]


def customer_lines(rows: Sequence[CustomerRow], last: Mapping[str, int]) -> list[CustomerLine]:
    """Return the list of customers."""
    lines = []
    for row in rows:
        total = parse_cents(row.total)
        lines.append(
            CustomerLine(
                id=row.id,
                name=row.name,
                test=row.test,
                metered=row.metered,
                events=row.events,
                events_change=formats.change(row.events, row.events_before),
                total=total,
                total_change=formats.change(total, parse_cents(row.total_before)),
                last=last.get(row.id),
            )
        )
    return lines


def profile(shown: Mapping[str, Any]) -> Profile:
    """Return a customer as the API shows it."""
    return Profile(
        id=shown["customer_id"],
        name=shown["name"] or "",
        test=shown["test"],
        metered=shown["metered"],
        external_ids=shown["external_ids"],
        created=ms_of(shown["created_at"]),
        on_empty=shown.get("on_empty", "charge"),
    )


def assemble(period: str, time: TimeRange, rows: CustomerRows, total: str = "Revenue") -> CustomerView:
    """Return the page of one customer; ``total``: what its charges are called."""
    return CustomerView(
        period=period,
        period_name=periods.PERIODS[period],
        figures=_figures(rows, total),
        chart=series_chart.draw(rows.series, periods.buckets(period, time), periods.bucket(period)),
        actions=_ranked(rows.actions),
        agents=_ranked(rows.agents),
        outcomes=[_outcome(row) for row in rows.outcomes],
        events=event_lines(rows.events, {}, rows.voided),
    )


def _figures(rows: CustomerRows, label: str) -> list[Figure]:
    total, before = _total(rows.actions), _total(rows.before)
    events, events_before = (sum(row.events for row in some) for some in (rows.actions, rows.before))
    tokens, tokens_before = (sum(int(row.tokens) for row in some) for some in (rows.actions, rows.before))
    change, direction = formats.change(total, before)
    return [
        Figure(label, formats.dollars(total), formats.cents(total), change, direction),
        Figure("Events", formats.grouped(events), "", *formats.change(events, events_before)),
        Figure("Tokens", formats.short(tokens), formats.grouped(tokens), *formats.change(tokens, tokens_before)),
        Figure("Pending outcomes", formats.dollars(rows.pending), formats.cents(rows.pending), note="if all succeed"),
    ]


def _total(rows: Sequence[UsageSumRow]) -> int:
    return sum(parse_cents(row.total) for row in rows)


def _ranked(rows: Sequence[UsageSumRow]) -> list[RankedLine]:
    largest = max((parse_cents(row.total) for row in rows if not row.others), default=0)
    lines = []
    for row in rows:
        total = parse_cents(row.total)
        name = f"{formats.grouped(row.others)} more" if row.others else row.name
        share = max(total, 0) * 100 // largest if largest > 0 and not row.others else 0
        lines.append(RankedLine(name, f"{formats.short(int(row.tokens))} tokens", row.events, total, share))
    return lines


def _outcome(row: OutcomeRow) -> OpenOutcomeLine:
    if row.kind == "registered":
        price = pico_of(parsed(row.detail)["price_on_success_cents"])
    else:
        price = parse_cents(row.price_bonus)
    id = outcome_id(row.event_id)
    return OpenOutcomeLine(id, row.event_id, row.task_id or id, row.agent_id, price, row.expires_at)
