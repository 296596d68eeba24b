"""A compacted topic, followed by one reader and kept as a view by a callback.

This module does not interpret the records.
"""

import asyncio
import random
import time
from collections.abc import Callable

import structlog
from aiokafka import TopicPartition

from schemas.limits import MAX_MESSAGE
from streams import metrics
from streams.clients import Clock
from streams.errors import ConsumerStalled, Hung
from streams.heartbeat_timeout import HeartbeatTimeout, within
from streams.partition_reader import PartitionReader

log = structlog.get_logger("streams.views")

POLL = 0.1
"""Seconds that one read waits; also the interval between checks for a confirming fetch."""
SILENCE = 3.0
"""Seconds without a fetch after which the consumer is replaced."""
HANGING = 6.0
"""Seconds without a sign of life after which the reader is abandoned."""
MOST = 500
"""Maximum records applied before other tasks on the event loop run. While an expirer reads a new partition, it still
reminds for its other ones."""
Apply = Callable[[bytes, bytes | None, int], None]
"""Called with key, value (None for a tombstone) and offset."""


class CompactedView:
    """A view of one partition of ``topic``, committed records only. ``apply`` may get a record again after a failure.
    If it raises, the view stops there, retries for ever, and is no longer confirmed. For ``fetch`` and ``gather`` see
    streams.clients.partition_consumer."""

    def __init__(
        self,
        kafka: str,
        topic: str,
        apply: Apply,
        *,
        partition: int = 0,
        fetch: int = MAX_MESSAGE,
        gather: int = 0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._kafka = kafka
        self._tp = TopicPartition(topic, partition)
        self._fetch = fetch
        self._gather = gather
        self._apply = apply
        self._clock = clock
        self._timeout = HeartbeatTimeout(HANGING, clock)
        self._position = 0
        self._at = 0
        self._confirmed = -1e9
        self._mark: int | None = None
        self._complete = asyncio.Event()
        self._waiters: dict[asyncio.Future[None], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._reader: PartitionReader | None = None
        self._stopping = False

    @property
    def position(self) -> int:
        """The next offset that the view will apply."""
        return self._position

    @property
    def at(self) -> int:
        """Timestamp, ms UTC, of the record being applied or last applied."""
        return self._at

    def confirmed_age(self) -> float:
        """Return the seconds since a fetch last confirmed that the view holds everything committed."""
        return self._clock() - self._confirmed

    async def start(self) -> None:
        """Start following the topic; return once the view has been read to the end."""
        self._task = asyncio.create_task(self._follow())
        await self._complete.wait()

    async def reached(self, offset: int) -> None:
        """Wait until the record at this offset is applied."""
        if self._position > offset:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = offset
        try:
            await waiter
        finally:
            self._waiters.pop(waiter, None)

    async def caught_up(self) -> None:
        """Wait until the view holds everything committed before the call. Raises Hung if the log does not answer within
        HANGING seconds, KafkaError if the query fails."""
        if self._reader is None:
            raise Hung(f"{self._tp.topic} is not followed")
        ends = await within(HANGING, self._reader.ends())
        await self.reached(ends.end - 1)

    async def stop(self) -> None:
        # A flag in addition to the cancellation, which aiokafka swallows while it closes a consumer.
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while not self._stopping:
            reader = PartitionReader(
                self._kafka, self._tp, clock=self._clock, silence=SILENCE, fetch=self._fetch, gather=self._gather
            )
            try:
                await self._timeout.run(self._read(reader))
            except ConsumerStalled:
                continue  # already logged and counted
            except Exception as error:
                # On any error the view stops and reports it; confirmed_age makes it visible.
                log.error(
                    "view_failed",
                    topic=self._tp.topic,
                    partition=self._tp.partition,
                    position=self._position,
                    error=repr(error),
                )
                metrics.CONSUMER_REBUILT.labels(self._tp.topic, type(error).__name__).inc()
                await asyncio.sleep(0.1 + random.random() * 0.2)
            finally:
                self._reader = None
                await reader.close()

    async def _read(self, reader: PartitionReader) -> None:
        """Apply records until the consumer stalls."""
        first, end = await reader.open()
        self._reader = reader
        reader.seek(max(first, self._position))
        while True:
            self._timeout.heartbeat()
            for record in await reader.read(POLL, MOST):
                self._at = record.timestamp
                self._apply(record.key or b"", record.value, record.offset)
                self._position = record.offset + 1
            self._position = await reader.position()
            self._notify(reader, end)
            await asyncio.sleep(0)  # a read of what was already fetched does not suspend

    def _notify(self, reader: PartitionReader, end: int) -> None:
        mark, stable = reader.answered, reader.stable_end
        if mark is not None and mark != self._mark and stable is not None and self._position >= stable:
            self._mark, self._confirmed = mark, self._clock()
        if self._position >= end:
            self._complete.set()
        metrics.VIEW_POSITION.labels(self._tp.topic, self._tp.partition).set(self._position)
        for waiter, offset in self._waiters.items():
            if self._position > offset and not waiter.done():
                waiter.set_result(None)


async def contents(kafka: str, topic: str, limit: float) -> dict[bytes, bytes]:
    """Return the last value of every key in partition 0, as of now. Raises Hung if reading to the end takes more than
    ``limit`` seconds."""
    held: dict[bytes, bytes] = {}

    def apply(key: bytes, value: bytes | None, offset: int) -> None:
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value

    view = CompactedView(kafka, topic, apply)
    try:
        await within(limit, view.start())
        return held
    finally:
        await view.stop()
