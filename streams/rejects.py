"""Limits for records that cannot be applied or written: when to reject one, and how many are an outage. No I/O."""

from collections import deque

TRIES = 3
"""Number of times a failing record is tried alone before it is rejected."""


class RejectLimit:
    """A limit of ``limit`` rejects among any ``run`` consecutive records: more than that is an outage."""

    def __init__(self, limit: int = 100, run: int = 1000) -> None:
        self._limit = limit
        self._run = run
        self._seen = 0
        self._rejects: deque[int] = deque()

    def passed(self, records: int) -> None:
        """Count records that were applied or rejected."""
        self._seen += records

    def reject(self) -> bool:
        """Count a reject. Return False if it exceeds the limit."""
        while self._rejects and self._rejects[0] <= self._seen - self._run:
            self._rejects.popleft()
        self._rejects.append(self._seen)
        return len(self._rejects) <= self._limit


class BrokerRejections:
    """The records of a shard that Kafka refused. It outlives the shard's runs, because a producer with a refused batch
    has lost count of its sequence and cannot be used again."""

    def __init__(self) -> None:
        self.max_records: int | None = None
        """Maximum records in a transaction, or None."""
        self.poison_offset: int | None = None
        """Offset of a record that was refused alone TRIES times."""
        self._until = -1
        self._alone = 0

    def refused(self, offsets: list[int]) -> None:
        """Note that a transaction of the records at these offsets was refused: the next one has half as many."""
        self._until = max(self._until, offsets[-1])
        if len(offsets) > 1:
            self.max_records = len(offsets) // 2
            return
        self.max_records = 1
        self._alone += 1
        if self._alone >= TRIES:
            self.poison_offset = offsets[0]

    def taken(self, offset: int) -> None:
        """Note that everything up to this offset is committed."""
        self.poison_offset, self._alone = None, 0
        if offset >= self._until:
            self.max_records = None
