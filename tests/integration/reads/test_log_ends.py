"""Where the ends of a shard's topics are, on a real broker."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ingest.reads.event_status import MARKER
from schemas.topics import ENTRIES, RAW
from streams.errors import EndsUnknown
from streams.log_ends import KafkaLogEnds, PartitionEnds

pytestmark = pytest.mark.integration
SHARD = 1


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    """A transactional producer, with the two topics there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    missing = {RAW, ENTRIES} - set(await admin.list_topics())
    await admin.create_topics([NewTopic(name, 4, 1) for name in missing])
    await admin.close()
    made = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="log-ends")
    await made.start()
    yield made
    await made.stop()


async def test_a_commit_ends_with_one_marker(
    kafka: str, producer: AIOKafkaProducer, eventually: Callable[..., Awaitable[None]]
) -> None:
    """What is written counts at once, committed or not; a commit adds one offset, its marker."""
    ends = KafkaLogEnds(kafka)
    before = await ends.of(SHARD)
    await producer.begin_transaction()
    await producer.send_and_wait(ENTRIES, b"1", partition=SHARD)
    last = await producer.send_and_wait(ENTRIES, b"2", partition=SHARD)
    assert await ends.of(SHARD) == PartitionEnds(before.raw, last.offset + 1)
    await producer.commit_transaction()

    async def marked() -> bool:
        return await ends.of(SHARD) == PartitionEnds(before.raw, last.offset + 1 + MARKER)

    await eventually(marked)
    await ends.close()


async def test_a_broker_that_is_away(unused: str) -> None:
    """Without a broker the ends are unavailable, which is said within seconds."""
    ends = KafkaLogEnds(unused)
    with pytest.raises(EndsUnknown):
        await ends.of(0)
    await ends.close()


@pytest.fixture
def unused() -> str:
    """An address where nothing listens."""
    return "127.0.0.1:1"
