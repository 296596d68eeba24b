"""A log of entries as the pricer writes it: transactions, some of them aborted."""

from collections.abc import Iterable, Sequence
from typing import Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.entries import Entry, EntryRecord, encode

PRICE = PriceRef(7, "completion", Rates("0.5", "0.0003", "0.25"), 12, True)
AT = 1_774_915_200_000
"""2026-03-31T00:00:00Z"""


async def create_topic(kafka: str, name: str, partitions: int) -> None:
    """A topic with room for large records, unless it is there. Their times are old: retention must not take them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        if name not in await admin.list_topics():
            config = {"max.message.bytes": str(16 << 20), "retention.ms": "-1"}
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
    finally:
        await admin.close()


async def forget_records(kafka: str, topic: str, partition: int) -> int:
    """Empties a partition as retention does; where it begins and ends now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        everything = {TopicPartition(topic, partition): RecordsToDelete(-1)}
        (begin,) = (await admin.delete_records(everything)).values()
        return int(begin)
    finally:
        await admin.close()


def value(raw_offset: int, at: int = AT, count: int = 3) -> bytes:
    """An entry record with ``count`` events."""
    event = MeterEvent("copilot", "completion", tokens=2400)
    entries = [
        Entry("event", index=i, event=event, price=0, base="0.5", token="0.72", total="1.22") for i in range(count)
    ]
    return encode(EntryRecord("acme", raw_offset, at, entries, [PRICE], api_key_id=1))


class Log:
    """A transactional producer for one partition of a topic; records are numbered by raw offset."""

    def __init__(self, kafka: str, topic: str, partition: int) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka,
            transactional_id=f"{topic}-{partition}",
            retry_backoff_ms=5,
            max_request_size=16 << 20,
        )
        self._topic = topic
        self.partition = partition
        self.next = 0
        self.committed: list[int] = []
        """Raw offsets of what was committed, in order."""

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def append(self, times: Iterable[int], count: int = 3) -> None:
        """One committed transaction with a record for each time."""
        numbers = await self._send(times, count, commit=True)
        self.committed += numbers

    async def abort(self, times: Iterable[int]) -> None:
        """One aborted transaction; its records must never be seen."""
        await self._send(times, 3, commit=False)

    async def append_raw(self, values: Sequence[bytes]) -> None:
        """One committed transaction with these values."""
        async with self._producer.transaction():
            for text in values:
                await self._producer.send(self._topic, text, b"acme", self.partition, AT)

    async def _send(self, times: Iterable[int], count: int, commit: bool) -> list[int]:
        numbers = []
        await self._producer.begin_transaction()
        for at in times:
            numbers.append(self.next)
            await self._producer.send(self._topic, value(self.next, at, count), b"acme", self.partition, at)
            self.next += 1
        await self._producer.flush()
        await (self._producer.commit_transaction() if commit else self._producer.abort_transaction())
        return numbers
