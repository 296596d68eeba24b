"""Which outcomes of one partition are open, whose time has come, and when to remind of them again.

Pure: no I/O and no clock inside. ``now`` is the broker's time in ms UTC, ``tick`` ms of a clock
that only goes forward. The pricer decides every outcome; nothing here has to be right for the
money to be right, only for it to be on time.

Millions of open outcomes must fit. So there is no object for a timer: 12 bytes in an IntMap, and
64 bits in a bucket of 2^17 ms (two minutes) of its time. Such an entry is the low 17 bits of the
time and the 47 bits of the event id that differ within a partition (schemas.ids).
"""

import heapq
from array import array
from collections import deque
from typing import NamedTuple

from expirer.int_map import IntMap
from schemas.ids import MAX_INDEX, MAX_PARTITIONS

WIDTH = 17
"""Bits of the time, in ms, that one bucket spans."""
ID = 47
"""Bits of an event id without its partition: 37 of the offset, 10 of the index."""
LOW = (1 << WIDTH) - 1
AGAIN = 1000
"""ms from one reminder to the next."""
SLOWLY = 30_000
"""ms after which a reminder is repeated even if the shard has not come to the last one, and from
one to the next of an outcome that the shard has passed over TIRED times."""
TIRED = 20
SLACK = 50_000
"""So many entries of closed outcomes may lie in the buckets, beyond one for each open one."""
STRIDE = 20_000
"""Entries looked at in one go while the buckets are swept."""


class Reminder(NamedTuple):
    """One expire command that is due to be sent."""

    event_id: int
    customer: str


class _Sent(NamedTuple):
    """A reminder that was sent. ``offset``: where it stands in rev.raw, -1 if nobody knows."""

    event_id: int
    offset: int
    at: int


