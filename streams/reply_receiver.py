"""The return address of one gateway boot: a partition of rev.replies, a direct address, and request numbers.

A reply is only a hint, the entry is the truth: if a reply is lost, its request gets a 202.
"""

import asyncio
import random
import secrets
import time
from typing import NamedTuple

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from schemas.replies import Reply, ReplyRecord, decode
from schemas.topics import REPLIES, REPLY_HEADER
from streams import clients, metrics
from streams.clients import Clock
from streams.direct import DirectServer
from streams.errors import ConsumerStalled
from streams.heartbeat_timeout import HeartbeatTimeout
from streams.partition_reader import PartitionReader

log = structlog.get_logger("streams.reply_receiver")

EVERYONE = b"*"
POLL = 0.2
SILENCE = 3.0
HANGING = 6.0


class PendingReply(NamedTuple):
    """A request number, the header to append the request with, and the future of its reply."""

    n: int
    header: tuple[str, bytes]
    future: "asyncio.Future[Reply]"


class ReplyReceiver:
    """A receiver of replies. ``ready`` is true only while the read position is known, so that no reply can be missed.
    ``host`` is a local address for direct replies; if empty, replies come only through Kafka."""

    def __init__(self, kafka: str, *, topic: str = REPLIES, clock: Clock = time.monotonic, host: str = "") -> None:
        self.boot = secrets.token_hex(8)
        self.ready = False
        self.positions: dict[int, int] = {}
        """By shard: the next rev.raw offset after what is committed, as last reported by the shard."""
        self.decided: dict[int, int] = {}
        """By shard: the next rev.raw offset after what is decided."""
        self._kafka = kafka
        self._topic = topic
        self._clock = clock
        self._timeout = HeartbeatTimeout(HANGING, clock)
        self._n = 0
        self._expected: dict[int, asyncio.Future[Reply]] = {}
        self._partition = -1
        self._position: int | None = None
        self._first = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._host, self._direct = host, ""
        self._receiver = DirectServer(self.boot, self._take)

    async def start(self) -> None:
        """Return once replies can be received."""
        if self._host:
            try:
                self._direct = ":" + await self._receiver.start(self._host)
            except OSError as error:
                log.error("no_direct_answers", host=self._host, error=repr(error))
        self._task = asyncio.create_task(self._follow())
        await self._first.wait()

    async def stop(self) -> None:
        """Stop receiving and cancel all expected replies."""
        # A flag in addition to the cancellation, which aiokafka swallows while it closes a consumer.
        self._stopping = True
        await self._receiver.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for future in self._expected.values():
            future.cancel()

    def expect(self) -> PendingReply:
        """Return a new request number. Call :meth:`forget` when the reply is no longer wanted."""
        self._n += 1
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._expected[self._n] = future
        header = f"{self.boot}:{self._n}:{self._partition}{self._direct}".encode()
        return PendingReply(self._n, (REPLY_HEADER, header), future)

    def forget(self, n: int) -> None:
        self._expected.pop(n, None)

    def receive(self, key: bytes | None, value: bytes | None) -> None:
        """Process one record of the partition; records of another boot are ignored."""
        if value is not None and (key == EVERYONE or key == self.boot.encode()):
            self._take(value)

    def _take(self, value: bytes) -> None:
        try:
            record: ReplyRecord = decode(value)
        except msgspec.MsgspecError as error:
            log.error("reply_unreadable", boot=self.boot, error=repr(error))
            metrics.REPLIES_DROPPED.inc()
            return
        self.positions[record.shard] = record.position
        self.decided[record.shard] = max(record.position, record.decided)
        for reply in record.replies:
            future = self._expected.pop(reply.n, None)
            if future is not None and not future.done():
                future.set_result(reply)

    async def _follow(self) -> None:
        while not self._stopping:
            reader: PartitionReader | None = None
            try:
                tp = await self._timeout.run(self._address())
                reader = PartitionReader(self._kafka, tp, clock=self._clock, silence=SILENCE, committed=False)
                await self._timeout.run(self._read(reader))
            except ConsumerStalled:
                continue  # already logged and counted
            except Exception as error:
                log.error("replies_reader_failed", boot=self.boot, error=repr(error))
                metrics.CONSUMER_REBUILT.labels(self._topic, type(error).__name__).inc()
                if isinstance(error, OffsetOutOfRangeError):
                    self._position = None
                await asyncio.sleep(0.1 + random.random() * 0.2)
            finally:
                self.ready = False
                if reader is not None:
                    await reader.close()

    async def _read(self, reader: PartitionReader) -> None:
        _, end = await reader.open()
        if self._position is None:
            self._position = end
        reader.seek(self._position)
        self.ready = True
        self._first.set()
        while True:
            self._timeout.heartbeat()
            for record in await reader.read(POLL):
                self.receive(record.key, record.value)
            self._position = await reader.position()

    async def _address(self) -> TopicPartition:
        """Return the partition that this boot reads, chosen once."""
        if self._partition < 0:
            consumer = clients.partition_consumer(self._kafka, committed=False)
            try:
                await consumer.start()
                await consumer.end_offsets([TopicPartition(self._topic, 0)])  # loads the topic's metadata
                partitions = consumer.partitions_for_topic(self._topic)
            finally:
                await clients.discard_consumer(consumer)
            if not partitions:
                raise KafkaError(f"{self._topic} has no partitions")
            self._partition = random.choice(sorted(partitions))
        return TopicPartition(self._topic, self._partition)
