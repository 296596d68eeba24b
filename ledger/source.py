"""One partition of rev.entries from Kafka: committed records, from an offset that we name.

No group, no committed offsets, no silent reset: an offset that the log does not hold is an
error. A consumer that has stopped answering is told by its own watchdog (Silent), since
aiokafka can go quiet for ever after a broker's restart.
"""

from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from ledger.blocks import LogRecord
from ledger.errors import SourceStalled, WrongLog
from ledger.writer import OffsetBounds
from schemas.topics import ENTRIES
from streams.clients import discard_consumer, partition_consumer
from streams.errors import Hung
from streams.heartbeat_timeout import within

HANGING = 15.0
"""Seconds that one call of the consumer may take beyond what it was asked to wait."""
SILENCE = 10_000
"""ms without an answered fetch until the consumer is given up; an idle one answers every 500 ms."""
GATHER = 100
"""ms that entries may come together at the broker; blocks are further apart than that."""
MAX_RECORDS = 5000
Clock = Callable[[], int]


class KafkaSource:
    """See ledger.writer.Source. ``now``: ms on the wall clock, the one that aiokafka stamps fetches with."""

    def __init__(self, kafka: str, partition: int, now: Clock, topic: str = ENTRIES, silence: int = SILENCE) -> None:
        self._kafka = kafka
        self._tp = TopicPartition(topic, partition)
        self._now = now
        self._silence = silence
        self._consumer: AIOKafkaConsumer | None = None
        self._answered: int | None = None
        self._since = 0

    async def open(self) -> OffsetBounds:
        consumer = self._consumer = partition_consumer(self._kafka, gather=GATHER)
        try:
            await within(HANGING, consumer.start())
            begin = await within(HANGING, consumer.beginning_offsets([self._tp]))
            end = await within(HANGING, consumer.end_offsets([self._tp]))
        except (KafkaError, Hung) as error:
            raise SourceStalled(f"Kafka: {error!r}") from error
        return OffsetBounds(begin[self._tp], end[self._tp])

    async def seek(self, offset: int) -> None:
        consumer = self._open_consumer
        # no await in between: the fetcher must never see the partition without a position
        consumer.assign([self._tp])
        consumer.seek(self._tp, offset)
        self._since, self._answered = self._now(), None

    async def read(self, timeout: float) -> Sequence[LogRecord]:
        consumer = self._open_consumer
        try:
            reading = consumer.getmany(self._tp, timeout_ms=int(timeout * 1000), max_records=MAX_RECORDS)
            found = await within(timeout + HANGING, reading)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            raise WrongLog(f"the log does not hold the ledger's next offset: {error!r}") from error
        except (KafkaError, Hung) as error:
            raise SourceStalled(f"Kafka: {error!r}") from error
        records = found.get(self._tp, [])
        self._watch(bool(records))
        return [LogRecord(record.offset, record.timestamp, record.value or b"") for record in records]

    async def position(self) -> int:
        try:
            return int(await within(HANGING, self._open_consumer.position(self._tp)))
        except (KafkaError, Hung) as error:
            raise SourceStalled(f"Kafka: {error!r}") from error

    def end(self) -> int:
        end = self._open_consumer.highwater(self._tp)
        return -1 if end is None else int(end)

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await discard_consumer(consumer)

    def _watch(self, got: bool) -> None:
        """Silence counts only between reads that found nothing: while ClickHouse is slow, no fetch is due."""
        answered = self._open_consumer.last_poll_timestamp(self._tp)
        if got or answered != self._answered:
            self._answered, self._since = answered, self._now()
        elif self._now() - self._since > self._silence:
            raise SourceStalled(f"no fetch was answered for {self._now() - self._since} ms")

    @property
    def _open_consumer(self) -> AIOKafkaConsumer:
        assert self._consumer is not None, "not open"
        return self._consumer
