"""What a shard has read and not yet applied, cut into transactions. No I/O."""

from collections import deque
from typing import Any, NamedTuple

from schemas.limits import MAX_TRANSACTION_EVENTS, MAX_TRANSACTION_RAW
from schemas.topics import REPLY_HEADER
from streams.answers import To, address
from streams.types import Input, Processor

READ_AHEAD = 2000
"""Records that are taken from the consumer at once, and read ahead at most before the next."""


class Item(NamedTuple):
    """A record to apply, who waits for the answer if anybody, and its size in bytes."""

    input: Input
    to: To | None
    size: int


class Intake:
    """``at``: the shard's time so far, ms; it never goes back."""

    def __init__(self, processor: Processor, at: int) -> None:
        self._weight = processor.weight
        self._items: deque[Item] = deque()
        self._at = at
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Enough to do: nothing more should be read, or memory would have no bound."""
        return len(self._items) >= READ_AHEAD or self._bytes >= MAX_TRANSACTION_RAW

    def __len__(self) -> int:
        return len(self._items)

    def add(self, records: list[Any]) -> None:
        """Take in consumer records, in order."""
        for record in records:
            if record.timestamp > self._at:
                self._at = record.timestamp
            to, request = None, -1
            for name, value in record.headers:
                if name == REPLY_HEADER:
                    found = address(value)
                    if found is not None:
                        to, request = found
            key, value = record.key or b"", record.value or b""
            self._bytes += len(key) + len(value)
            self._items.append(
                Item(Input(record.partition, record.offset, key, value, self._at, request), to, len(key) + len(value))
            )

    def batch(self, ceiling: int | None = None) -> list[Item]:
        """The records of the next transaction, within the bounds but at least one. They stay
        here until :meth:`done`. ``ceiling``: at most so many."""
        batch: list[Item] = []
        raw = events = 0
        for item in self._items:
            raw += item.size
            events += self._weigh(item.input)
            if batch and (raw > MAX_TRANSACTION_RAW or events > MAX_TRANSACTION_EVENTS or len(batch) == ceiling):
                break
            batch.append(item)
        return batch

    def done(self, count: int) -> None:
        """The first so many are committed."""
        for _ in range(count):
            self._bytes -= self._items.popleft().size

    def _weigh(self, record: Input) -> int:
        try:
            return self._weight(record)
        except Exception:
            # Not lost: applying it fails as well, and that is counted and visible.
            return 1
