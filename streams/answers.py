"""Answers of this host's shards, sent after the commit by a plain producer: hints, never awaited."""

import asyncio
from collections.abc import Iterable, Mapping

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.replies import Reply, ReplyRecord, encode
from streams import clients, metrics
from streams.replies import EVERYONE

log = structlog.get_logger("streams.answers")

PENDING = 10_000
"""Records in flight beyond which answers are dropped: their requests get a 202."""
PROBE = 0.5

MAX_HEADER = 64
"""Bytes of the longest ``reply`` header that a gateway writes."""
To = tuple[bytes, int]
"""A gateway's boot id and its partition of the replies topic."""


def address(header: bytes | None) -> tuple[To, int] | None:
    """Who waits, and the request's number, of a ``reply`` header; None when it is no such header."""
    if header is None or len(header) > MAX_HEADER:
        return None
    parts = header.split(b":")
    if len(parts) != 3 or not parts[1].isdigit() or not parts[2].isdigit():
        return None
    return (parts[0], int(parts[2])), int(parts[1])


class Answers:
    """Sends what it can; what it cannot send is counted and dropped."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None
        self._partitions: frozenset[int] = frozenset()
        self._pending: set[asyncio.Future[object]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._opening = asyncio.create_task(self._open())

    async def stop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._pending:
            await asyncio.wait(set(self._pending), timeout=1.0)
        if self._producer is not None:
            await clients.discard_producer(self._producer)

    async def answer(self, shard: int, position: int, replies: Mapping[To, list[Reply]]) -> None:
        """One record for each gateway that waits. ``position``: next raw offset of the shard."""
        for (boot, partition), some in replies.items():
            if partition in self._partitions:
                await self._send(boot, encode(ReplyRecord(shard, position, some)), partition)
            else:
                metrics.REPLIES_DROPPED.inc(len(some))

    async def tell(self, positions: Iterable[tuple[int, int]]) -> None:
        """Tell every gateway how far these shards are: (shard, next raw offset)."""
        values = [encode(ReplyRecord(shard, position)) for shard, position in positions]
        for partition in self._partitions:
            for value in values:
                await self._send(EVERYONE, value, partition)

    async def _send(self, key: bytes, value: bytes, partition: int) -> None:
        if self._producer is None or len(self._pending) >= PENDING:
            metrics.REPLIES_DROPPED.inc()
            return
        try:
            future = await self._producer.send(self._topic, value, key, partition=partition)
        except KafkaError as error:
            log.warning("answer_not_sent", error=repr(error))
            metrics.REPLIES_DROPPED.inc()
            return
        self._pending.add(future)
        future.add_done_callback(self._sent)

    def _sent(self, future: "asyncio.Future[object]") -> None:
        self._pending.discard(future)
        if not future.cancelled() and future.exception() is not None:
            metrics.REPLIES_DROPPED.inc()

    async def _open(self) -> None:
        while self._producer is None:
            producer = clients.hinting(self._kafka)
            try:
                await producer.start()
                self._partitions = frozenset(await producer.partitions_for(self._topic))
                self._producer = producer
            except Exception as error:
                # Also aiokafka's assertions: a broker that has not registered yet is a cluster of none.
                log.warning("answers_cannot_reach_kafka", error=repr(error))
                await asyncio.sleep(PROBE)
            finally:
                if self._producer is None:
                    await clients.discard_producer(producer)
