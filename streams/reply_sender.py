"""Sending of this host's replies, directly to the gateway or through a best-effort producer: hints, never awaited."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.replies import Reply, ReplyRecord, encode
from streams import clients, metrics
from streams.direct import DirectConnections
from streams.reply_receiver import EVERYONE

log = structlog.get_logger("streams.reply_sender")

PENDING = 10_000
"""Maximum records in flight. Further replies are dropped, and their requests get a 202."""
PROBE = 0.5

MAX_HEADER = 128
"""Maximum bytes of a ``reply`` header that a gateway writes."""


class Progress(NamedTuple):
    """A shard's progress: the next rev.raw offset after what is committed, and the one after what is decided."""

    committed: int
    decided: int


class ReplyAddress(NamedTuple):
    """A gateway's boot id, its partition of the replies topic, and its address for direct replies (``host:port``, or
    empty for none)."""

    boot: bytes
    partition: int
    address: bytes = b""


def parse_reply_header(header: bytes | None) -> tuple[ReplyAddress, int] | None:
    """Return the gateway's address and the request number from a ``reply`` header, or None if the header is
    malformed."""
    if header is None or len(header) > MAX_HEADER:
        return None
    parts = header.split(b":", 3)
    if len(parts) < 3 or not parts[1].isdigit() or not parts[2].isdigit():
        return None
    where = parts[3] if parts[3:] else b""
    if parts[3:] and b":" not in where:
        return None
    return ReplyAddress(parts[0], int(parts[2]), where), int(parts[1])


class ReplySender:
    """A best-effort sender: replies that cannot be sent are counted and dropped."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None
        self._partitions: frozenset[int] = frozenset()
        self._pending: set[asyncio.Future[object]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
        self._connections = DirectConnections(time.monotonic)

    async def start(self) -> None:
        self._opening = asyncio.create_task(self._open())

    async def stop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._connections.stop()
        if self._pending:
            await asyncio.wait(set(self._pending), timeout=1.0)
        if self._producer is not None:
            await clients.discard_producer(self._producer)

    async def send(self, shard: int, progress: Progress, replies: Mapping[ReplyAddress, list[Reply]]) -> None:
        """Send one record to each waiting gateway."""
        for to, some in replies.items():
            value = encode(ReplyRecord(shard, progress.committed, some, progress.decided))
            if to.address and self._connections.send(to.boot, to.address, value):
                continue
            if to.partition in self._partitions:
                await self._produce(to.boot, value, to.partition)
            else:
                metrics.REPLIES_DROPPED.inc(len(some))

    async def announce(self, shards: Iterable[tuple[int, Progress]]) -> None:
        """Announce the progress of these shards to every gateway."""
        values = [encode(ReplyRecord(shard, at.committed, decided=at.decided)) for shard, at in shards]
        for partition in self._partitions:
            for value in values:
                await self._produce(EVERYONE, value, partition)

    async def _produce(self, key: bytes, value: bytes, partition: int) -> None:
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
            producer = clients.best_effort_producer(self._kafka)
            try:
                await producer.start()
                self._partitions = frozenset(await producer.partitions_for(self._topic))
                self._producer = producer
            except Exception as error:
                # Includes aiokafka's assertions: before a broker has registered, the cluster has no nodes.
                log.warning("answers_cannot_reach_kafka", error=repr(error))
                await asyncio.sleep(PROBE)
            finally:
                if self._producer is None:
                    await clients.discard_producer(producer)
