"""Months of one partition that are to be closed: which ones are over, and when to repeat their notices.

Pure: no I/O and no clock. ``now`` is the broker's time in ms UTC, ``tick`` is ms of a monotonic clock. There are no
more than customers, modes and price rows with monthly terms, so each is a plain object. The pricer decides every month;
errors here cannot make an amount wrong, only late.
"""

import heapq
from typing import NamedTuple

import msgspec

from schemas.commands import CloseMonth
from schemas.months import month_range

AGAIN = 1000
"""ms after which a notice is repeated that the shard has passed over, or that may not be recorded."""
SLOWLY = 30_000
"""ms after which a notice is repeated even if the shard has not reached the last one."""


class _OpenMonth(msgspec.Struct, frozen=True, gc=False):
    """The needed part of schemas.open_months.OpenMonth."""

    customer_id: str
    month: str
    action: str
    own: bool = False
    model: str | None = None
    provider: str | None = None
    test: bool = False
    end: int | None = None


class _Sent(NamedTuple):
    """The last notice of a month. ``offset`` is its offset in rev.raw, or -1 if unknown."""

    offset: int
    at: int


class MonthTimers:
    """The open months of one partition. :meth:`observed` gets every change in rev.state, in any order and any number of
    times. Everything that :meth:`take` returns must be passed to :meth:`sent`."""

    def __init__(self) -> None:
        self._open: dict[bytes, CloseMonth] = {}
        self._waiting: list[tuple[int, bytes]] = []
        """Heap of ends and keys; keys of closed months are skipped."""
        self._due: dict[bytes, int] = {}
        """Ends of the open months that are over."""
        self._sent: dict[bytes, _Sent] = {}
        self._passed = 0

    @property
    def due(self) -> int:
        """Number of open months that are over."""
        return len(self._due)

    def oldest(self) -> int | None:
        """Return the earliest end, in ms UTC, of all open months that are over."""
        return min(self._due.values(), default=None)

    def observed(self, key: bytes, value: bytes | None) -> None:
        """Apply one record of the state. Raises msgspec.DecodeError or MonthError for an unreadable one."""
        if value is None:
            self._open.pop(key, None)
            self._due.pop(key, None)
            self._sent.pop(key, None)
        elif key not in self._open:  # what a month is of never changes, only what it has charged
            month = _decode(value)
            self._open[key] = CloseMonth(
                customer_id=month.customer_id,
                month=month.month,
                action=month.action,
                own=month.own,
                model=month.model,
                provider=month.provider,
                test=month.test,
            )
            end = month_range(month.month).end if month.end is None else month.end
            heapq.heappush(self._waiting, (end, key))

    def passed(self, offset: int) -> None:
        """Note that the shard has decided everything in rev.raw before this offset."""
        self._passed = offset

    def take(self, now: int, tick: int, limit: int) -> list[tuple[bytes, CloseMonth]]:
        """Return at most ``limit`` notices to send now, each with the key for :meth:`sent`. None is early."""
        while self._waiting and self._waiting[0][0] <= now:
            end, key = heapq.heappop(self._waiting)
            if key in self._open:
                self._due[key] = end
        taken: list[tuple[bytes, CloseMonth]] = []
        for key, end in self._due.items():
            if len(taken) == limit:
                break
            if end <= now and self._repeats(self._sent.get(key), tick):
                taken.append((key, self._open[key]))
        return taken

    def sent(self, key: bytes, offset: int, tick: int) -> None:
        """Note a notice at this offset of rev.raw, or -1 if it is unknown whether it was recorded."""
        if key in self._due:
            self._sent[key] = _Sent(offset, tick)

    def _repeats(self, last: _Sent | None, tick: int) -> bool:
        if last is None:
            return True
        since = tick - last.at
        return since >= SLOWLY or (since >= AGAIN and last.offset < self._passed)


_decode = msgspec.json.Decoder(_OpenMonth).decode
