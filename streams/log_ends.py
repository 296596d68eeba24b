"""The end offsets of a shard's topics, and how far the shard has come."""

import asyncio
from typing import NamedTuple, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import ENTRIES, RAW
from streams.clients import discard_consumer
from streams.errors import EndsUnknown
from streams.shard_position import decided_until

MARKER = 1
"""Offsets above a committed record that hold no record: a transaction ends with a marker."""
TIMEOUT = 3.0
"""Seconds that the broker has to respond."""

log = structlog.get_logger()


class PartitionEnds(NamedTuple):
    """The offsets after the last record of rev.raw, and after the last record or marker of rev.entries, committed or
    not."""

    raw: int
    entries: int


class LogEnds(Protocol):
    """A source of a shard's end offsets. Raises EndsUnknown."""

    async def of(self, partition: int) -> PartitionEnds: ...

    async def decided(self, partition: int, at: int) -> bool: ...

    async def close(self) -> None: ...


class KafkaLogEnds:
    """A :class:`LogEnds` that queries the broker, over a connection opened by the first call."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._consumer: AIOKafkaConsumer | None = None
        self._opening = asyncio.Lock()

    async def of(self, partition: int) -> PartitionEnds:
        """Return the end offsets of one shard's topics. Raises EndsUnknown."""
        raw, entries = TopicPartition(RAW, partition), TopicPartition(ENTRIES, partition)
        try:
            async with asyncio.timeout(TIMEOUT):
                consumer = self._consumer or await self._open()
                found = await consumer.end_offsets([raw, entries])
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("log ends unknown", partition=partition, error=repr(error))
            raise EndsUnknown(repr(error)) from error
        return PartitionEnds(found[raw], found[entries])

    async def decided(self, partition: int, at: int) -> bool:
        """Return whether the shard has committed its decisions on every command appended until ``at`` (ms UTC).
        Raises EndsUnknown."""
        return await decided_until(self._kafka, partition, at)

    async def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await discard_consumer(consumer)

    async def _open(self) -> AIOKafkaConsumer:
        async with self._opening:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, enable_auto_commit=False)
                try:
                    await consumer.start()
                except BaseException:
                    await discard_consumer(consumer)
                    raise
                self._consumer = consumer
            return self._consumer
