"""What the overview shows, assembled from rows of the ledger. Pure; money in pico-cents, times in ms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from schemas.money import parse_cents
from warehouse.dashboard_rows import PendingRow, RankedRow, RankKey, SeriesRow, TotalsRow, VerdictsRow
from warehouse.rows import EventRow
from warehouse.time_range import TimeRange
from web import formats, periods
from web.views import series_chart
from web.views.event_lines import EventLine, event_lines

BY: Mapping[str, RankKey] = {"action": "action", "customer": "customer_id", "agent": "agent_id"}
"""What revenue over time may be stacked by."""


class Figure(NamedTuple):
    """A number with what it was before. ``value`` and ``hover`` are text; ``direction``: up, down, flat or ''."""

    label: str
    value: str
    hover: str = ""
    change: str = ""
    direction: str = ""
    note: str = ""


class RankedLine(NamedTuple):
    """A line of a ranking. ``share``: of the largest, in percent, as the bar behind it shows. ``href``: its page."""

    name: str
    detail: str
    events: int
    total: int
    share: int
    href: str = ""


class Compared(NamedTuple):
    """The sums of a period, and of the period before up to the same moment."""

    label: str
    note: str
    now: TotalsRow
    before: TotalsRow


class OverviewRows(NamedTuple):
    """The rows that an overview is made of."""

    revenue: Sequence[Compared]
    period: Compared
    series: Sequence[SeriesRow]
    customers: Sequence[RankedRow]
    agents: Sequence[RankedRow]
    actions: Sequence[RankedRow]
    recent: Sequence[EventRow]
    names: Mapping[str, str]
    verdicts: VerdictsRow
    pending: PendingRow


class Overview(NamedTuple):
    """``by``: what the chart is stacked by, of BY."""

    period: str
    period_name: str
    by: str
    revenue: list[Figure]
    activity: list[Figure]
    chart: series_chart.SeriesChart
    customers: list[RankedLine]
    agents: list[RankedLine]
    actions: list[RankedLine]
    recent: list[EventLine]

    @property
    def is_empty(self) -> bool:
        """True before the first event."""
        return not self.recent


def assemble(period: str, time: TimeRange, by: str, rows: OverviewRows) -> Overview:
    """Return the overview of a period."""
    shown = rows.names if by == "customer" else {}
    return Overview(
        period=period,
        period_name=periods.PERIODS[period],
        by=by,
        revenue=[_revenue(one) for one in rows.revenue],
        activity=_activity(rows),
        chart=series_chart.draw(rows.series, periods.buckets(period, time), periods.bucket(period), shown),
        customers=_lines(rows.customers, rows.names, "agent", "/customers/"),
        agents=_lines(rows.agents, {}, "customer", "/agents?agent="),
        actions=_lines(rows.actions, {}, "customer", "/actions?action="),
        recent=event_lines(rows.recent, rows.names),
    )


def _revenue(one: Compared) -> Figure:
    now, before = parse_cents(one.now.total), parse_cents(one.before.total)
    change, direction = formats.change(now, before)
    note = one.note if change else "nothing to compare with yet"
    return Figure(one.label, formats.dollars(now), formats.cents(now), change, direction, note)


def _activity(rows: OverviewRows) -> list[Figure]:
    now, before = rows.period.now, rows.period.before
    events, agents = formats.change(now.events, before.events), formats.change(now.agents, before.agents)
    verdicts = rows.verdicts
    ended = verdicts.succeeded + verdicts.failed + verdicts.expired
    awaited = parse_cents(rows.pending.total)
    return [
        Figure("Events", formats.grouped(now.events), "", *events),
        Figure("Active agents", formats.grouped(now.agents), "", *agents),
        Figure("Success rate", formats.percent(verdicts.succeeded, ended), note=_verdicts(verdicts.succeeded, ended)),
        Figure(
            "Pending outcomes", formats.dollars(awaited), formats.cents(awaited), note=_pending(rows.pending.outcomes)
        ),
    ]


def _verdicts(succeeded: int, ended: int) -> str:
    return f"{formats.grouped(succeeded)} of {formats.grouped(ended)} verdicts" if ended else "no verdicts yet"


def _pending(outcomes: int) -> str:
    if outcomes == 0:
        return "none open"
    return "if it succeeds" if outcomes == 1 else f"if all {formats.grouped(outcomes)} succeed"


def _lines(rows: Sequence[RankedRow], names: Mapping[str, str], peer: str, page: str) -> list[RankedLine]:
    totals = [parse_cents(row.total) for row in rows]
    largest = max([total for row, total in zip(rows, totals, strict=True) if not row.others], default=0)
    lines = []
    for row, total in zip(rows, totals, strict=True):
        if row.others:
            lines.append(RankedLine(f"{formats.grouped(row.others)} more", "", row.events, total, 0))
            continue
        detail = f"{formats.grouped(row.peers)} {peer}{'' if row.peers == 1 else 's'}"
        share = max(total, 0) * 100 // largest if largest > 0 else 0
        href = page + quote(row.name, safe="")
        lines.append(RankedLine(names.get(row.name, row.name), detail, row.events, total, share, href))
    return lines
