"""How far a shard has come, for a reader that does not own it: the end of rev.state and of rev.raw at a time."""

import time

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import RAW, STATE
from streams import position
from streams.errors import ConsumerStalled, EndsUnknown, Hung
from streams.partition_reader import Ends, PartitionReader

WAIT = 0.2
"""Seconds that one read may wait."""
SILENCE = 3.0
LIMIT = 3.0
"""Seconds that the broker has to answer a call."""
SPANS = (64, 4096, 2**62)
"""Records before the end in which the position is looked for. Every transaction of a shard ends with it."""


async def decided_until(kafka: str, partition: int, at: int) -> bool:
    """Return whether the shard has committed its decisions on every command that was appended until ``at`` (ms UTC).

    A command that is appended later has a later accepted time if the broker's clock has passed ``at``.
    Raises EndsUnknown.
    """
    try:
        raw = PartitionReader(kafka, TopicPartition(RAW, partition), clock=time.monotonic, silence=SILENCE, limit=LIMIT)
        try:
            ends = await raw.open()
            after = await raw.since(at + 1)
        finally:
            await raw.close()
        return await committed_position(kafka, partition) >= (ends.end if after is None else after)
    except (KafkaError, ConsumerStalled, Hung, TimeoutError, OSError) as error:
        raise EndsUnknown(repr(error)) from error


async def committed_position(kafka: str, partition: int) -> int:
    """Return the next offset of rev.raw after what the shard has committed; 0 if it has committed nothing.

    Raises KafkaError, ConsumerStalled or Hung.
    """
    state = PartitionReader(kafka, TopicPartition(STATE, partition), clock=time.monotonic, silence=SILENCE, limit=LIMIT)
    try:
        ends = await state.open()
        for span in SPANS:
            found = await _last_position(state, ends, max(ends.first, ends.end - span))
            if found is not None:
                return found
        return 0
    finally:
        await state.close()


async def _last_position(state: PartitionReader, ends: Ends, start: int) -> int | None:
    """Return the last position in the records from ``start`` to the end, or None."""
    found = None
    if start >= ends.end:
        return None
    state.seek(start)
    while await state.position() < min(ends.end, ends.end if state.stable_end is None else state.stable_end):
        for record in await state.read(WAIT):
            if record.key == position.KEY:
                decoded = position.decode(record.value)
                found = None if decoded is None else decoded.next
    return found
