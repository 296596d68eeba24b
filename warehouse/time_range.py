"""Which stretch of time a total is about. Pure: ``now`` is passed in, in ms since the epoch.

Ranges are [start, end), UTC. A named period ends with the hour or day that ``now`` is in, so
it always lies on hour boundaries and the hourly projection of the ledger can answer it.
"""

from typing import NamedTuple

from schemas.limits import DAY, HOUR

LAST = 4_102_444_800_000
"""2100-01-01: beyond what can have happened, and within every time type of the engine."""

PERIODS: dict[str, tuple[int, int]] = {"24h": (HOUR, 24), "7d": (DAY, 7), "30d": (DAY, 30), "90d": (DAY, 90)}
"""Name -> (unit in ms, how many units, the one that is running included)."""
DEFAULT_PERIOD = "30d"
CUSTOM = "custom"


class TimeRange(NamedTuple):
    """[start, end) in ms since the epoch, UTC; empty when they are equal."""

    start: int
    end: int

    @property
    def on_hours(self) -> bool:
        """Whether both ends lie on an hour, so that sums by the hour can answer it."""
        return self.start % HOUR == 0 and self.end % HOUR == 0

    def clamped(self) -> "TimeRange":
        """The part of it that the engine's time types can hold; nothing can lie outside."""
        return TimeRange(min(max(self.start, 0), LAST), min(max(self.end, 0), LAST))


EVER = TimeRange(0, LAST)


def named(period: str, now: int) -> TimeRange:
    """The range of a named period. Raises KeyError for a name that is not in PERIODS."""
    unit, count = PERIODS[period]
    end = (now // unit + 1) * unit
    return TimeRange(end - count * unit, end)


def today(now: int) -> TimeRange:
    """The day that ``now`` is in."""
    start = now // DAY * DAY
    return TimeRange(start, start + DAY)


def since(start: int, end: int | None, now: int) -> TimeRange:
    """A range that the caller gave; without an end it runs to the end of this hour, since an
    event's own time may be a few minutes ahead of the clock.
    """
    return TimeRange(start, (now // HOUR + 1) * HOUR if end is None else end)
