"""rev.invoices as its one owner writes it: transactions of a producer that fences every earlier owner's."""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from collector import metrics
from collector.book import Change
from schemas import invoices
from schemas.topics import INVOICES
from streams.clients import discard_producer, transactional_producer
from streams.transaction import PartitionBatches, commit
from streams.views import contents

TRANSACTIONAL_ID = "rev-invoices"
READ_WITHIN = 600.0
"""Seconds within which the topic must be read."""


class InvoiceLog:
    """The topic, from :meth:`open` until an error or :meth:`close`."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> list[tuple[bytes, bytes]]:
        """Fence every earlier owner, and return what the topic holds. Raises KafkaError or Hung."""
        self._producer = transactional_producer(self._kafka, TRANSACTIONAL_ID)
        await self._producer.start()
        return [*(await contents(self._kafka, INVOICES, READ_WITHIN)).items()]

    async def commit(self, changes: Sequence[Change], now: int) -> None:
        """Write changes in one transaction. ``now``: ms UTC.

        Raises KafkaError or TimeoutError: whether they stand is then known only to the next owner.
        """
        assert self._producer is not None, "not open"
        batches = PartitionBatches(self._producer, INVOICES, 0)
        for key, value in changes:
            batches.add(key, None if value is None else invoices.encode(value), now)
        await commit(self._producer, [batches])
        metrics.WRITTEN.inc(len(changes))

    async def close(self) -> None:
        """Let go of the topic."""
        if self._producer is not None:
            await discard_producer(self._producer)
