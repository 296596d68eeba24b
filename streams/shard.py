"""One run of one shard: fence, restore, then decide, answer and commit until something fails.

The log up to a record decides that record, so the decision is final as soon as the record is durable. The shard replies
when it has decided, and commits later: an owner that takes over after a crash reads the same records and makes the same
decisions. Only what the log does not decide waits for its commit: a rejected record, a result that Kafka may refuse as
too large, configuration, and records for other shards.

A failed run is never continued: its host discards it and starts another one from the log. This module does not
interpret the records.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition

from schemas import ids
from schemas.replies import ConfiguredReply, Reply
from streams import clients, metrics
from streams.clients import Clock, forget
from streams.committer import HANGING, Committer
from streams.errors import ConsumerStalled, Hung, TooManyRejects
from streams.heartbeat_timeout import HeartbeatTimeout
from streams.input_buffer import READ_AHEAD, InputBuffer, QueuedRecord
from streams.outbox import InputAppender, Outbox
from streams.partition_reader import PartitionReader
from streams.rejects import TRIES, BrokerRejections, RejectLimit
from streams.reply_sender import Progress, ReplyAddress, ReplySender
from streams.restore import Restore, Restored, Wall
from streams.state import RETENTION, StateStore
from streams.topic_names import STANDARD, TopicNames
from streams.transaction_builder import TransactionBuilder
from streams.types import Processor, StateView

log = structlog.get_logger("streams.shard")

POLL = 0.1
"""Seconds that a fetch waits before acknowledged appends and pauses are checked again."""
SILENCE = 5.0
AT_ONCE = 500
"""Maximum events decided before their replies are sent and other tasks run."""


class ShardConfig(NamedTuple):
    """The configuration that all shards of a host share. ``epoch`` is the log's; ``service`` names the group and, with
    the partition, the transactional id."""

    kafka: str
    service: str
    processor: Processor
    epoch: str
    partitions: int
    sender: InputAppender
    reply_sender: ReplySender
    names: TopicNames = STANDARD
    retention: int = RETENTION
    clock: Clock = time.monotonic
    wall: Wall = lambda: time.time_ns() // 1_000_000
    rejects: Callable[[], RejectLimit] = RejectLimit


class Shard:
    """One run of one shard. ``next`` is the next rev.raw offset to decide; ``running`` is true once it is restored."""

    def __init__(self, config: ShardConfig, partition: int, store: StateStore, rejections: BrokerRejections) -> None:
        self.partition = partition
        self.next = -1
        self.running = False
        self._config = config
        self._store = store
        self._raw = TopicPartition(config.names.raw, partition)
        self._rejects = config.rejects()
        self._timeout = HeartbeatTimeout(HANGING, config.clock)
        self._turn = asyncio.Lock()
        self._open = asyncio.Event()
        self._open.set()
        self._ending = False
        self._rejections = rejections
        self._tries = 0
        self._at = 0
        self._count = metrics.SHARD_RECORDS.labels(partition)
        self._producer: AIOKafkaProducer | None = None
        self._reader: PartitionReader | None = None
        self._outbox: Outbox | None = None
        self._commits: Committer | None = None

    @property
    def progress(self) -> Progress:
        """The shard's progress."""
        return Progress(self.next if self._commits is None else self._commits.next, self.next)

    async def run(self) -> None:
        """Run the shard; returns only after :meth:`end`. Raises ProducerFenced if another owner has taken over (or the
        broker aborted one of our transactions), ShardHalted if a person must look, or the error of whatever failed."""
        began = self._config.clock()
        metrics.SHARD_STATE.labels(self.partition).set(1)
        try:
            self._producer = clients.transactional_producer(
                self._config.kafka, f"{self._config.service}-{self.partition}"
            )
            await self._timeout.run(self._producer.start())
            restore = Restore(
                self._config.kafka,
                self.partition,
                self._store,
                self._config.processor,
                epoch=self._config.epoch,
                wall=self._config.wall,
                names=self._config.names,
                retention=self._config.retention,
                heartbeat=self._timeout.heartbeat,
            )
            restored = await self._timeout.run(restore.run())
            self.next, self._at = restored.next, restored.at
            outbox = self._outbox = Outbox(self.partition, self._config.sender)
            outbox.resume(self._store)
            commits = self._commits = self._committing(self._producer, outbox, restored)
            self.running = True
            metrics.SHARD_RESTORE.observe(self._config.clock() - began)
            metrics.SHARD_STATE.labels(self.partition).set(2)
            log.info(
                "shard_running", shard=self.partition, next=self.next, seconds=round(self._config.clock() - began, 3)
            )
            await self._together(commits.run(), self._decide_all(commits, outbox))
        finally:
            self._ending = True  # for an abandoned reader
            self.running = False
            await self._close()

    async def pause(self) -> None:
        """Commit all that was answered, then return. Nothing is decided before :meth:`resume`."""
        self._open.clear()
        async with self._turn:
            if self._commits is not None and self.running:
                with contextlib.suppress(Hung):
                    await self._commits.flush(clean=True)

    def resume(self) -> None:
        self._open.set()

    def end(self) -> None:
        """Stop deciding. Needed in addition to cancelling :meth:`run`, because aiokafka swallows a cancellation while
        it closes a consumer."""
        self._ending = True
        self._open.set()

    async def _close(self) -> None:
        if self._outbox is not None:
            await self._outbox.close()
        if self._reader is not None:
            await self._reader.close()
        if self._producer is not None:
            await clients.discard_producer(self._producer)

    @staticmethod
    async def _together(commits: Coroutine[Any, Any, None], decisions: Coroutine[Any, Any, None]) -> None:
        """Run both until the decisions end or either raises. The commits' error is raised first, because it causes the
        other."""
        tasks = [asyncio.create_task(commits), asyncio.create_task(decisions)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                forget(task)

    async def _decide_all(self, commits: Committer, outbox: Outbox) -> None:
        while not self._ending:
            reader = self._reader = PartitionReader(
                self._config.kafka, self._raw, clock=self._config.clock, silence=SILENCE
            )
            with contextlib.suppress(ConsumerStalled):
                await self._timeout.run(self._read(reader, commits, outbox))
            await reader.close()

    async def _read(self, reader: PartitionReader, commits: Committer, outbox: Outbox) -> None:
        """Decide a reader's records until it stalls."""
        await reader.start()
        reader.seek(self.next)
        buffer = InputBuffer(self._config.processor, self._at)
        while True:
            self._timeout.heartbeat()
            more = not buffer.full
            if more:
                buffer.add(await reader.read(0 if len(buffer) else POLL, READ_AHEAD))
            else:
                reader.rested()
            outbox.check()
            if outbox.acknowledged:
                commits.ask()
            await self._opened()
            if self._ending:
                return
            if len(buffer):
                async with self._turn:
                    await self._decide(commits, buffer)
            self._measure(reader)

    async def _opened(self) -> None:
        """Wait until no pause is in force; one may last as long as a rebalance."""
        while not self._open.is_set():
            self._timeout.heartbeat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._open.wait()

    def _measure(self, reader: PartitionReader) -> None:
        end = reader.end
        if end is not None:
            metrics.SHARD_LAG.labels(self.partition).set(max(0, end - self.next))
        metrics.SHARD_POSITION.labels(self.partition).set(self.next)
        metrics.SHARD_IDS_USED.labels(self.partition).set(self.next / ids.MAX_OFFSET)

    async def _decide(self, commits: Committer, buffer: InputBuffer) -> None:
        """Decide and answer as many records as fit. A record that fails is tried alone, and then rejected."""
        apply, pending = self._config.processor.apply, commits.pending
        done = events = 0
        last: QueuedRecord | None = None
        failed: tuple[QueuedRecord, str] | None = None
        safe = True
        for item in buffer:
            if not safe or not commits.has_room(item) or events >= AT_ONCE:
                break
            if item.input.offset == self._rejections.poison_offset:
                failed = item, "Kafka refuses the records that it produces"
                break
            try:
                safe = pending.add(item, apply(item.input, pending.overlay), commits.immediate)
            except Exception as error:
                failed = item, repr(error)
                break
            last, done, events = item, done + 1, events + item.weight
        if last is not None:
            buffer.done(done)
            self.next, self._at = last.input.offset + 1, last.input.at
            self._tries = 0
            commits.ask()
        if failed is not None:
            pending = self._again(commits)
        await self._answer(pending)
        if failed is not None:
            await self._fail(commits, buffer, *failed)
        elif not safe:
            await commits.flush()
        elif last is None:
            await commits.moved()

    def _again(self, commits: Committer) -> TransactionBuilder:
        """Decide the pending records again, because a failed decision may have left partial changes."""
        items = commits.begin_again()
        pending = commits.pending
        for item in items:
            pending.add(item, self._config.processor.apply(item.input, pending.overlay), commits.immediate)
        return pending

    async def _fail(self, commits: Committer, buffer: InputBuffer, item: QueuedRecord, reason: str) -> None:
        """Handle a record that failed: commit everything before it, try it alone a few times, then commit its
        rejection."""
        poison_offset = item.input.offset == self._rejections.poison_offset
        alone = not commits.pending.items
        await commits.flush()
        if not poison_offset:
            self._tries += alone
            if self._tries < TRIES:
                return
        self._reject(commits.pending, item, reason)
        self._tries = 0
        buffer.done(1)
        self.next, self._at = item.input.offset + 1, item.input.at
        await commits.flush()

    async def _answer(self, pending: TransactionBuilder) -> None:
        """Send the replies that need not wait for the commit. A receiver ignores one that was sent before."""
        immediate, pending.immediate = pending.immediate, []
        replies: dict[ReplyAddress, list[Reply]] = {}
        for to, reply in immediate:
            replies.setdefault(to, []).append(reply)
        if replies:
            await self._config.reply_sender.send(self.partition, self.progress, replies)

    def _committing(self, producer: AIOKafkaProducer, outbox: Outbox, restored: Restored) -> Committer:
        def transaction(below: StateView) -> TransactionBuilder:
            return TransactionBuilder(producer, self.partition, self._config.partitions, below, self._config.names)

        async def committed(transaction: TransactionBuilder) -> None:
            self._rejects.passed(len(transaction.items))
            self._count.inc(len(transaction.items))
            await self._publish(outbox, transaction)

        return Committer(
            producer,
            self._store,
            outbox,
            self._rejections,
            restored,
            self._config.processor.version,
            transaction=transaction,
            committed=committed,
            clock=self._config.clock,
        )

    async def _publish(self, outbox: Outbox, transaction: TransactionBuilder) -> None:
        """Send the replies that waited for the commit. Those of decisions that owe appends also wait for these appends.

        A configuration reply also waits for the appends that earlier ones owe: whoever holds a key of a new log must
        find the log's first prices in force.
        """
        replies: dict[ReplyAddress, list[Reply]] = {}
        for answer in transaction.deferred:
            reply = transaction.reply_of(answer)
            if answer.to_append or (outbox.busy and isinstance(reply, ConfiguredReply)):
                outbox.put(answer.to_append, partial(self._later, answer.to, reply))
            elif answer.to is not None and reply is not None:
                replies.setdefault(answer.to, []).append(reply)
        if replies:
            await self._config.reply_sender.send(self.partition, self.progress, replies)

    async def _later(self, to: ReplyAddress | None, reply: Reply | None) -> None:
        if to is not None and reply is not None:
            await self._config.reply_sender.send(self.partition, self.progress, {to: [reply]})

    def _reject(self, transaction: TransactionBuilder, item: QueuedRecord, reason: str) -> None:
        """Add a record's refusal and dead letter to one transaction."""
        if not self._rejects.reject():
            raise TooManyRejects(f"shard {self.partition} at offset {item.input.offset}: {reason}")
        log.error(
            "record_rejected", shard=self.partition, offset=item.input.offset, key=repr(item.input.key), reason=reason
        )
        metrics.SHARD_REJECTED.labels(self.partition).inc()
        transaction.add(item, self._config.processor.reject(item.input, reason), False)
        transaction.dead_letter(item, reason)
