"""Reads pages of one partition of rev.entries, committed records only, from a given offset.

It does not interpret the records.
"""

from collections.abc import Callable

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from notifier.entry_page import EntryLine, EntryPage
from streams.clients import Clock
from streams.partition_reader import PartitionReader

GATHER = 50
"""Time, ms, that the broker may wait for more. One fetch for each transaction of a shard costs the broker
and this process more than it gains."""
FETCH = 1 << 20
"""Bytes per fetch, limited because what is read here stays in memory. A larger record batch is returned whole."""
HANGING = 15.0
"""Seconds that one call may take beyond its requested wait."""
SILENCE = 10.0
"""Maximum seconds without a completed fetch, or without progress below the known end."""


class LogBegins(Exception):
    """Error: the log begins at :attr:`first`, after the requested offset."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the log begins at {first}")
        self.first = first


class EntryReader:
    """Reader that continues from its position or from another offset. Raises Hung, LogBegins or a
    KafkaError; after that, close it and create another one."""

    def __init__(self, kafka: str, topic: str, partition: int, clock: Clock) -> None:
        self._partition = partition
        self._reader = PartitionReader(
            kafka,
            TopicPartition(topic, partition),
            clock=clock,
            silence=SILENCE,
            limit=HANGING,
            fetch=FETCH,
            gather=GATHER,
        )
        self._next = -1

    async def open(self) -> tuple[int, int]:
        """Open the reader and return the offsets [first, end) that the log holds."""
        return await self._reader.open()

    async def bounds(self) -> tuple[int, int]:
        """Return the current offsets [first, end) of the log."""
        return await self._reader.ends()

    async def since(self, at: int) -> int | None:
        """Return the offset of the first record at or after this time (ms UTC); None if there is none yet."""
        return await self._reader.since(at)

    async def page(self, offset: int, most: int, wait: float) -> EntryPage:
        """Return up to ``most`` records from ``offset`` on; the page may be empty after ``wait`` seconds."""
        if offset != self._next:
            self._reader.seek(offset)
        self._next = -1
        try:
            found = await self._reader.read(wait, most)
            next = await self._reader.position()
        except OffsetOutOfRangeError as error:
            first, _ = await self._reader.ends()
            if first > offset:
                raise LogBegins(first) from error
            raise
        self._next = next
        lines = [EntryLine(r.offset, r.key or b"", r.value or b"", r.timestamp) for r in found]
        return EntryPage(self._partition, offset, lines, next)

    def end(self) -> int | None:
        """Return the end of the log as of the last fetch."""
        return self._reader.end

    async def close(self) -> None:
        await self._reader.close()


async def read_all(
    kafka: str, topic: str, partition: int, heartbeat: Callable[[], None], clock: Clock
) -> dict[bytes, bytes]:
    """Return the last value of every key of a compacted partition at the time of the call. Raises ConsumerStalled."""
    reader = PartitionReader(kafka, TopicPartition(topic, partition), clock=clock, silence=SILENCE)
    found: dict[bytes, bytes] = {}
    try:
        first, end = await reader.open()
        reader.seek(first)
        while await reader.position() < end:
            heartbeat()
            for record in await reader.read(0.2, 5000):
                if record.value is None:
                    found.pop(record.key, None)
                else:
                    found[record.key] = record.value
        return found
    finally:
        await reader.close()
