"""Reads the time in a cell. Pure: the current time and the zone are passed in.

Nothing is guessed: a number is an epoch only if it lies between 2001 and a year ahead, a spreadsheet's
serial date only with --excel-dates, and a local time that a clock change skips or repeats is refused,
unless --dst says which of the two is meant.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from schemas.limits import DAY

Dst = Literal["earlier", "later"]
FIRST = 978_307_200_000
"""2001-01-01 in UTC milliseconds."""
YEAR = 366 * DAY
PER_MS = (("s", Decimal(1000)), ("ms", Decimal(1)), ("µs", Decimal("0.001")), ("ns", Decimal("0.000001")))
NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,15})?", re.ASCII)
SHORTENED = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+", re.ASCII)
MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?)?\s*(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
START = datetime(1970, 1, 1, tzinfo=UTC)
SERIAL_START = datetime(1899, 12, 30)  # noqa: DTZ001 - local, in the zone of --tz
SHORT = len("2026-01-31 12:00:00Z")
SECONDS = {f"{second:02d}": second * 1000 for second in range(60)}
KEPT = 4096
"""Maximum cached minutes with their UTC time: the rows of a file mostly share the same ones."""


class Times:
    """Reader of times. ``now``: UTC ms by the server's clock; ``zone``: of times without an offset."""

    def __init__(self, now: int, zone: tzinfo = UTC, dst: Dst | None = None, serials: bool = False) -> None:
        self._zone, self._dst, self._serials = zone, dst, serials
        self._last = now + YEAR
        self._minutes: dict[tuple[str, str | None, str | None], int] = {}
        self._prefixes: dict[str, tuple[int, bool]] = {}
        """Of short texts less their seconds, such as ``2026-01-31 12:00:Z``: UTC ms, and whether there is no offset."""
        self.bare_dates = 0
        """Number of dates without an hour that were read, as midnight."""
        self.local = 0
        """Number of times without an offset that were read."""

    def read(self, text: str) -> int:
        """Return UTC milliseconds; finer fractions are cut off. Raises ValueError with the reason if it is
        not a time."""
        if len(text) <= SHORT:
            known, second_ms = self._prefixes.get(text[:17] + text[19:]), SECONDS.get(text[17:19])
            if known is not None and second_ms is not None:
                self.local += known[1]
                return known[0] + second_ms
        found = MOMENT.fullmatch(text)
        if found is None:
            return self._number(text)
        day, minute, second, fraction, offset = found.groups()
        at = self._minutes.get((day, minute, offset))
        if at is None:
            at = self._minute(text, day, minute, offset)
            if len(self._minutes) >= KEPT:
                self._minutes.clear()
            self._minutes[day, minute, offset] = at
        self.bare_dates += minute is None
        self.local += offset is None
        if second is not None:
            if second > "59":
                raise ValueError(f"{text[:40]!r} is not a time that exists")
            if len(text) <= SHORT:
                if len(self._prefixes) >= KEPT:
                    self._prefixes.clear()
                self._prefixes[text[:17] + text[19:]] = at, offset is None
            at += int(second) * 1000
        return at + int(fraction.ljust(3, "0")[:3]) if fraction else at

    def of_date(self, day: date) -> int:
        """Return midnight of a date in the zone."""
        return self.read(day.isoformat())

    def _minute(self, text: str, day: str, minute: str | None, offset: str | None) -> int:
        try:
            naive = datetime.fromisoformat(f"{day}T{minute or '00:00'}")
            zone = _offset(offset) if offset else self._zone
            # in UTC, since an offset may put the time outside the supported years
            at = naive.replace(tzinfo=zone, fold=int(self._dst == "later")).astimezone(UTC)
            if offset is None:
                self._check_clock_change(text, naive, at)
        except Skipped:
            raise
        except (ValueError, OverflowError):
            raise ValueError(f"{text[:40]!r} is not a time that exists") from None
        return (at - START) // timedelta(milliseconds=1)

    def _check_clock_change(self, text: str, naive: datetime, at: datetime) -> None:
        first, second = (naive.replace(tzinfo=self._zone, fold=fold).utcoffset() for fold in (0, 1))
        if first == second:
            return
        if at.astimezone(self._zone).replace(tzinfo=None) != naive:
            raise Skipped(f"{text[:40]!r} does not exist in {self._zone}: the clocks skip it")
        if self._dst is None:
            raise Skipped(
                f"{text[:40]!r} occurs twice in {self._zone}, where the clocks go back: use times with an"
                " offset, or --dst earlier or --dst later"
            )

    def _number(self, text: str) -> int:
        if not NUMBER.fullmatch(text):
            if SHORTENED.fullmatch(text):
                raise ValueError(f"{text[:40]!r} is not a time: a spreadsheet has shortened it")
            raise ValueError(f"{text[:40]!r} is not a time such as 2026-01-31T12:00:00Z")
        number = Decimal(text)
        for _, to_ms in PER_MS:
            at = int(number * to_ms)
            if FIRST <= at <= self._last:
                return at
        serial = self._serial(number)
        if serial is not None and self._serials:
            return self._minute_of_serial(text, serial)
        raise ValueError(f"{text[:40]!r} is not a Unix time from 2001 to a year from now{self._hint(text, serial)}")

    def _serial(self, number: Decimal) -> datetime | None:
        """Return the local time of a spreadsheet's serial date, if it is plausible."""
        if number >= 100_000:
            return None
        local = SERIAL_START + timedelta(milliseconds=int((number * DAY).to_integral_value()))
        at = (local.replace(tzinfo=UTC) - START) // timedelta(milliseconds=1)
        return local if FIRST - DAY <= at <= self._last + DAY else None

    def _minute_of_serial(self, text: str, local: datetime) -> int:
        rest = local.second * 1000 + local.microsecond // 1000
        self.local += 1
        return self._minute(text, f"{local:%Y-%m-%d}", f"{local:%H:%M}", None) + rest

    def _hint(self, text: str, serial: datetime | None) -> str:
        if serial is not None:
            return f"; if it is a spreadsheet's date ({serial:%Y-%m-%d}), use --excel-dates"
        if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])(\d{4}|\d{6})?", text):
            return f"; if it is the date {text[:4]}-{text[4:6]}-{text[6:8]}, write it that way"
        return ""


class Skipped(ValueError):
    """Error: a local time that a clock change skips or repeats."""


def _offset(text: str) -> tzinfo:
    if text in ("Z", "z", "UTC"):
        return UTC
    return datetime.strptime(text if len(text) > 3 else text + "00", "%z").tzinfo or UTC


def zone_of(text: str) -> tzinfo:
    """Return the time zone of ``--tz``: an IANA name or an offset. Raises ValueError."""
    try:
        if re.fullmatch(r"Z|UTC|[+-]\d{2}(:?\d{2})?", text):
            return _offset(text)
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r} is neither an offset such as +02:00 nor a known time zone") from None
