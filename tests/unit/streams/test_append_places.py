"""Which acknowledgements of a broker say where a record stands."""

from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from aiokafka.structs import RecordMetadata, TopicPartition

from streams.appends import placed


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
