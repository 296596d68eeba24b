"""The periods that pages and dashboard data show. Pure: ``now`` is passed in, in ms."""

from schemas.limits import DAY, HOUR
from warehouse.dashboard_rows import Bucket
from warehouse.time_range import DEFAULT_PERIOD, TimeRange
from web.web_refusals import invalid

PERIODS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
"""Name -> what it is called."""


def checked(given: str | None) -> str:
    """Return a period's name, or the default one. Raises Refusal for any other."""
    if given is not None and given not in PERIODS:
        raise invalid(f"period must be one of {', '.join(PERIODS)}, not {given[:100]!r}")
    return given or DEFAULT_PERIOD


def bucket(period: str) -> Bucket:
    """Return in what a period is divided."""
    return "hour" if period == "24h" else "day"


def buckets(period: str, time: TimeRange) -> range:
    """Return the beginnings in ms of the period's hours or days."""
    return range(time.start, time.end, HOUR if bucket(period) == "hour" else DAY)


def before(time: TimeRange, now: int) -> TimeRange:
    """Return the same stretch of the period before, up to the same moment of it.

    So today until noon is compared with yesterday until noon.
    """
    length = time.end - time.start
    return TimeRange(time.start - length, min(now, time.end) - length)
