"""Records that cannot be applied or written: when to reject one, and how many are an outage. No I/O."""

from collections import deque

TRIES = 3
"""How often a record that fails is tried alone before it is rejected."""


class RejectLimit:
    """At most ``limit`` rejects among any ``run`` records in a row: more are an outage, not a queue."""

    def __init__(self, limit: int = 100, run: int = 1000) -> None:
        self._limit = limit
        self._run = run
        self._seen = 0
        self._rejects: deque[int] = deque()

    def passed(self, records: int) -> None:
        """So many records were applied or rejected."""
        self._seen += records

    def reject(self) -> bool:
        """Note a reject; False when that is one too many."""
        while self._rejects and self._rejects[0] <= self._seen - self._run:
            self._rejects.popleft()
        self._rejects.append(self._seen)
        return len(self._rejects) <= self._limit


class BrokerRejections:
    """What Kafka refused to take of a shard. It outlives the shard's lives, since a producer
    that was refused a batch has lost count of its sequence and cannot be used again."""

    def __init__(self) -> None:
        self.max_records: int | None = None
        """At most so many records in a transaction."""
        self.poison_offset: int | None = None
        """Offset of the record that was refused alone, often enough."""
        self._until = -1
        self._alone = 0

    def refused(self, offsets: list[int]) -> None:
        """A transaction of the records at these offsets was refused: half as many next time."""
        self._until = max(self._until, offsets[-1])
        if len(offsets) > 1:
            self.max_records = len(offsets) // 2
            return
        self.max_records = 1
        self._alone += 1
        if self._alone >= TRIES:
            self.poison_offset = offsets[0]

    def taken(self, offset: int) -> None:
        """Everything up to this offset is committed."""
        self.poison_offset, self._alone = None, 0
        if offset >= self._until:
            self.max_records = None
