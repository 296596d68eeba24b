"""One Kafka transaction of a shard: its records, and how they are written. This module makes no decisions."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

LIMIT = 15.0
"""Seconds after which a transaction is given up; the broker aborts it earlier."""


class RecordIndex(NamedTuple):
    """A record's place in its batches. Its offset is known once they are sent."""

    batch: int
    record: int


class PartitionBatches:
    """Records for one partition, in as many batches as needed. A full batch refuses silently, so every append is
    checked."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.builders: list[BatchBuilder] = []
        self._producer = producer
        self._bases: list[int] = []

    def add(
        self, key: bytes, value: bytes | None, timestamp: int, headers: list[tuple[str, bytes]] | None = None
    ) -> RecordIndex:
        """Add a record. ``timestamp`` is in ms. Raises TypeError if key or value is not bytes."""
        builder = self.builders[-1] if self.builders else None
        if builder is None or builder.append(timestamp=timestamp, key=key, value=value, headers=headers or []) is None:
            builder = self._producer.create_batch()
            if builder.append(timestamp=timestamp, key=key, value=value, headers=headers or []) is None:
                raise ValueError("a record does not fit into an empty batch")
            self.builders.append(builder)
        return RecordIndex(len(self.builders) - 1, builder.record_count() - 1)

    def sent(self, bases: list[int]) -> None:
        """Set the offset of the first record of each batch."""
        self._bases = bases

    def offset(self, index: RecordIndex) -> int:
        return self._bases[index.batch] + index.record

    def end(self) -> int | None:
        """Return the offset after the last record, or None if there are no records."""
        return self._bases[-1] + self.builders[-1].record_count() if self.builders else None


async def commit(producer: AIOKafkaProducer, batches: Sequence[PartitionBatches]) -> None:
    """Write all the batches in one transaction and commit it. Afterwards the batches know their offsets.

    Raises ProducerFenced, another KafkaError or TimeoutError; the transaction's outcome is then unknown until the next
    producer with this id has started.
    """
    async with asyncio.timeout(LIMIT):
        await producer.begin_transaction()
        bases = await _send(producer, batches)
        await producer.commit_transaction()
    for batch, some in zip(batches, bases, strict=True):
        batch.sent(some)


async def _send(producer: AIOKafkaProducer, batches: Sequence[PartitionBatches]) -> list[list[int]]:
    # Send the first batch of every partition before any second one, so that one request adds all the partitions to the
    # transaction.
    futures: dict[tuple[int, int], asyncio.Future[Any]] = {}
    for turn in range(max(len(batch.builders) for batch in batches)):
        for number, batch in enumerate(batches):
            if turn < len(batch.builders):
                builder = batch.builders[turn]
                futures[number, turn] = await producer.send_batch(builder, batch.topic, partition=batch.partition)
    # A commit does not fail if a batch failed.
    await asyncio.wait(futures.values())
    errors = [error for error in (future.exception() for future in futures.values()) if error is not None]
    if errors:
        raise errors[0]
    bases: list[list[int]] = [[] for _ in batches]
    for (number, _), future in sorted(futures.items(), key=lambda pair: pair[0]):
        if future.result().offset < 0:
            raise KafkaError("a batch was recorded before, at an offset that the broker has forgotten")
        bases[number].append(future.result().offset)
    return bases
