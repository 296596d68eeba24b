"""The parameters of a statement: its month, the accepted time that it is as of, and its format. Pure."""

import re

from ingest.problems import Invalid
from ingest.reads import params
from ingest.reads.params import Given
from schemas.limits import TIMESTAMP_AHEAD
from schemas.months import MonthError, month_of, month_range
from warehouse.time_range import TimeRange

SETTLING = 5_000
"""ms. A statement is as of a time at least this long ago: clocks of gateways and brokers differ, and a command that is
appended later must not get an earlier accepted time."""
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "pdf": "application/pdf"}
"""Media types by format."""
FORMATS = tuple(MEDIA_TYPES)


def month(given: Given, now: int) -> tuple[str, TimeRange]:
    """Return the month, by default the current one, and its time. Raises Invalid, also for a month to come."""
    found = given.get("month", month_of(now))
    try:
        time = month_range(found)
    except MonthError as error:
        raise Invalid(f"month {error}") from error
    if time.start > now:
        raise Invalid("month must not be in the future")
    return found, TimeRange(*time)


def as_of(given: Given, time: TimeRange, now: int) -> int:
    """Return the accepted time that the statement is as of. Raises Invalid."""
    latest = now - SETTLING
    found = params.time(given, "as_of")
    if found is None:
        return latest
    if found > latest:
        raise Invalid(f"as_of must be at least {SETTLING // 1000} s in the past")
    if found < time.start - TIMESTAMP_AHEAD:  # an event may be ahead of its accepted time by that much
        raise Invalid("as_of must not be before the month")
    return found


def format_of(given: Given, accept: str) -> str:
    """Return the format that is asked for: by name, else the first media type in Accept that there is one for."""
    if (named := params.choice(given, "format", FORMATS)) is not None:
        return named
    for part in accept.split(","):
        wanted = re.split(r"\s*;", part.strip(), maxsplit=1)[0].lower()
        for name, media in MEDIA_TYPES.items():
            if wanted == media:
                return name
    return FORMATS[0]
