"""Agents or actions of a period, ranked, and one of them in full. Pure; money in pico-cents."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from schemas.money import parse_cents
from warehouse.activity_rows import ComparedRow, ComponentRow
from warehouse.dashboard_rows import SeriesRow
from warehouse.rows import EventRow
from warehouse.time_range import TimeRange
from web import formats, periods
from web.views import series_chart
from web.views.event_lines import EventLine, event_lines
from web.views.overview_view import Figure, RankedLine
from web.views.price_terms import LABELS

NOTHING_BEFORE = "nothing to compare with yet"
NO_ROW = ComparedRow("", events=0, charges=0, token_sum="0", total="0", before="0", succeeded=0, ended=0)


class RankedName(NamedTuple):
    """A line of the table. ``rate``: the success rate as text, ``ended`` the verdicts that it is of."""

    name: str
    total: int
    change: str
    direction: str
    events: int
    tokens: int
    rate: str
    ended: int


class ComponentLine(NamedTuple):
    """A component of an action's price: units less voided ones, what they earned, and the share of all in percent."""

    label: str
    units: str
    total: int
    share: str


class OneName(NamedTuple):
    """An agent or action in full. ``peers``: its actions, or its agents."""

    name: str
    figures: list[Figure]
    chart: series_chart.SeriesChart
    customers: list[RankedLine]
    peers: list[RankedLine]
    components: list[ComponentLine]
    recent: list[EventLine]

    @property
    def is_empty(self) -> bool:
        """True for a name that no event ever had, as far as the ledger knows."""
        return not self.recent and not self.customers


class OneRows(NamedTuple):
    """The rows that an agent or action is made of."""

    sums: Sequence[ComparedRow]
    series: Sequence[SeriesRow]
    customers: Sequence[ComparedRow]
    peers: Sequence[ComparedRow]
    components: Sequence[ComponentRow]
    recent: Sequence[EventRow]
    voided: Mapping[int, str]
    names: Mapping[str, str]


def ranked(rows: Sequence[ComparedRow]) -> list[RankedName]:
    """Return the lines of the table."""
    lines = []
    for row in rows:
        total = parse_cents(row.total)
        change, direction = formats.change(total, parse_cents(row.before))
        lines.append(
            RankedName(
                name=row.name,
                total=total,
                change=change,
                direction=direction,
                events=row.events,
                tokens=int(row.token_sum),
                rate=formats.percent(row.succeeded, row.ended),
                ended=row.ended,
            )
        )
    return lines


def one(name: str, period: str, time: TimeRange, rows: OneRows, peer_page: str) -> OneName:
    """Return an agent or action in full. ``peer_page``: the address of a peer's page, but for its name."""
    return OneName(
        name=name,
        figures=_figures(rows.sums[0] if rows.sums else NO_ROW),
        chart=series_chart.draw(rows.series, periods.buckets(period, time), periods.bucket(period)),
        customers=_lines(rows.customers, rows.names, "/customers/"),
        peers=_lines(rows.peers, {}, peer_page),
        components=_components(rows.components),
        recent=event_lines(rows.recent, rows.names, rows.voided),
    )


def _figures(row: ComparedRow) -> list[Figure]:
    total = parse_cents(row.total)
    change, direction = formats.change(total, parse_cents(row.before))
    verdicts = f"{formats.grouped(row.succeeded)} of {formats.grouped(row.ended)} verdicts"
    return [
        Figure(
            "Revenue",
            formats.dollars(total),
            formats.cents(total),
            change,
            direction,
            note="vs the period before" if change else NOTHING_BEFORE,
        ),
        Figure("Events", formats.grouped(row.events)),
        Figure("Tokens", formats.short(int(row.token_sum)), formats.grouped(int(row.token_sum))),
        Figure(
            "Success rate",
            formats.percent(row.succeeded, row.ended),
            note=verdicts if row.ended else "no verdicts yet",
        ),
    ]


def _lines(rows: Sequence[ComparedRow], names: Mapping[str, str], page: str) -> list[RankedLine]:
    here = [row for row in rows if row.events or row.charges or parse_cents(row.total)]
    totals = [parse_cents(row.total) for row in here]
    largest = max(totals, default=0)
    return [
        RankedLine(
            name=names.get(row.name, row.name),
            detail="",
            events=row.events,
            total=total,
            share=max(total, 0) * 100 // largest if largest > 0 else 0,
            href=page + quote(row.name, safe=""),
        )
        for row, total in zip(here, totals, strict=True)
    ]


def _components(rows: Sequence[ComponentRow]) -> list[ComponentLine]:
    totals = [parse_cents(row.total) for row in rows]
    whole = sum(totals)
    return [
        ComponentLine(
            LABELS.get(row.component, row.component), _units(row.units), total, formats.percent(max(total, 0), whole)
        )
        for row, total in zip(rows, totals, strict=True)
    ]


def _units(text: str) -> str:
    whole, dot, part = text.partition(".")
    return f"{formats.grouped(int(whole))}{dot}{part}"
