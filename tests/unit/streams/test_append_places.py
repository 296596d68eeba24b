"""Which acknowledgements of a broker say where a record stands."""

from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from aiokafka.structs import RecordMetadata, TopicPartition

from streams.appends import Appender, placed
from streams.errors import AppendUnknown


async def acknowledged(offset: int, timestamp: int, log_start: int) -> list[RecordMetadata]:
    """What aiokafka makes of one answer of the broker to a batch of three records."""
    batch = MessageBatch(TopicPartition("t", 0), BatchBuilder(1 << 16, 0), 10.0, 0.0)
    futures = [batch.append(b"k", b"v", None) for _ in range(3)]
    batch.done(offset, timestamp, log_start)
    return [await future for future in futures]


async def test_records_of_a_batch_that_was_appended_are_placed() -> None:
    """An offset is believed, at the log's very beginning too, whoever gave the records their time."""
    for timestamp in (-1, 1_774_915_200_000):
        found = await acknowledged(0, timestamp, 0)
        assert [one.offset for one in found] == [0, 1, 2] and all(map(placed, found))


async def test_no_record_of_a_forgotten_repeat_is_placed() -> None:
    """After DuplicateSequenceNumber aiokafka reports offsets for all but the first record; none is one."""
    found = await acknowledged(-1, -1, -1)
    assert [one.offset for one in found] == [-1, 0, 1] and not any(map(placed, found))


class Silent(AIOKafkaProducer):
    """A producer whose broker takes a batch and never answers."""

    batch: MessageBatch

    async def start(self) -> None:
        self.batch = MessageBatch(TopicPartition("t", 0), BatchBuilder(1 << 16, 0), 10.0, 0.0)

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    async def send(self, *_: object, **__: object) -> object:
        return self.batch.append(b"k", b"v", None)


async def test_an_append_that_is_not_acknowledged_in_time_is_unknown(
    eventually: Callable[..., Awaitable[None]],
) -> None:
    """Its producer is replaced, and an acknowledgement that comes later is nobody's."""
    made: list[Silent] = []

    def make(kafka: str) -> Silent:
        made.append(Silent(bootstrap_servers=kafka))
        return made[-1]

    appender = Appender("127.0.0.1:1", append_timeout=20, make=make)
    await appender.start()
    with pytest.raises(AppendUnknown):
        await appender.append(b"k", b"v")
    made[0].batch.done(0, -1, 0)
    await eventually(lambda: len(made) == 2 and appender.ready)
    await appender.stop()


class Alone(AIOKafkaProducer):
    """A producer that finds a broker with two partitions of everything, or none the first times."""

    misses = 2

    async def start(self) -> None:
        if Alone.misses:
            Alone.misses -= 1
            raise AssertionError("a cluster without brokers")

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1}


async def test_a_cluster_without_brokers_is_asked_again(eventually: Callable[..., Awaitable[None]]) -> None:
    """aiokafka asserts that some broker is known; one that is just coming back is not, for a moment."""
    appender = Appender("127.0.0.1:1", append_timeout=5000, make=lambda kafka: Alone(bootstrap_servers=kafka))
    await appender.start()
    await eventually(lambda: appender.ready)
    await appender.stop()
    assert Alone.misses == 0
