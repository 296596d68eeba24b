"""One partition of rev.entries from Kafka: committed records, from a given offset."""

import time
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from ledger.blocks import LogRecord
from ledger.errors import SourceStalled, WrongLog
from ledger.writer import OffsetBounds
from schemas.topics import ENTRIES
from streams.clients import Clock
from streams.errors import Hung
from streams.partition_reader import PartitionReader

HANGING = 15.0
"""Seconds that one consumer call may take beyond its requested wait."""
SILENCE = 10.0
"""Seconds without an answered fetch until the consumer is abandoned; an idle one answers every 0.5 s."""
GATHER = 100
"""ms that the broker may gather entries; blocks are further apart than that."""
MAX_RECORDS = 5000
T = TypeVar("T")


class KafkaSource:
    """A ledger.writer.EntrySource. Any Kafka failure raises SourceStalled: another source is created."""

    def __init__(
        self, kafka: str, partition: int, topic: str = ENTRIES, silence: float = SILENCE, clock: Clock = time.monotonic
    ) -> None:
        self._kafka = kafka
        self._tp = TopicPartition(topic, partition)
        self._silence = silence
        self._clock = clock
        self._opened: PartitionReader | None = None

    async def open(self) -> OffsetBounds:
        self._opened = PartitionReader(
            self._kafka, self._tp, clock=self._clock, silence=self._silence, limit=HANGING, gather=GATHER
        )
        return OffsetBounds(*await _translated(self._opened.open()))

    async def seek(self, offset: int) -> None:
        self._reader.seek(offset)

    async def read(self, timeout: float) -> Sequence[LogRecord]:
        found = await _translated(self._reader.read(timeout, MAX_RECORDS))
        return [LogRecord(record.offset, record.timestamp, record.value or b"") for record in found]

    async def position(self) -> int:
        return await _translated(self._reader.position())

    def end(self) -> int:
        end = self._reader.end
        return -1 if end is None else end

    async def close(self) -> None:
        reader, self._opened = self._opened, None
        if reader is not None:
            await reader.close()

    @property
    def _reader(self) -> PartitionReader:
        assert self._opened is not None, "not open"
        return self._opened


async def _translated(call: Awaitable[T]) -> T:
    """Await a reader's call, and translate its failure into the ledger's errors."""
    try:
        return await call
    except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
        raise WrongLog(f"the log does not have the ledger's next offset: {error!r}") from error
    except (KafkaError, Hung) as error:
        raise SourceStalled(f"Kafka: {error!r}") from error
