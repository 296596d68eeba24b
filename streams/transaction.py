"""One Kafka transaction of a shard: what it writes, and writing it. Decisions may not come in here."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

LIMIT = 15.0
"""Seconds after which a transaction is given up; the broker has aborted it before."""


class RecordIndex(NamedTuple):
    """Where a record stands in its batches; its offset is known once they were sent."""

    batch: int
    record: int


class PartitionBatches:
    """Records for one partition, in as many batches as they need: a full batch refuses
    silently, so every append is checked."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.builders: list[BatchBuilder] = []
        self._producer = producer
        self._bases: list[int] = []

    def add(
        self, key: bytes, value: bytes | None, timestamp: int, headers: list[tuple[str, bytes]] | None = None
    ) -> RecordIndex:
        """``timestamp`` in ms. Raises TypeError for what is not bytes."""
        builder = self.builders[-1] if self.builders else None
        if builder is None or builder.append(timestamp=timestamp, key=key, value=value, headers=headers or []) is None:
            builder = self._producer.create_batch()
            if builder.append(timestamp=timestamp, key=key, value=value, headers=headers or []) is None:
                raise ValueError("an empty batch refused a record")
            self.builders.append(builder)
        return RecordIndex(len(self.builders) - 1, builder.record_count() - 1)

    def sent(self, bases: list[int]) -> None:
        """Offsets of the first record of each batch."""
        self._bases = bases

    def offset(self, index: RecordIndex) -> int:
        return self._bases[index.batch] + index.record

    def end(self) -> int | None:
        """The offset after the last record; None when there was none."""
        return self._bases[-1] + self.builders[-1].record_count() if self.builders else None


async def commit(producer: AIOKafkaProducer, batches: Sequence[PartitionBatches]) -> None:
    """Write all the drafts in one transaction and commit it.

    Raises ProducerFenced, another KafkaError or TimeoutError; the transaction's fate is then
    unknown until the next producer of this id has been started. Offsets are in the drafts after.
    """
    async with asyncio.timeout(LIMIT):
        await producer.begin_transaction()
        bases = await _send(producer, batches)
        await producer.commit_transaction()
    for batch, some in zip(batches, bases, strict=True):
        batch.sent(some)


async def _send(producer: AIOKafkaProducer, batches: Sequence[PartitionBatches]) -> list[list[int]]:
    # The first batch of every partition before any second one, so that one request adds
    # all the partitions to the transaction.
    futures: dict[tuple[int, int], asyncio.Future[Any]] = {}
    for turn in range(max(len(batch.builders) for batch in batches)):
        for number, batch in enumerate(batches):
            if turn < len(batch.builders):
                builder = batch.builders[turn]
                futures[number, turn] = await producer.send_batch(builder, batch.topic, partition=batch.partition)
    # A commit does not fail because a batch did.
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
