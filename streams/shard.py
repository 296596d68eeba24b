"""One life of one shard: fence, restore, then apply and commit until something fails.

A life that failed is never continued: whoever runs it throws it away and begins another one
from the log. What the records mean may not come in here.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from schemas import ids
from schemas.replies import Configured, Reply
from streams import clients, metrics
from streams.answers import Answers, To
from streams.clients import Clock
from streams.errors import TooManyRejects
from streams.intake import READ_AHEAD, Intake, Item
from streams.lifeline import Lifeline
from streams.names import STANDARD, Names
from streams.outbox import Outbox, Sender
from streams.position import Position
from streams.rejects import TRIES, Refusals, RejectLimit
from streams.restore import Restore, Wall
from streams.state import FORMAT, REMEMBER_FOR, Checkpoint, Store
from streams.transaction import commit
from streams.types import Processor
from streams.watchdog import Watchdog
from streams.work import Work

log = structlog.get_logger("streams.shard")

POLL = 100
"""ms that a fetch is waited for before settled appends and pauses are looked at again."""
SILENCE = 5.0
HANGING = 20.0
"""Seconds without a sign of life, longer than a transaction may take, after which a shard is rebuilt."""
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)
"""Kafka will never take these records, however often it is asked."""


class Setting(NamedTuple):
    """What every shard of a host is made with. ``epoch``: of the log; ``service`` names the
    group and, with the partition, the transactional id."""

    kafka: str
    service: str
    processor: Processor
    epoch: str
    partitions: int
    sender: Sender
    answers: Answers
    names: Names = STANDARD
    remember_for: int = REMEMBER_FOR
    clock: Clock = time.monotonic
    wall: Wall = lambda: time.time_ns() // 1_000_000
    rejects: Callable[[], RejectLimit] = RejectLimit


class Indigestible(Exception):
    """Applying record ``index`` of a batch raised."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