class Timers:
    """Every change that rev.state shows goes in by :meth:`opened` and :meth:`closed`, in any order
    and any number of times. What comes out of :meth:`take` must be given to :meth:`sent` once."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._open = IntMap()
        """Number of the customer of every open outcome."""
        self._customers: list[str] = []
        self._numbers: dict[str, int] = {}
        self._buckets: dict[int, array[int]] = {}
        self._order: list[int] = []
        """Heap of the buckets' numbers."""
        self._reached = -1
        """Number of the last bucket that was emptied into ``_near``."""
        self._near: list[int] = []
        """Heap of time << ID | short id."""
        self._due: dict[int, int] = {}
        """Time of every open outcome that was reminded of at least once."""
        self._sent: deque[_Sent] = deque()
        self._unsure: deque[_Sent] = deque()
        self._slow: deque[_Sent] = deque()
        self._ignored: dict[int, int] = {}
        """How often the shard passed over a reminder of an outcome without closing it."""
        self._passed = 0
        self._stale = 0
        self._sweep: list[int] = []

    @property
    def open(self) -> int:
        """How many outcomes are open."""
        return len(self._open)

    @property
    def due(self) -> int:
        """How many were reminded of and are still open."""
        return len(self._due)

    def oldest(self) -> int | None:
        """The earliest time, ms UTC, of all that were reminded of and are still open."""
        return min(self._due.values(), default=None)

    def opened(self, event_id: int, customer: str, expires_at: int) -> None:
        """Open, as far as is known. A repeat changes nothing; the time of an outcome never changes.
        Raises ValueError for an id of another partition."""
        if event_id >> 10 & MAX_PARTITIONS - 1 != self._partition:
            raise ValueError(f"outcome {event_id} is not of partition {self._partition}")
        if not self._open.put(event_id, self._number(customer)):
            return
        short = event_id >> 16 << 10 | event_id & MAX_INDEX
        number = expires_at >> WIDTH
        if number <= self._reached:
            heapq.heappush(self._near, expires_at << ID | short)
            return
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = array("Q")
            heapq.heappush(self._order, number)
        bucket.append((expires_at & LOW) << ID | short)

    def closed(self, event_id: int) -> int | None:
        """No longer open. Its time if it had been reminded of, else None."""
        if self._open.pop(event_id) is None:
            return None
        due = self._due.pop(event_id, None)
        if due is None:
            self._stale += 1
        self._ignored.pop(event_id, None)
        return due

    def passed(self, offset: int) -> None:
        """The shard has decided everything in rev.raw before this offset."""
        self._passed = offset

    def take(self, now: int, tick: int, limit: int) -> list[Reminder]:
        """At most ``limit`` reminders to send now: those due for the first time, earliest first,
        then those whose last one changed nothing for AGAIN ms (SLOWLY, in the end). None is early."""
        self._tidy()
        taken: list[Reminder] = []
        while len(taken) < limit and (event_id := self._first(now)) is not None:
            taken.append(self._reminder(event_id))
        for queue in (self._unsure, self._sent, self._slow):
            while len(taken) < limit and queue and self._repeats(queue[0], tick, queue is self._slow):
                event_id, offset, _ = queue.popleft()
                due = self._due.get(event_id)
                if due is None:
                    continue
                if 0 <= offset < self._passed:
                    self._ignored[event_id] = self._ignored.get(event_id, 0) + 1
                if due <= now:
                    taken.append(self._reminder(event_id))
                else:  # the broker's clock was set back
                    self.sent(event_id, -1, tick)
        return taken

    def sent(self, event_id: int, offset: int, tick: int) -> None:
        """A reminder stands at this offset of rev.raw, or at -1: nobody knows whether it does."""
        if event_id not in self._due:
            return
        queue = self._unsure if offset < 0 else self._sent if self._ignored.get(event_id, 0) < TIRED else self._slow
        queue.append(_Sent(event_id, offset, tick))

    def _number(self, customer: str) -> int:
        number = self._numbers.setdefault(customer, len(self._customers))
        if number == len(self._customers):
            self._customers.append(customer)
        return number

    def _reminder(self, event_id: int) -> Reminder:
        number = self._open.get(event_id)
        assert number is not None, "only what is open is due"
        return Reminder(event_id, self._customers[number])

    def _repeats(self, last: _Sent, tick: int, slowly: bool) -> bool:
        """While the shard is behind, a second command would only make it longer; and what it has
        ignored so often, it may refuse for a reason that is not the time."""
        since = tick - last.at
        return since >= SLOWLY or (not slowly and since >= AGAIN and last.offset < self._passed)

    def _first(self, now: int) -> int | None:
        """The next outcome whose time has come and that was never reminded of."""
        while True:
            while not self._near and self._order and self._order[0] <= now >> WIDTH:
                self._empty(heapq.heappop(self._order))
            if not self._near or self._near[0] >> ID > now:
                return None
            entry = heapq.heappop(self._near)
            event_id = self._event_id(entry)
            if event_id in self._open and event_id not in self._due:
                self._due[event_id] = entry >> ID
                return event_id
            self._stale -= 1

    def _empty(self, number: int) -> None:
        """A bucket whose time has come into ``_near``."""
        start = number << WIDTH + ID
        self._near = [start | entry for entry in self._buckets.pop(number)]
        heapq.heapify(self._near)
        self._reached = number

    def _event_id(self, entry: int) -> int:
        """The event id of an entry; its time is not looked at."""
        short = entry & (1 << ID) - 1
        return short >> 10 << 16 | self._partition << 10 | short & MAX_INDEX

    def _tidy(self) -> None:
        """Forget entries of outcomes that were closed before their time, a few buckets at a time."""
        if not self._sweep and self._stale > len(self._open) + SLACK:
            self._sweep = list(self._buckets)
        looked = 0
        while self._sweep and looked < STRIDE:
            number = self._sweep.pop()
            bucket = self._buckets.get(number)
            if bucket is None:
                continue
            kept = array("Q", [entry for entry in bucket if self._event_id(entry) in self._open])
            looked += len(bucket)
            self._stale -= len(bucket) - len(kept)
            self._buckets[number] = kept
