"""A chart of money over time, stacked by name, drawn on the server as SVG. Pure, in integers.

The SVG has only the bars and fills its place; labels are text beside it, so that they keep their size at any width.
The same numbers stand below it in a table, which is what a screen reader reads and the tooltip shows
(web/static/charts.js).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from schemas.money import PICO, parse_cents
from warehouse.dashboard_rows import Bucket, SeriesRow
from web.formats import dollars_in_full

SLOT, BAR = 100, 72
"""Width of a bucket and of its bar, in units of the picture."""
HEIGHT = 2400
LEAST = 12
"""Height of the smallest bar that is not nothing."""
TICKS = 5
STEPS = (1, 2, 5, 10)
OTHERS = "all others"
NAMELESS: Mapping[str, str] = {}


class Segment(NamedTuple):
    """A rectangle of the picture; ``series`` numbers its colour from 1, 0 is all others."""

    x: int
    y: int
    width: int
    height: int
    series: int


class ChartSeries(NamedTuple):
    """A name with its colour's number and its sum in pico-cents."""

    name: str
    series: int
    total: int


class ChartBucket(NamedTuple):
    """A row of the table: ``amounts`` in pico-cents, in the order of the series."""

    start: int
    label: str
    events: int
    total: int
    amounts: tuple[int, ...]


class SeriesChart(NamedTuple):
    """``scale``: labels of the grid from top to bottom. ``ticks``: labels below, evenly spread."""

    width: int
    height: int
    segments: list[Segment]
    series: list[ChartSeries]
    buckets: list[ChartBucket]
    scale: list[str]
    ticks: list[str]
    bucket: Bucket

    @property
    def is_empty(self) -> bool:
        return not any(row.total for row in self.buckets)


def draw(
    rows: Iterable[SeriesRow], starts: Sequence[int], bucket: Bucket, shown: Mapping[str, str] = NAMELESS
) -> SeriesChart:
    """Return the chart of these rows over these buckets (ms). Names are stacked by their sum, all others on top.

    ``shown``: what a name is shown as, if not as itself.
    """
    amounts: dict[str, dict[int, int]] = {}
    events = dict.fromkeys(starts, 0)
    for row in rows:
        amounts.setdefault(row.name, {})[row.start] = parse_cents(row.total)
        events[row.start] += row.events
    sums = {name: sum(by_start.values()) for name, by_start in amounts.items()}
    names = sorted(sums, key=lambda name: (name == "", -sums[name], name))
    series = [
        ChartSeries(shown.get(name, name) if name else OTHERS, number if name else 0, sums[name])
        for number, name in enumerate(names, 1)
    ]
    buckets = []
    for start in starts:
        parts = tuple(amounts[name].get(start, 0) for name in names)
        buckets.append(ChartBucket(start, _label(start, bucket), events[start], sum(parts), parts))
    top = round_up(max((sum(max(part, 0) for part in row.amounts) for row in buckets), default=0))
    return SeriesChart(
        width=len(starts) * SLOT,
        height=HEIGHT,
        segments=_segments(buckets, [one.series for one in series], top),
        series=series,
        buckets=buckets,
        scale=[dollars_in_full(top).removesuffix(".00"), dollars_in_full(top // 2).removesuffix(".00"), "$0"],
        ticks=_ticks([row.label for row in buckets]),
        bucket=bucket,
    )


def round_up(pico: int) -> int:
    """Return the end of a scale: the next 1, 2 or 5 times a power of ten, in pico-cents; $1 for nothing."""
    if pico <= 0:
        return 100 * PICO
    power: int = 10 ** (len(str(pico)) - 1)
    return next(step * power for step in STEPS if step * power >= pico)


def _segments(buckets: Sequence[ChartBucket], colours: Sequence[int], top: int) -> list[Segment]:
    segments = []
    for index, row in enumerate(buckets):
        x, so_far, drawn = index * SLOT + (SLOT - BAR) // 2, 0, 0
        for amount, colour in zip(row.amounts, colours, strict=True):
            # rounded from the floor up, so that the whole bar is as exact as each part of it
            so_far += max(amount, 0)
            reached = so_far * HEIGHT // top
            if drawn == 0 < so_far:
                reached = max(reached, LEAST)
            if reached > drawn:
                segments.append(Segment(x, HEIGHT - reached, BAR, reached - drawn, colour))
                drawn = reached
    return segments


def _ticks(labels: Sequence[str]) -> list[str]:
    """Return a few labels that are the same distance apart; the first bucket always has one."""
    step = max(1, -(-len(labels) // TICKS))
    return [label if index % step == 0 else "" for index, label in enumerate(labels)]


def _label(start: int, bucket: Bucket) -> str:
    at = datetime.fromtimestamp(start // 1000, UTC)
    return f"{at:%H:%M}" if bucket == "hour" else f"{at.day} {at:%b}"
