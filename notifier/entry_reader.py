"""Pages of one partition of rev.entries, committed records only, from an offset that is named.

What the records mean may not come in here.
"""

from collections.abc import Callable

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from notifier.entry_page import EntryLine, EntryPage
from streams import clients
from streams.clients import Clock
from streams.partition_reader import PartitionReader

GATHER = 50
"""ms that the broker may wait for more: a fetch for each transaction of a shard costs both more than that gains."""
FETCH = 1 << 20
"""Bytes that are asked for at once, since what is read here is kept in memory; a record batch that
is larger is given whole."""
HANGING = 15.0
"""Seconds that one call may take beyond what it was asked to wait."""
SILENCE = 10.0
"""Seconds without an answered fetch, or without any progress below the known end, that are too many."""


class LogBegins(Exception):
    """The log begins at :attr:`first`, after what was asked for."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the log begins at {first}")
        self.first = first


class EntryReader:
    """Reads on where it stands, or from another offset. Raises Hung, LogBegins or a KafkaError;
    after that it is closed and another one is made."""

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
        """What the log holds: offsets [first, end)."""
        return await self._reader.open()

    async def bounds(self) -> tuple[int, int]:
        """The same, asked again."""
        return await self._reader.ends()

    async def since(self, at: int) -> int | None:
        """Offset of the first record at or after this time (ms UTC); None: there is none yet."""
        return await self._reader.since(at)

    async def page(self, offset: int, most: int, wait: float) -> EntryPage:
        """Up to ``most`` records from ``offset`` on; after ``wait`` seconds it may be empty."""
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
        """The end of the log as of the last answer."""
        return self._reader.end

    async def close(self) -> None:
        await self._reader.close()


async def read_all(kafka: str, topic: str, partition: int, heartbeat: Callable[[], None]) -> dict[bytes, bytes]:
    """The last value of every key of a compacted partition, as it stands now."""
    tp = TopicPartition(topic, partition)
    consumer = clients.partition_consumer(kafka)
    found: dict[bytes, bytes] = {}
    try:
        await consumer.start()
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.seek(tp, (await consumer.beginning_offsets([tp]))[tp])
        while await consumer.position(tp) < end:
            heartbeat()
            for record in (await consumer.getmany(tp, timeout_ms=200, max_records=5000)).get(tp, []):
                if record.value is None:
                    found.pop(record.key, None)
                else:
                    found[record.key] = record.value
        return found
    finally:
        await clients.discard_consumer(consumer)
