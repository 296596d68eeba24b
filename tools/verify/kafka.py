"""Reads rev.raw for verify: every partition from its first offset, without a consumer group."""

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.limits import MAX_MESSAGE
from schemas.topics import RAW
from tools.verify.sources import CannotRun, RawRecord, Span

FETCH = 2_000
SILENCE = 30_000
"""Milliseconds without a record where there should be some."""


class KafkaLog:
    """Log in Kafka, an async context manager. Raises CannotRun if the broker cannot be read."""

    def __init__(self, bootstrap: str, topic: str = RAW) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=MAX_MESSAGE
        )

    async def __aenter__(self) -> "KafkaLog":
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise CannotRun(f"no Kafka answers at {self._bootstrap}; start it, or set REV_KAFKA or --data") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def spans(self) -> dict[int, Span]:
        try:
            return await self._spans()
        except (KafkaError, OSError) as error:
            raise CannotRun(f"Kafka at {self._bootstrap}: {error}") from error

    async def _spans(self) -> dict[int, Span]:
        partitions = [TopicPartition(self._topic, p) for p in await self._partitions()]
        # Ends before firsts: retention may advance meanwhile, but never beyond an end.
        ends = await self._consumer.end_offsets(partitions)
        firsts = await self._consumer.beginning_offsets(partitions)
        return {tp.partition: Span(firsts[tp], ends[tp]) for tp in partitions}

    async def _partitions(self) -> list[int]:
        # A consumer without an assignment does not know the partitions of any topic.
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            (found,) = await admin.describe_topics([self._topic])
        finally:
            await admin.close()
        if found["error_code"] != 0:
            raise CannotRun(f"Kafka at {self._bootstrap} has no topic {self._topic}")
        return sorted(partition["partition"] for partition in found["partitions"])

    async def records(self, partition: int, span: Span) -> AsyncIterator[RawRecord]:
        """Yield the records of a span in order. Raises CannotRun if retention has deleted some of them."""
        tp = TopicPartition(self._topic, partition)
        at = span.first
        self._consumer.assign([tp])
        try:
            self._consumer.seek(tp, at)
            while at < span.end:
                batch = await self._consumer.getmany(tp, timeout_ms=SILENCE, max_records=FETCH)
                records = [record for record in batch.get(tp, []) if record.offset < span.end]
                if not records:
                    raise CannotRun(
                        f"{self._topic}/{partition}: no record from offset {at} on; the partition ends at {span.end}"
                    )
                if records[0].offset != at:
                    raise CannotRun(f"{self._topic}/{partition}: expected offset {at}, got {records[0].offset}")
                for record in records:
                    yield RawRecord(record.offset, record.timestamp, record.key or b"", record.value or b"")
                at = records[-1].offset + 1
        except KafkaError as error:
            raise CannotRun(f"{self._topic}/{partition}: {error}") from error
        finally:
            self._consumer.unsubscribe()
