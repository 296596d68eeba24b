"""One partition of a topic, read from an offset that the caller names.

No group, no committed offsets, no silent reset: an offset that the log does not hold is an error. aiokafka can go
quiet for ever after a broker's restart; a reader that has done so says it (ConsumerStalled), and its caller makes
another one. What the records mean may not come in here.
"""

from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from streams import clients, metrics
from streams.clients import Clock
from streams.errors import ConsumerStalled
from streams.heartbeat_timeout import within
from streams.watchdog import Watchdog

log = structlog.get_logger("streams.partition_reader")
T = TypeVar("T")


class Ends(NamedTuple):
    """First and next offset of a partition."""

    first: int
    end: int


class PartitionReader:
    """``silence``: seconds without an answered fetch, or at one position below the known end, after which it counts as
    stalled. ``limit``: seconds that one call may take beyond what it was asked to wait (Hung); None: whoever calls
    sees to it, and a call costs no task of its own. ``fetch`` and ``gather``: streams.clients.partition_consumer."""

    def __init__(
        self,
        kafka: str,
        tp: TopicPartition,
        *,
        clock: Clock,
        silence: float,
        limit: float | None = None,
        committed: bool = True,
        **consumer: int,
    ) -> None:
        self._tp = tp
        self._limit = limit
        self._committed = committed
        self._watchdog = Watchdog(silence, clock)
        self._consumer = clients.partition_consumer(kafka, committed=committed, **consumer)

    async def start(self) -> None:
        """Connect. Raises Hung or a KafkaError, as all the others."""
        await self._within(self._consumer.start())

    async def open(self) -> Ends:
        """Connect; what the log holds."""
        await self.start()
        return await self.ends()

    async def ends(self) -> Ends:
        """The first and the next offset, asked now."""
        first = await self._within(self._consumer.beginning_offsets([self._tp]))
        end = await self._within(self._consumer.end_offsets([self._tp]))
        return Ends(first[self._tp], end[self._tp])

    async def since(self, at: int) -> int | None:
        """Offset of the first record at or after this time (ms UTC); None: there is none yet."""
        found = (await self._within(self._consumer.offsets_for_times({self._tp: max(0, at)}))).get(self._tp)
        return None if found is None else int(found.offset)

    def seek(self, offset: int) -> None:
        """Read on from this offset."""
        # no await in between: the fetcher must never see the partition without a position
        self._consumer.assign([self._tp])
        self._consumer.seek(self._tp, offset)
        self._watchdog.reset()

    async def read(self, wait: float, most: int | None = None) -> list[ConsumerRecord]:
        """Up to ``most`` records; after ``wait`` seconds there may be none. Raises ConsumerStalled,
        OffsetOutOfRangeError when the log no longer holds the offset."""
        call = self._consumer.getmany(self._tp, timeout_ms=int(wait * 1000), max_records=most)
        found: list[ConsumerRecord] = (await self._within(call, wait)).get(self._tp, [])
        if found:
            self._watchdog.reset()
        else:
            self._watch(await self.position())
        return found

    async def position(self) -> int:
        """The next offset to read: beyond the last record, and beyond markers and what was aborted."""
        return int(await self._within(self._consumer.position(self._tp)))

    @property
    def end(self) -> int | None:
        """The log's end as of the last answer, markers and open transactions included."""
        end = self._consumer.highwater(self._tp)
        return None if end is None else int(end)

    @property
    def stable_end(self) -> int | None:
        """The end of what may be read, as of the last answer."""
        end = self._consumer.last_stable_offset(self._tp) if self._committed else self._consumer.highwater(self._tp)
        return None if end is None else int(end)

    @property
    def answered(self) -> int | None:
        """A mark of the last answered fetch: another one after each."""
        mark = self._consumer.last_poll_timestamp(self._tp)
        return None if mark is None else int(mark)

    async def close(self) -> None:
        await clients.discard_consumer(self._consumer)

    def rested(self) -> None:
        """No fetch was due for a while: silence counts from now on."""
        self._watchdog.reset()

    def _watch(self, position: int) -> None:
        why = self._watchdog.observe(position, self.stable_end, self.answered)
        if why is not None:
            log.error("consumer_stalled", topic=self._tp.topic, partition=self._tp.partition, why=why, next=position)
            metrics.CONSUMER_REBUILT.labels(self._tp.topic, why).inc()
            raise ConsumerStalled(f"{self._tp.topic}/{self._tp.partition}: {why} at {position}")

    async def _within(self, call: Coroutine[Any, Any, T], wait: float = 0.0) -> T:
        return await call if self._limit is None else await within(wait + self._limit, call)