class Shard:
    """``next`` is the next raw offset to apply, ``running`` whether it has been restored."""

    def __init__(self, setting: Setting, partition: int, store: Store, refusals: Refusals) -> None:
        self.partition = partition
        self.next = -1
        self.running = False
        self._ = setting
        self._store = store
        self._raw = TopicPartition(setting.names.raw, partition)
        self._dog = Watchdog(SILENCE, setting.clock)
        self._rejects = setting.rejects()
        self._line = Lifeline(HANGING, setting.clock)
        self._turn = asyncio.Lock()
        self._open = asyncio.Event()
        self._open.set()
        self._ending = False
        self._refusals = refusals
        self._tries = 0
        self._at = 0
        self._reached = Checkpoint(setting.epoch, 0, 0, 0, FORMAT)
        self._count = metrics.SHARD_RECORDS.labels(partition)
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._outbox: Outbox | None = None

    async def run(self) -> None:
        """Returns after :meth:`end` alone. Raises ProducerFenced when another owner has taken over (or the
        broker gave up a transaction of ours), Stopped when a person must look, or what failed."""
        began = self._.clock()
        metrics.SHARD_STATE.labels(self.partition).set(1)
        try:
            self._producer = clients.transactional(self._.kafka, f"{self._.service}-{self.partition}")
            await self._line.hold(self._producer.start())
            restore = Restore(
                self._.kafka,
                self.partition,
                self._store,
                self._.processor,
                epoch=self._.epoch,
                wall=self._.wall,
                names=self._.names,
                remember_for=self._.remember_for,
                beat=self._line.beat,
            )
            self.next, self._at, self._reached = await self._line.hold(restore.run())
            self._outbox = Outbox(self.partition, self._.sender)
            self._outbox.resume(self._store)
            self.running = True
            metrics.SHARD_RESTORE.observe(self._.clock() - began)
            metrics.SHARD_STATE.labels(self.partition).set(2)
            log.info("shard_running", shard=self.partition, next=self.next, seconds=round(self._.clock() - began, 3))
            while not self._ending:
                await self._line.hold(self._read(self._producer, self._outbox))
        finally:
            self._ending = True  # for a reader that was left behind
            self.running = False
            await self._close()

    async def pause(self) -> None:
        """Returns when no transaction is open; none is begun before :meth:`resume`."""
        self._open.clear()
        async with self._turn:
            return

    def resume(self) -> None:
        self._open.set()

    def end(self) -> None:
        """No transaction is begun any more. Beside cancelling :meth:`run`, since a cancellation
        that meets aiokafka closing a consumer is swallowed there."""
        self._ending = True
        self._open.set()

    async def _close(self) -> None:
        if self._outbox is not None:
            await self._outbox.close()
        if self._consumer is not None:
            await clients.discard_consumer(self._consumer)
        if self._producer is not None:
            await clients.discard_producer(self._producer)

    async def _read(self, producer: AIOKafkaProducer, outbox: Outbox) -> None:
        """Apply what one consumer gives, until the watchdog wants another one."""
        consumer = self._consumer = clients.reader(self._.kafka)
        await consumer.start()
        consumer.assign([self._raw])
        consumer.seek(self._raw, self.next)
        intake = Intake(self._.processor, self._at)
        self._dog.reset()
        while True:
            self._line.beat()
            more = not intake.full
            fetched = {}
            if more:
                fetched = await consumer.getmany(timeout_ms=0 if len(intake) else POLL, max_records=READ_AHEAD)
            for records in fetched.values():
                intake.add(records)
            outbox.check()
            await self._opened()
            if self._ending:
                return
            if len(intake) or outbox.settled:
                async with self._turn:
                    await self._step(producer, outbox, intake)
            if fetched or not more:
                self._dog.reset()
            elif await self._silent(consumer):
                await clients.discard_consumer(consumer)
                return
            self._measure(consumer)

    async def _opened(self) -> None:
        """Until no pause is in force; one may last as long as a rebalance does."""
        while not self._open.is_set():
            self._line.beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._open.wait()

    async def _silent(self, consumer: AIOKafkaConsumer) -> bool:
        why = self._dog.observe(
            await consumer.position(self._raw),
            consumer.last_stable_offset(self._raw),
            consumer.last_poll_timestamp(self._raw),
        )
        if why is None:
            return False
        log.error("shard_consumer_replaced", shard=self.partition, why=why, next=self.next)
        metrics.CONSUMER_REBUILT.labels(self._raw.topic, why).inc()
        return True

    def _measure(self, consumer: AIOKafkaConsumer) -> None:
        end = consumer.highwater(self._raw)
        if end is not None:
            metrics.SHARD_LAG.labels(self.partition).set(max(0, end - self.next))
        metrics.SHARD_POSITION.labels(self.partition).set(self.next)
        metrics.SHARD_IDS_USED.labels(self.partition).set(self.next / ids.MAX_OFFSET)

    async def _step(self, producer: AIOKafkaProducer, outbox: Outbox, intake: Intake) -> None:
        """One transaction, or one failed try at a record that cannot be applied."""
        began = self._.clock()
        batch = intake.batch(self._refusals.ceiling)
        decided = self._decided(producer, batch)
        if decided is None:
            return
        batch, work = decided
        try:
            await self._commit(producer, outbox, batch, work)
        except REFUSED:
            self._refusals.refused([item.input.offset for item in batch])
            raise
        self._tries = 0
        self._refusals.taken(self.next - 1)
        self._rejects.passed(len(batch))
        intake.done(len(batch))
        await self._publish(outbox, work)
        metrics.TRANSACTION.observe(self._.clock() - began)
        self._count.inc(len(batch))

    def _decided(self, producer: AIOKafkaProducer, batch: list[Item]) -> tuple[list[Item], Work] | None:
        """What to commit now: all of the batch, or what comes before a record that fails, or
        its rejection. None: try it again."""
        if batch and batch[0].input.offset == self._refusals.condemned:
            return batch[:1], self._reject(producer, batch[0], "Kafka refuses to take what it leads to")
        try:
            return batch, self._decide(producer, batch)
        except Indigestible as error:
            if error.index > 0:
                # Everything before it is committed first, so that it is tried alone.
                return batch[: error.index], self._decide(producer, batch[: error.index])
            self._tries += 1
            if self._tries < TRIES:
                return None
            return batch[:1], self._reject(producer, batch[0], error.reason)

    async def _commit(self, producer: AIOKafkaProducer, outbox: Outbox, batch: list[Item], work: Work) -> None:
        """Commit, and only then let the local state know."""
        settled = list(outbox.settled)
        last = batch[-1].input if batch else None
        reached = Position(
            self.next if last is None else last.offset + 1, self._at if last is None else last.at, self._.epoch
        )
        await commit(producer, work.finish(reached, settled))
        state, entries = work.state.end(), work.entries.end()
        self._reached = Checkpoint(
            self._.epoch,
            self._reached.state if state is None else state,
            self._reached.entries if entries is None else entries,
            reached.at,
            FORMAT,
        )
        self._store.write(work.overlay.changes, work.overlay.remembered.values(), self._reached)
        self.next, self._at = reached.next, reached.at
        del outbox.settled[: len(settled)]

    async def _publish(self, outbox: Outbox, work: Work) -> None:
        """Answers, after the commit; those of decisions that owe appends after these stand.

        A configuration answer also waits for what earlier ones owe: who holds a key of a new
        log must find the log's first prices in force.
        """
        replies: dict[To, list[Reply]] = {}
        for answer in work.answers:
            reply = work.reply_of(answer)
            if answer.owed or (outbox.busy and isinstance(reply, Configured)):
                outbox.put(answer.owed, partial(self._later, answer.to, reply))
            elif answer.to is not None and reply is not None:
                replies.setdefault(answer.to, []).append(reply)
        if replies:
            await self._.answers.answer(self.partition, self.next, replies)

    async def _later(self, to: To | None, reply: Reply | None) -> None:
        if to is not None and reply is not None:
            await self._.answers.answer(self.partition, self.next, {to: [reply]})

    def _work(self, producer: AIOKafkaProducer) -> Work:
        return Work(producer, self.partition, self._.partitions, self._store, self._.names)

    def _decide(self, producer: AIOKafkaProducer, batch: list[Item]) -> Work:
        work = self._work(producer)
        apply, overlay, add = self._.processor.apply, work.overlay, work.add
        done = 0
        try:
            for item in batch:
                add(item, apply(item.input, overlay))
                done += 1
        except Exception as error:
            raise Indigestible(done, repr(error)) from error
        return work

    def _reject(self, producer: AIOKafkaProducer, item: Item, reason: str) -> Work:
        """The refusal and the dead letter of one record, in one transaction."""
        if not self._rejects.reject():
            raise TooManyRejects(f"shard {self.partition} at offset {item.input.offset}: {reason}")
        log.error(
            "record_rejected", shard=self.partition, offset=item.input.offset, key=repr(item.input.key), reason=reason
        )
        metrics.SHARD_REJECTED.labels(self.partition).inc()
        work = self._work(producer)
        work.add(item, self._.processor.reject(item.input, reason))
        work.bury(item, reason)
        return work
