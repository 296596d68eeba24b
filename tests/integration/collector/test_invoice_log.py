"""rev.invoices on a real broker: one owner writes, and who comes next has everything that was committed."""

from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from collector.book import Book, Change
from collector.invoice_log import InvoiceLog
from deploy.bootstrap import new_topic
from schemas.invoices import ISSUER_KEY, Issuer
from schemas.topics import INVOICES, topics

pytestmark = pytest.mark.integration


@pytest.fixture
async def kafka_with_invoices(own_kafka: str) -> AsyncIterator[str]:
    """A broker with the topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=own_kafka)
    await admin.start()
    await admin.create_topics([new_topic(topic, 1) for topic in topics(1) if topic.name == INVOICES])
    await admin.close()
    yield own_kafka


async def test_a_new_owner_fences_the_one_before(kafka_with_invoices: str) -> None:
    first, second = InvoiceLog(kafka_with_invoices), InvoiceLog(kafka_with_invoices)
    assert await first.open() == []
    await first.commit([Change(ISSUER_KEY, Issuer("2026-11"))], 1)
    held = await second.open()
    book = Book()
    book.load(held)
    assert book.issuer == Issuer("2026-11")
    with pytest.raises(KafkaError):
        await first.commit([Change(ISSUER_KEY, Issuer("2026-11", next_invoice=99))], 2)
    await second.commit([Change(ISSUER_KEY, Issuer("2026-11", next_invoice=2))], 3)
    third = InvoiceLog(kafka_with_invoices)
    book.load(await third.open())
    assert book.issuer == Issuer("2026-11", next_invoice=2)
    for one in (first, second, third):
        await one.close()
