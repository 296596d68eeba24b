"""One transaction of a partition's worker: what is left, what was tried, what cannot be read."""

from aiokafka import AIOKafkaProducer

from notifier import metrics
from notifier.desk import Flush
from schemas.topics import partition_of
from streams.transaction import Draft, commit


class Writer:
    """``producer`` belongs to the partition: it fences every earlier owner's."""

    def __init__(self, producer: AIOKafkaProducer, partition: int, backlogs: str, deliveries: str, dead: str) -> None:
        self._producer = producer
        self._partition = partition
        self._backlogs = backlogs
        self._deliveries = deliveries
        self._dead = dead
        self._partitions = 1

    async def prepare(self) -> None:
        """Learn how many partitions there are for deliveries."""
        self._partitions = len(await self._producer.partitions_for(self._deliveries))

    async def write(self, flush: Flush, now: int) -> None:
        """Raises ProducerFenced, another KafkaError or TimeoutError: the worker is then thrown away."""
        backlogs = Draft(self._producer, self._backlogs, self._partition)
        for key, value in flush.backlogs:
            backlogs.add(key, value, now)
        tried: dict[int, Draft] = {}
        for key, record in flush.told.deliveries:
            self._draft(tried, partition_of(key, self._partitions), self._deliveries).add(key, record, now)
        dead: dict[int, Draft] = {}
        for fault in flush.told.dead:
            metrics.FAULTS.inc()
            address = f"rev.entries/{self._partition}/{fault.line.offset}".encode()
            headers = [("reason", fault.reason[:1000].encode()), ("by", b"notifier")]
            self._draft(dead, 0, self._dead).add(address, fault.line.value, now, headers)
        await commit(self._producer, [backlogs, *tried.values(), *dead.values()])

    def _draft(self, drafts: dict[int, Draft], partition: int, topic: str) -> Draft:
        if partition not in drafts:
            drafts[partition] = Draft(self._producer, topic, partition)
        return drafts[partition]
