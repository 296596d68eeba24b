"""Parsing of callers' times: ISO 8601 with an offset, to milliseconds since the epoch; and calendar months. Pure.

The inverse is schemas.objects.iso.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

# fromisoformat accepts much more (week dates, blanks for T); only this form may pass
_SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?", re.ASCII | re.IGNORECASE)

_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:", re.ASCII)
_SECONDS = {f"{second:02d}": second * 1000 for second in range(60)}
_ENDS = {"Z": 0, **{f".{ms:03d}Z": ms for ms in range(1000)}}
_OFFSET = re.compile(r"[+-](\d\d):?(\d\d)?", re.ASCII)


class TimeError(ValueError):
    """A text that is not a time; the message says what it must be."""


def parse(text: str) -> int:
    """Return the milliseconds of an ISO 8601 time with Z or an offset. Raises TimeError."""
    # the form of nearly all times; those of a batch or a file share minutes
    second, end = _SECONDS.get(text[17:19]), _ENDS.get(text[19:])
    if second is not None and end is not None:
        minute = _minute(text[:17])
        if minute is not None:
            return minute + second + end
    return _parse(text)


def _parse(text: str) -> int:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise TimeError("must be an ISO 8601 time such as 2026-04-26T12:00:00Z")
    if match[3] is None:
        raise TimeError("must have a time zone: Z or an offset such as +02:00")
    if (offset := _OFFSET.fullmatch(match[3])) and (int(offset[1]) > 23 or int(offset[2] or 0) > 59):
        raise TimeError(f"must have an offset from -23:59 to +23:59, not {match[3]}")
    try:
        # convert to UTC here: an offset may move the time outside the supported years
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TimeError(f"is not a time that exists ({error})") from None
    return (moment - EPOCH) // MILLISECOND


@lru_cache(maxsize=4096)
def _minute(text: str) -> int | None:
    """Return the milliseconds of ``2026-04-26T12:00:`` in UTC, or None if it is not that or there is no such minute."""
    if not _MINUTE.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC) - EPOCH) // MILLISECOND
    except ValueError:
        return None
