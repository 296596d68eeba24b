"""Calendar months, UTC: the periods of statements and invoices. Pure."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


class MonthError(ValueError):
    """A text that is not a month; the message says what it must be."""


class MonthRange(NamedTuple):
    """[start, end) in ms since the epoch, UTC."""

    start: int
    end: int


def month_range(month: str) -> MonthRange:
    """Return the time of a month such as ``2026-11``. Raises MonthError."""
    match = _MONTH.fullmatch(month)
    if match is None:
        raise MonthError("must be a month from 2000-01 to 2099-12, such as 2026-11")
    first = datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)
    return month_around(int(first.timestamp()) * 1000)


def month_around(at: int) -> MonthRange:
    """Return the time of the month that a time, ms since the epoch, is in."""
    day = datetime.fromtimestamp(at // 1000, UTC)
    first = datetime(day.year, day.month, 1, tzinfo=UTC)
    following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
    return MonthRange(int(first.timestamp()) * 1000, int(following.timestamp()) * 1000)


def month_of(at: int) -> str:
    """Return the month that a time, ms since the epoch, is in."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m}"


def month_after(month: str) -> str:
    """Return the next month."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12}-{number % 12 + 1:02d}"
