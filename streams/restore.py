"""Restoring a shard's local state to the committed end of its log, after the fence.

A checkpoint that does not match is discarded, and the state is read from the beginning.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.limits import DAY
from streams import clients, metrics, position
from streams.errors import LogMismatch, OtherVersion
from streams.partition_reader import Ends
from streams.state import FORMAT, RETENTION, Checkpoint, StateStore
from streams.topic_names import STANDARD, TopicNames
from streams.types import InputRecord, Processor, RetainedRecord

log = structlog.get_logger("streams.restore")

OLDEST = 3 * DAY
"""ms. rev.state drops tombstones after 7 days, so an older checkpoint would keep deleted records."""
POLL = 200

Wall = Callable[[], int]
"""This machine's time in ms. It can only make a checkpoint look older and decides nothing else."""


class Restored(NamedTuple):
    next: int
    """Next rev.raw offset to apply."""
    at: int
    checkpoint: Checkpoint
    immediate: bool
    """True if replies may be sent before the first commit: the position says that some may already have been."""


def mismatch(checkpoint: Checkpoint, epoch: str, state: Ends, entries: Ends, now: int) -> str | None:
    """Return why a checkpoint cannot be used, or None. ``now`` is in ms, the latest of all known clocks."""
    if checkpoint.epoch != epoch:
        return "epoch"
    if checkpoint.format != FORMAT:
        return "format"
    if checkpoint.state > state.end or checkpoint.entries > entries.end:
        return "beyond"
    return "old" if now - checkpoint.at > OLDEST else None


class Restore:
    """One restore. ``epoch`` is the log's, read from rev.config beforehand."""

    def __init__(
        self,
        kafka: str,
        partition: int,
        store: StateStore,
        processor: Processor,
        *,
        epoch: str,
        wall: Wall,
        names: TopicNames = STANDARD,
        retention: int = RETENTION,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self._kafka = kafka
        self._store = store
        self._processor = processor
        self._epoch = epoch
        self._wall = wall
        self._beat = heartbeat
        self._retention = retention
        self._raw = TopicPartition(names.raw, partition)
        self._state = TopicPartition(names.state, partition)
        self._entries = TopicPartition(names.entries, partition)

    async def run(self) -> Restored:
        """Restore the state. Call it after the fence, because it reads the end offsets. Raises LogMismatch,
        OtherVersion, KafkaError."""
        consumer = clients.partition_consumer(self._kafka)
        try:
            await consumer.start()
            tps = [self._raw, self._state, self._entries]
            consumer.assign(tps)
            consumer.pause(*tps)
            first, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            ends = {tp: Ends(first[tp], end[tp]) for tp in tps}
            return await self._restore(consumer, ends)
        finally:
            await clients.discard_consumer(consumer)

    async def _restore(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, Ends]) -> Restored:
        checkpoint = self._fitting(ends, self._wall())
        await self._read_state(consumer, ends, checkpoint)
        found = position.decode(self._store.get(position.KEY))
        if checkpoint is not None and found is not None and self._fitting(ends, found.at, checkpoint) is None:
            checkpoint = None
            await self._read_state(consumer, ends, None)
            found = position.decode(self._store.get(position.KEY))
        start = self._start(found, ends[self._raw])
        at = 0 if found is None else found.at
        await self._read_entries(consumer, ends, checkpoint, at)
        final = Checkpoint(self._epoch, ends[self._state].end, ends[self._entries].end, at, FORMAT)
        self._store.write({}, (), final)
        return Restored(start, at, final, found is not None and not found.clean)

    def _fitting(
        self, ends: dict[TopicPartition, Ends], now: int, checkpoint: Checkpoint | None = None
    ) -> Checkpoint | None:
        """Return the checkpoint if it can be used; otherwise clear the store."""
        checkpoint = checkpoint or self._store.checkpoint()
        if checkpoint is None:
            return None
        why = mismatch(checkpoint, self._epoch, ends[self._state], ends[self._entries], now)
        if why is None:
            return checkpoint
        log.warning("checkpoint_discarded", shard=self._raw.partition, why=why, checkpoint=checkpoint)
        metrics.SHARD_REBUILT.labels(why).inc()
        self._store.clear()
        return None

    def _start(self, found: position.Position | None, raw: Ends) -> int:
        if found is None:
            if raw.first > 0:
                raise LogMismatch(f"{self._raw} begins at offset {raw.first}, but the shard has no position")
            return 0
        if found.epoch != self._epoch:
            raise LogMismatch(f"{self._raw}: the position belongs to log {found.epoch}, but this is log {self._epoch}")
        version = self._processor.version
        if found.version != version and not found.clean:
            raise OtherVersion(
                f"{self._raw}: version {found.version} of the rules may have answered records from {found.next} on, but"
                f" this release has version {version}; start the old release once more and stop it in order"
            )
        if not raw.first <= found.next <= raw.end:
            raise LogMismatch(
                f"{self._raw} has offsets {raw.first} to {raw.end}, but the shard's position is {found.next}"
            )
        return found.next

    async def _read_state(
        self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, Ends], checkpoint: Checkpoint | None
    ) -> None:
        tp, (first, end) = self._state, ends[self._state]
        consumer.seek(tp, first if checkpoint is None else max(first, checkpoint.state))
        entries = 0 if checkpoint is None else checkpoint.entries
        consumer.resume(tp)
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=POLL)).values():
                changes = {record.key: record.value for record in records}
                # The checkpoint has the time of the records read, not of now: if this is interrupted and resumed much
                # later, it counts as old.
                upto = Checkpoint(self._epoch, records[-1].offset + 1, entries, records[-1].timestamp, FORMAT)
                self._beat()
                self._store.write(changes, (), upto)
        consumer.pause(tp)

    async def _read_entries(
        self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, Ends], checkpoint: Checkpoint | None, at: int
    ) -> None:
        tp, (first, end) = self._entries, ends[self._entries]
        if checkpoint is not None and checkpoint.entries > 0:
            start = max(first, checkpoint.entries)
        else:
            since = (await consumer.offsets_for_times({tp: max(0, at - self._retention)})).get(tp)
            start = end if since is None else since.offset
        consumer.seek(tp, start)
        consumer.resume(tp)
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=POLL)).values():
                upto = Checkpoint(self._epoch, ends[self._state].end, records[-1].offset + 1, at, FORMAT)
                self._beat()
                self._store.write({}, self._retained(records), upto)
        consumer.pause(tp)

    def _retained(self, records: list) -> list[RetainedRecord]:  # type: ignore[type-arg]
        return [
            retained
            for record in records
            for retained in self._processor.retained_from(
                InputRecord(record.partition, record.offset, record.key or b"", record.value or b"", record.timestamp)
            )
        ]
