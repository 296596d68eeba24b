"""The open outcomes of one partition: which ones are due, and when to repeat their reminders.

Pure: no I/O and no clock. ``now`` is the broker's time in ms UTC, ``tick`` is ms of a monotonic clock. The pricer
decides every outcome; errors here cannot make an amount wrong, only late.

Millions of open outcomes must fit into memory. So a timer is not an object but 12 bytes in an IntMap, and 64 bits in a
bucket of 2^17 ms (two minutes) of its time. Such an entry is the low 17 bits of the time and the 47 bits of the event
id that differ within a partition (schemas.ids).
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
"""ms between reminders of one outcome."""
SLOWLY = 30_000
"""ms after which a reminder is repeated even if the shard has not reached the last one; also the interval for an
outcome that the shard has passed over TIRED times."""
TIRED = 20
SLACK = 50_000
"""Maximum entries of closed outcomes in the buckets, in addition to one for each open outcome."""
STRIDE = 20_000
"""Entries checked at once while the buckets are swept."""


class Reminder(NamedTuple):
    """One expire command that is due to be sent."""

    event_id: int
    customer: str


class _Sent(NamedTuple):
    """A reminder that was sent. ``offset`` is its offset in rev.raw, or -1 if unknown."""

    event_id: int
    offset: int
    at: int


class Timers:
    """The timers of one partition. :meth:`opened` and :meth:`closed` get every change in rev.state, in any order and
    any number of times. Everything that :meth:`take` returns must be passed to :meth:`sent` once."""

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
        """Time of every open outcome with at least one reminder."""
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
        """Number of open outcomes."""
        return len(self._open)

    @property
    def due(self) -> int:
        """Number of open outcomes with at least one reminder."""
        return len(self._due)

    def oldest(self) -> int | None:
        """Return the earliest time, in ms UTC, of all open outcomes with a reminder."""
        return min(self._due.values(), default=None)

    def opened(self, event_id: int, customer: str, expires_at: int) -> None:
        """Add an open outcome. A repeat changes nothing, since the time of an outcome never changes. Raises ValueError
        for an id of another partition."""
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
        """Remove an outcome. Return its time if a reminder was sent, else None."""
        if self._open.pop(event_id) is None:
            return None
        due = self._due.pop(event_id, None)
        if due is None:
            self._stale += 1
        self._ignored.pop(event_id, None)
        return due

    def passed(self, offset: int) -> None:
        """Note that the shard has decided everything in rev.raw before this offset."""
        self._passed = offset

    def take(self, now: int, tick: int, limit: int) -> list[Reminder]:
        """Return at most ``limit`` reminders to send now: first those newly due, earliest first, then those whose last
        one changed nothing for AGAIN ms (eventually SLOWLY). None is early."""
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
        """Note a reminder at this offset of rev.raw, or -1 if it is unknown whether it was recorded."""
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
        """True if a reminder is to be repeated. While the shard is behind, a second command would only add to its lag;
        and what it has ignored so often, it may refuse for a reason other than the time."""
        since = tick - last.at
        return since >= SLOWLY or (not slowly and since >= AGAIN and last.offset < self._passed)

    def _first(self, now: int) -> int | None:
        """Return the next due outcome that has had no reminder."""
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
        """Move a due bucket into ``_near``."""
        start = number << WIDTH + ID
        self._near = [start | entry for entry in self._buckets.pop(number)]
        heapq.heapify(self._near)
        self._reached = number

    def _event_id(self, entry: int) -> int:
        """Return the event id of an entry, ignoring its time."""
        short = entry & (1 << ID) - 1
        return short >> 10 << 16 | self._partition << 10 | short & MAX_INDEX

    def _tidy(self) -> None:
        """Drop entries of outcomes that were closed before their time, a few buckets at a time."""
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
