"""Pages of one partition of rev.entries, committed records only, from an offset that is named.

No group, no committed offsets, no silent reset. What the records mean may not come in here.
"""

from collections.abc import Callable

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from notifier.entry_page import EntryLine, EntryPage
from streams import clients, metrics
from streams.clients import Clock
from streams.errors import Hung
from streams.heartbeat_timeout import within
from streams.watchdog import Watchdog

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
        self._tp = TopicPartition(topic, partition)
        self._consumer = clients.partition_consumer(kafka, fetch=FETCH, gather=GATHER)
        self._watchdog = Watchdog(SILENCE, clock)
        self._next = -1

    async def open(self) -> tuple[int, int]:
        """What the log holds: offsets [first, end)."""
        await within(HANGING, self._consumer.start())
        return await self.bounds()

    async def bounds(self) -> tuple[int, int]:
        """The same, asked again."""
        first = await within(HANGING, self._consumer.beginning_offsets([self._tp]))
        end = await within(HANGING, self._consumer.end_offsets([self._tp]))
        return first[self._tp], end[self._tp]

    async def since(self, at: int) -> int | None:
        """Offset of the first record at or after this time (ms UTC); None: there is none yet."""
        found = await within(HANGING, self._consumer.offsets_for_times({self._tp: max(0, at)}))
        found = found.get(self._tp)
        return None if found is None else int(found.offset)

    async def page(self, offset: int, most: int, wait: float) -> EntryPage:
        """Up to ``most`` records from ``offset`` on; after ``wait`` seconds it may be empty."""
        if offset != self._next:
            # no await in between: the fetcher must never see the partition without a position
            self._consumer.assign([self._tp])
            self._consumer.seek(self._tp, offset)
            self._watchdog.reset()
        self._next = -1
        try:
            call = self._consumer.getmany(self._tp, timeout_ms=int(wait * 1000), max_records=most)
            found = (await within(wait + HANGING, call)).get(self._tp, [])
            next = int(await within(HANGING, self._consumer.position(self._tp)))
        except OffsetOutOfRangeError as error:
            first = await within(HANGING, self._consumer.beginning_offsets([self._tp]))
            if first[self._tp] > offset:
                raise LogBegins(first[self._tp]) from error
            raise
        self._watch(bool(found), next)
        self._next = next
        lines = [EntryLine(r.offset, r.key or b"", r.value or b"", r.timestamp) for r in found]
        return EntryPage(self._tp.partition, offset, lines, next)

    def _watch(self, got: bool, next: int) -> None:
        if got:
            self._watchdog.reset()
            return
        stable, polled = self._consumer.last_stable_offset(self._tp), self._consumer.last_poll_timestamp(self._tp)
        why = self._watchdog.observe(next, stable, polled)
        if why is not None:
            metrics.CONSUMER_REBUILT.labels(self._tp.topic, why).inc()
            raise Hung(f"{self._tp}: {why} at {next}")

    def end(self) -> int | None:
        """The end of the log as of the last answer."""
        end = self._consumer.highwater(self._tp)
        return None if end is None else int(end)

    async def close(self) -> None:
        await clients.discard_consumer(self._consumer)


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
