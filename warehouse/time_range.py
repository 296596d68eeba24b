"""Time ranges of totals. Pure: ``now`` is passed in, in ms since the epoch.

Ranges are [start, end), UTC. A named period ends with the hour or day that ``now`` is in, so
it always lies on hour boundaries and the hourly projection of the ledger can answer it.
"""

from typing import NamedTuple

from schemas.limits import DAY, HOUR

LAST = 4_102_444_800_000
"""2100-01-01: later than any event, and within every time type of the engine."""

PERIODS: dict[str, tuple[int, int]] = {"24h": (HOUR, 24), "7d": (DAY, 7), "30d": (DAY, 30), "90d": (DAY, 90)}
"""Name -> (unit in ms, number of units including the current one)."""
DEFAULT_PERIOD = "30d"
CUSTOM = "custom"


class TimeRange(NamedTuple):
    """[start, end) in ms since the epoch, UTC; empty if they are equal."""

    start: int
    end: int

    @property
    def on_hours(self) -> bool:
        """True if both ends lie on an hour, so that hourly sums can answer it."""
        return self.start % HOUR == 0 and self.end % HOUR == 0

    @property
    def whole_days(self) -> "TimeRange":
        """The whole days (UTC) of the range, of which projections have the sums; empty at its end if there are none."""
        first, last = -(-self.start // DAY) * DAY, self.end // DAY * DAY
        return TimeRange(first, last) if first < last else TimeRange(self.end, self.end)

    def clamped(self) -> "TimeRange":
        """Return the part of the range that the engine's time types can hold; no event lies outside."""
        return TimeRange(min(max(self.start, 0), LAST), min(max(self.end, 0), LAST))


EVER = TimeRange(0, LAST)


def day_parameters(time: TimeRange, name: str = "") -> dict[str, int]:
    """Return the parameters that queries written for a projection by day take: ``start``, ``first``, ``last``, ``end``.

    The whole days of the range are [first, last). ``name`` goes before each name.
    """
    time = time.clamped()
    days = time.whole_days
    return {f"{name}start": time.start, f"{name}first": days.start, f"{name}last": days.end, f"{name}end": time.end}


def named(period: str, now: int) -> TimeRange:
    """Return the range of a named period. Raises KeyError for a name that is not in PERIODS."""
    unit, count = PERIODS[period]
    end = (now // unit + 1) * unit
    return TimeRange(end - count * unit, end)


def today(now: int) -> TimeRange:
    """Return the day that ``now`` is in."""
    start = now // DAY * DAY
    return TimeRange(start, start + DAY)


def since(start: int, end: int | None, now: int) -> TimeRange:
    """Return a range that the caller gave.

    Without an end it runs to the end of this hour, since an event's own time may be a few minutes ahead
    of the clock.
    """
    return TimeRange(start, (now // HOUR + 1) * HOUR if end is None else end)
