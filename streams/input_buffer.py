"""A buffer of records that a shard has read and not yet decided. No I/O."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from schemas.limits import MAX_TRANSACTION_RAW
from schemas.topics import REPLY_HEADER
from streams.reply_sender import ReplyAddress, parse_reply_header
from streams.types import InputRecord, Processor

READ_AHEAD = 2000
"""Maximum records taken from the consumer at once; also, with this many buffered, no more are read."""


class QueuedRecord(NamedTuple):
    """A record to apply, its size in bytes and weight in events, and the address and request number for the reply, if
    any."""

    input: InputRecord
    size: int
    weight: int
    to: ReplyAddress | None = None
    request: int = -1


class InputBuffer:
    """A queue of records in order. ``at`` is the shard's time so far in ms; it never goes back."""

    def __init__(self, processor: Processor, at: int) -> None:
        self._weight = processor.weight
        self._items: deque[QueuedRecord] = deque()
        self._at = at
        self._bytes = 0

    @property
    def full(self) -> bool:
        """True if nothing more should be read, which bounds the memory used."""
        return len(self._items) >= READ_AHEAD or self._bytes >= MAX_TRANSACTION_RAW

    def __len__(self) -> int:
        return len(self._items)

    def add(self, records: list[Any]) -> None:
        """Add consumer records, in order."""
        for record in records:
            if record.timestamp > self._at:
                self._at = record.timestamp
            to, request = None, -1
            for name, value in record.headers:
                if name == REPLY_HEADER:
                    found = parse_reply_header(value)
                    if found is not None:
                        to, request = found
            key, value = record.key or b"", record.value or b""
            self._bytes += len(key) + len(value)
            input = InputRecord(record.partition, record.offset, key, value, self._at)
            self._items.append(QueuedRecord(input, len(key) + len(value), self._weigh(input), to, request))

    def __iter__(self) -> Iterator[QueuedRecord]:
        """Iterate over the records in order. They stay in the buffer until :meth:`done`."""
        return iter(self._items)

    def done(self, count: int) -> None:
        """Remove the first ``count`` records, which are decided."""
        for _ in range(count):
            self._bytes -= self._items.popleft().size

    def _weigh(self, record: InputRecord) -> int:
        try:
            return self._weight(record)
        except Exception:
            # Not lost: applying it fails as well, which is counted and visible.
            return 1
