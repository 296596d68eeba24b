"""Appends that are acknowledged once the record is durable, and refused at once when Kafka is out of reach.

One idempotent producer serves every request of the process. When the outcome of an append is unknown, the producer is
discarded, because aiokafka never gives up a batch by itself.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from schemas.topics import RAW, partition_of
from streams import clients, metrics
from streams.clients import Clock
from streams.errors import AppendUnknown, NotRecorded

log = structlog.get_logger("streams.appends")

PROBE = 0.2
"""Seconds between attempts to reach the broker while appends are refused."""
STALL = 1.0
"""New appends are refused when the oldest one has waited this many seconds, or half the time-out if that is less."""


class Appended(NamedTuple):
    """The address of an acknowledged record, and its append time in ms UTC."""

    partition: int
    offset: int
    timestamp_ms: int


def placed(stands: RecordMetadata) -> bool:
    """True if the broker returned the record's offset. It returns none for a repeated batch that it has forgotten
    (DuplicateSequenceNumber); aiokafka treats that as a success and counts offsets from -1."""
    return stands.offset >= 0 and (stands.log_start_offset is None or stands.log_start_offset >= 0)


def _expire(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(TimeoutError())


class _Line:
    """One producer and its records in flight, oldest first."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int) -> None:
        self.producer = producer
        self.partition = lru_cache(1 << 16)(lambda key: partition_of(key, partitions))
        self.waiting: dict[asyncio.Future[Appended], float] = {}

    def oldest(self) -> float | None:
        return next(iter(self.waiting.values()), None)


class Appender:
    """An appender to one topic. ``append_timeout`` is in ms. While the broker cannot be reached, every append is
    refused at once with NotRecorded, and a new producer is tried in the background."""

    def __init__(
        self,
        kafka: str,
        *,
        append_timeout: int,
        topic: str = RAW,
        clock: Clock = time.monotonic,
        make: Callable[[str], AIOKafkaProducer] = clients.idempotent_producer,
    ) -> None:
        self._kafka = kafka
        self._make = make
        self._topic = topic
        self._timeout = append_timeout / 1000
        self._stall = min(STALL, self._timeout / 2)
        self._clock = clock
        self._line: _Line | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._count = metrics.APPENDS.labels(topic)

    @property
    def ready(self) -> bool:
        """True if an append would be attempted now."""
        return self._refusal() is None

    async def start(self) -> None:
        """Return when the first attempt to reach the broker has succeeded or failed, or after the append time-out.
        Check :attr:`ready` for the result."""
        self._open()
        assert self._opening is not None
        await asyncio.wait([self._opening], timeout=self._timeout)

    async def stop(self) -> None:
        """Wait up to the append time-out for records in flight, then close. The rest raise AppendUnknown."""
        self._stopped = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._line is not None:
            waiting = list(self._line.waiting)
            if waiting:
                await asyncio.wait(waiting, timeout=self._timeout)
            self._give_up(self._line, "stopped")
        if self._closing:
            await asyncio.wait(self._closing)

    async def append(
        self, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = (), partition: int | None = None
    ) -> Appended:
        """Append a record and return its address once every required replica has it.

        Raises NotRecorded if the record never entered the producer, AppendUnknown if it may have been recorded.
        Cancelling the call does not withdraw the record.
        """
        refusal = self._refusal()
        line = self._line
        if refusal is not None or line is None:
            raise self._refused(refusal or "not started")
        future = await self._enter(line, key, value, headers, line.partition(key) if partition is None else partition)
        line.waiting[future] = self._clock()
        # a timer of its own: asyncio.timeout costs four times as much, for every record
        timer = asyncio.get_running_loop().call_later(self._timeout, _expire, future)
        try:
            stands = await future
        except MessageSizeTooLargeError as error:
            # The broker refused the record, which also breaks the producer's sequence.
            self._give_up(line, repr(error))
            raise self._refused(repr(error)) from error
        except (KafkaError, TimeoutError, AppendUnknown) as error:
            raise self._unknown(line, repr(error)) from error
        finally:
            timer.cancel()
            line.waiting.pop(future, None)
        if not placed(stands):
            raise self._unknown(line, "no offset")
        self._count.inc()
        return Appended(stands.partition, stands.offset, stands.timestamp)

    async def _enter(
        self, line: _Line, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]], partition: int
    ) -> "asyncio.Future":  # type: ignore[type-arg]
        """Hand the record to the producer. Until this returns, nothing can have been recorded."""
        try:
            async with asyncio.timeout(self._stall):
                return await line.producer.send(  # type: ignore[no-any-return]
                    self._topic, value, key, partition=partition, headers=list(headers)
                )
        except (MessageSizeTooLargeError, TimeoutError) as error:
            raise self._refused(repr(error)) from error
        except KafkaError as error:
            self._give_up(line, repr(error))
            raise self._refused(repr(error)) from error

    def _refusal(self) -> str | None:
        """Return why no append may be attempted now, or None."""
        if self._line is None:
            return "the log cannot be reached"
        oldest = self._line.oldest()
        if oldest is not None and self._clock() - oldest > self._stall:
            return "the log does not answer"
        return None

    def _refused(self, reason: str) -> NotRecorded:
        metrics.APPENDS_REFUSED.labels(self._topic).inc()
        return NotRecorded(reason)

    def _unknown(self, line: _Line, reason: str) -> AppendUnknown:
        metrics.APPENDS_UNKNOWN.labels(self._topic).inc()
        self._give_up(line, reason)
        return AppendUnknown(reason)

    def _give_up(self, line: _Line, reason: str) -> None:
        """Fail everything in flight on the line with AppendUnknown, and open the next line."""
        if self._line is not line:
            return
        if not self._stopped:
            log.error("appender_gave_up_producer", topic=self._topic, in_flight=len(line.waiting), reason=reason)
        self._line = None
        metrics.APPENDER_READY.labels(self._topic).set(0)
        for future in line.waiting:
            if not future.done():
                future.set_exception(AppendUnknown("its producer was replaced"))
        closing = asyncio.create_task(clients.discard_producer(line.producer))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        if not self._stopped:
            self._open()

    def _open(self) -> None:
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._reach())

    async def _reach(self) -> None:
        """Retry until a producer has started and knows the topic."""
        while self._line is None and not self._stopped:
            producer = self._make(self._kafka)
            try:
                await producer.start()
                partitions = await producer.partitions_for(self._topic)
                self._line = _Line(producer, len(partitions))
                metrics.APPENDER_READY.labels(self._topic).set(1)
            except Exception as error:
                # Includes aiokafka's assertions: before a broker has registered, the cluster has no nodes.
                log.warning("appender_cannot_reach_kafka", topic=self._topic, error=repr(error))
                await asyncio.sleep(PROBE)
            finally:
                if self._line is None:
                    await clients.discard_producer(producer)
