"""What one cell of a usage file says: whole numbers, names, times. Pure.

A CSV cell is text and an empty one is absent; a cell of JSON lines is JSON text and null is
absent. A cell that says something else than its field can hold raises BadCell: it is never
rounded, cut or guessed, since it would be billed.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from schemas.limits import MAX_NAME, MAX_TOKENS

WHOLE = re.compile(r"-?[0-9]{1,20}")
EPOCH = re.compile(r"[0-9]{1,20}(\.[0-9]{1,12})?")
MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,12}))?)?\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?"
)
START = datetime(1970, 1, 1, tzinfo=UTC)


class BadCell(ValueError):
    """A cell that cannot be imported: ``column`` ('' when it is the whole row) and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class Cells(Protocol):
    """How one file format writes a cell down."""

    def text(self, cell: Any) -> str:
        """Raises ValueError when it is no text."""
        ...

    def whole(self, cell: Any) -> int:
        """Raises ValueError when it is no whole number."""
        ...

    def moment(self, cell: Any, zone: tzinfo) -> int:
        """UTC milliseconds. Raises ValueError when it is no time."""
        ...

    def json(self, cell: Any) -> Any:
        """The cell as a value for metadata, its digits untouched."""
        ...


class CsvCells:
    """Cells of text."""

    def text(self, cell: str) -> str:
        return cell

    def whole(self, cell: str) -> int:
        return whole(cell.strip())

    def moment(self, cell: str, zone: tzinfo) -> int:
        return moment(cell.strip(), zone)

    def json(self, cell: str) -> Any:
        return cell


class JsonCells:
    """Cells of JSON text (msgspec.Raw)."""

    def text(self, cell: msgspec.Raw) -> str:
        try:
            return msgspec.json.decode(cell, type=str)
        except msgspec.MsgspecError:
            raise ValueError(f"{_shown(cell)} is not a string") from None

    def whole(self, cell: msgspec.Raw) -> int:
        return whole(bytes(cell).decode())

    def moment(self, cell: msgspec.Raw, zone: tzinfo) -> int:
        text = bytes(cell).decode()
        return moment(self.text(cell) if text.startswith('"') else text, zone)

    def json(self, cell: msgspec.Raw) -> Any:
        return cell


def _shown(cell: msgspec.Raw) -> str:
    text = bytes(cell).decode()
    return text if len(text) <= 40 else text[:40] + "…"


def whole(text: str) -> int:
    """A token count: 0 to 10^12. Raises ValueError for anything else, such as 2400.0."""
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    number = int(text)
    if not 0 <= number <= MAX_TOKENS:
        raise ValueError(f"{number} is not from 0 to {MAX_TOKENS}")
    return number


def name(text: str) -> str:
    """1 to 256 characters without control characters. Raises ValueError for anything else."""
    if not 1 <= len(text) <= MAX_NAME:
        raise ValueError(f"must have 1 to {MAX_NAME} characters")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text):
        raise ValueError("must not contain control characters")
    return text


def moment(text: str, zone: tzinfo) -> int:
    """UTC milliseconds of an ISO 8601 time (one without offset is in ``zone``) or of an epoch
    number of s, ms, µs or ns, told apart by size. What is finer than 1 ms is cut off."""
    if EPOCH.fullmatch(text):
        return _epoch(text)
    found = MOMENT.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:40]!r} is not a time such as 2026-01-31T12:00:00Z")
    day, clock, fraction, offset = found.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{clock or '00:00'}")
        # in UTC, where an offset may put it outside of the years that there are
        at = naive.replace(tzinfo=_zone(offset) if offset else zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a time that exists") from None
    return (at - START) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])


def _epoch(text: str) -> int:
    number = Decimal(text)
    for limit, to_ms in ((10**11, Decimal(1000)), (10**14, Decimal(1)), (10**17, Decimal("0.001"))):
        if number < limit:
            return int(number * to_ms)
    return int(number * Decimal("0.000001"))


def _zone(offset: str) -> tzinfo:
    if offset in ("Z", "z", "UTC"):
        return UTC
    return datetime.strptime(offset if len(offset) > 3 else offset + "00", "%z").tzinfo or UTC


def zone_of(text: str) -> tzinfo:
    """The time zone of ``--tz``: an IANA name or an offset. Raises ValueError."""
    if re.fullmatch(r"Z|UTC|[+-]\d{2}(:?\d{2})?", text):
        return _zone(text)
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r} is neither an offset such as +02:00 nor a known time zone") from None
