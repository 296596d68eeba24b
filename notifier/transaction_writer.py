"""Writes one transaction of a partition's worker: backlog changes, attempts, unreadable records."""

from aiokafka import AIOKafkaProducer

from notifier import metrics
from notifier.scheduler import TransactionRecords
from streams.transaction import PartitionBatches, commit


class TransactionWriter:
    """Writer of one partition. ``producer`` belongs to the partition and fences every earlier owner's producer."""

    def __init__(self, producer: AIOKafkaProducer, partition: int, backlogs: str, deliveries: str, dead: str) -> None:
        self._producer = producer
        self._partition = partition
        self._backlogs = backlogs
        self._deliveries = deliveries
        self._dead = dead
        self._partitions = 1

    async def prepare(self) -> None:
        """Look up the number of partitions for deliveries."""
        self._partitions = len(await self._producer.partitions_for(self._deliveries))

    async def write(self, flush: TransactionRecords, now: int) -> None:
        """Write one transaction. Raises ProducerFenced, another KafkaError or TimeoutError; the worker is
        then discarded."""
        backlogs = PartitionBatches(self._producer, self._backlogs, self._partition)
        for key, value in flush.backlogs:
            backlogs.add(key, value, now)
        # not by endpoint: each partition that a transaction touches costs the broker two flushed writes
        tried = PartitionBatches(self._producer, self._deliveries, self._partition % self._partitions)
        for key, record in flush.records.deliveries:
            tried.add(key, record, now)
        dead = PartitionBatches(self._producer, self._dead, 0)
        for fault in flush.records.dead:
            metrics.FAULTS.inc()
            address = f"rev.entries/{self._partition}/{fault.line.offset}".encode()
            headers = [("reason", fault.reason[:1000].encode()), ("by", b"notifier")]
            dead.add(address, fault.line.value, now, headers)
        await commit(self._producer, [batch for batch in (backlogs, tried, dead) if batch.builders])
