"""A reader of one partition of a topic, from an offset that the caller chooses.

It uses no group, no committed offsets and no silent reset: an offset that the log does not hold is an error. aiokafka
can go silent for ever after a broker restart. The reader then raises ConsumerStalled, and its caller creates another
one. This module does not interpret the records.
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
IDLE_AFTER = 1.0
"""Seconds without a record after which fetches are no longer gathered. An idle log then costs two fetches a second."""


class Ends(NamedTuple):
    """The first and the next offset of a partition."""

    first: int
    end: int


class PartitionReader:
    """A reader of one partition. It counts as stalled after ``silence`` seconds without an answered fetch, or at one
    position below the known end. ``limit`` is the seconds that a call may take beyond its requested wait, then it
    raises Hung; with None the caller enforces a limit, which saves a task per call. ``fetch`` and ``gather`` are those
    of streams.clients.partition_consumer; on an idle log nothing is gathered."""

    def __init__(
        self,
        kafka: str,
        tp: TopicPartition,
        *,
        clock: Clock,
        silence: float,
        limit: float | None = None,
        committed: bool = True,
        gather: int = 0,
        **consumer: int,
    ) -> None:
        self._tp = tp
        self._limit = limit
        self._committed = committed
        self._watchdog = Watchdog(silence, clock)
        self._clock = clock
        self._gather = gather
        self._gathers = bool(gather)
        self._found_at = clock()
        self._consumer = clients.partition_consumer(kafka, committed=committed, gather=gather, **consumer)

    async def start(self) -> None:
        """Connect. Like all methods, raises Hung or a KafkaError."""
        await self._within(self._consumer.start())

    async def open(self) -> Ends:
        """Connect and return the partition's first and next offset."""
        await self.start()
        return await self.ends()

    async def ends(self) -> Ends:
        """Query the first and the next offset."""
        first = await self._within(self._consumer.beginning_offsets([self._tp]))
        end = await self._within(self._consumer.end_offsets([self._tp]))
        return Ends(first[self._tp], end[self._tp])

    async def since(self, at: int) -> int | None:
        """Return the offset of the first record at or after this time (ms UTC), or None if there is none yet."""
        found = (await self._within(self._consumer.offsets_for_times({self._tp: max(0, at)}))).get(self._tp)
        return None if found is None else int(found.offset)

    def seek(self, offset: int) -> None:
        """Continue reading from this offset."""
        # no await in between: the fetcher must never see the partition without a position
        self._consumer.assign([self._tp])
        self._consumer.seek(self._tp, offset)
        self._watchdog.reset()

    async def read(self, wait: float, most: int | None = None) -> list[ConsumerRecord]:
        """Return up to ``most`` records, possibly none after ``wait`` seconds. Raises ConsumerStalled, or
        OffsetOutOfRangeError if the log no longer holds the offset."""
        call = self._consumer.getmany(self._tp, timeout_ms=int(wait * 1000), max_records=most)
        found: list[ConsumerRecord] = (await self._within(call, wait)).get(self._tp, [])
        if self._gather:
            self._hold(bool(found))
        if found:
            self._watchdog.reset()
        else:
            self._watch(await self.position())
        return found

    async def position(self) -> int:
        """Return the next offset to read: after the last record and after any markers and aborted records."""
        return int(await self._within(self._consumer.position(self._tp)))

    @property
    def end(self) -> int | None:
        """The log's end as of the last answer, including markers and open transactions."""
        end = self._consumer.highwater(self._tp)
        return None if end is None else int(end)

    @property
    def stable_end(self) -> int | None:
        """The end of the readable records, as of the last answer."""
        end = self._consumer.last_stable_offset(self._tp) if self._committed else self._consumer.highwater(self._tp)
        return None if end is None else int(end)

    @property
    def answered(self) -> int | None:
        """A mark of the last answered fetch; it changes with each one."""
        mark = self._consumer.last_poll_timestamp(self._tp)
        return None if mark is None else int(mark)

    async def close(self) -> None:
        await clients.discard_consumer(self._consumer)

    def rested(self) -> None:
        """Restart the silence time-out, after a pause in which no fetch was due."""
        self._watchdog.reset()

    def _hold(self, found: bool) -> None:
        """Gather while records come, and not on an idle log."""
        now = self._clock()
        if found:
            self._found_at = now
        gathers = now - self._found_at < IDLE_AFTER
        if gathers != self._gathers:
            self._gathers = gathers
            clients.hold_fetches(self._consumer, self._gather if gathers else 0)

    def _watch(self, position: int) -> None:
        why = self._watchdog.observe(position, self.stable_end, self.answered)
        if why is not None:
            log.error("consumer_stalled", topic=self._tp.topic, partition=self._tp.partition, why=why, next=position)
            metrics.CONSUMER_REBUILT.labels(self._tp.topic, why).inc()
            raise ConsumerStalled(f"{self._tp.topic}/{self._tp.partition}: {why} at {position}")

    async def _within(self, call: Coroutine[Any, Any, T], wait: float = 0.0) -> T:
        return await call if self._limit is None else await within(wait + self._limit, call)
