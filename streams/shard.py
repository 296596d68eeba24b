"""One life of one shard: fence, restore, then decide, answer and commit until something fails.

What a record is decided to be follows from the log up to it, so it is settled when the record is durable. An answer
is therefore given when the decision is made, and the commit that writes it down comes later: whoever takes over after a
crash reads the same records and decides the same. Only what the log does not settle waits for its commit: a rejected
record, a result that Kafka may refuse as too large, configuration and what is owed to other shards.

A life that failed is never continued: whoever runs it throws it away and begins another one
from the log. What the records mean may not come in here.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas import ids
from schemas.replies import Configured, Reply
from streams import clients, metrics
from streams.answers import Answers, Progress, To
from streams.clients import Clock, forget
from streams.committer import HANGING, Committer
from streams.errors import Hung, TooManyRejects
from streams.intake import READ_AHEAD, Intake, Item
from streams.lifeline import Lifeline
from streams.names import STANDARD, Names
from streams.outbox import Outbox, Sender
from streams.rejects import TRIES, Refusals, RejectLimit
from streams.restore import Restore, Restored, Wall
from streams.state import REMEMBER_FOR, Store
from streams.types import Processor, StateView
from streams.watchdog import Watchdog
from streams.work import Work

log = structlog.get_logger("streams.shard")

POLL = 100
"""ms that a fetch is waited for before settled appends and pauses are looked at again."""
SILENCE = 5.0
AT_ONCE = 500
"""Events that are decided before their answers are sent and others get their turn."""


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


class Shard:
    """``next`` is the next raw offset to decide, ``running`` whether it has been restored."""

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
        self._count = metrics.SHARD_RECORDS.labels(partition)
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._outbox: Outbox | None = None
        self._commits: Committer | None = None

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self.next if self._commits is None else self._commits.next, self.next)

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
            restored = await self._line.hold(restore.run())
            self.next, self._at = restored.next, restored.at
            outbox = self._outbox = Outbox(self.partition, self._.sender)
            outbox.resume(self._store)
            commits = self._commits = self._committing(self._producer, outbox, restored)
            self.running = True
            metrics.SHARD_RESTORE.observe(self._.clock() - began)
            metrics.SHARD_STATE.labels(self.partition).set(2)
            log.info("shard_running", shard=self.partition, next=self.next, seconds=round(self._.clock() - began, 3))
            await self._together(commits.run(), self._decide_all(commits, outbox))
        finally:
            self._ending = True  # for a reader that was left behind
            self.running = False
            await self._close()

    async def pause(self) -> None:
        """Returns when all that was answered is committed; nothing is decided before :meth:`resume`."""
        self._open.clear()
        async with self._turn:
            if self._commits is not None and self.running:
                with contextlib.suppress(Hung):
                    await self._commits.flush(clean=True)

    def resume(self) -> None:
        self._open.set()

    def end(self) -> None:
        """Nothing is decided any more. Beside cancelling :meth:`run`, since a cancellation
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

    @staticmethod
    async def _together(commits: Coroutine[Any, Any, None], decisions: Coroutine[Any, Any, None]) -> None:
        """Until the decisions end, or either raises; what the commits raise comes first, being the cause of the
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
            await self._line.hold(self._read(commits, outbox))

    async def _read(self, commits: Committer, outbox: Outbox) -> None:
        """Decide what one consumer gives, until the watchdog wants another one."""
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
            if outbox.settled:
                commits.ask()
            await self._opened()
            if self._ending:
                return
            if len(intake):
                async with self._turn:
                    await self._decide(commits, intake)
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

    async def _decide(self, commits: Committer, intake: Intake) -> None:
        """Decide and answer what there is room for. A record that fails is tried alone, and then rejected."""
        apply, pending = self._.processor.apply, commits.pending
        done = events = 0
        last: Item | None = None
        failed: tuple[Item, str] | None = None
        sure = True
        for item in intake:
            if not sure or not commits.room(item) or events >= AT_ONCE:
                break
            if item.input.offset == self._refusals.condemned:
                failed = item, "Kafka refuses to take what it leads to"
                break
            try:
                sure = pending.add(item, apply(item.input, pending.overlay), commits.prompt)
            except Exception as error:
                failed = item, repr(error)
                break
            last, done, events = item, done + 1, events + item.weight
        if last is not None:
            intake.done(done)
            self.next, self._at = last.input.offset + 1, last.input.at
            self._tries = 0
            commits.ask()
        if failed is not None:
            pending = self._again(commits)
        await self._answer(pending)
        if failed is not None:
            await self._fail(commits, intake, *failed)
        elif not sure:
            await commits.flush()
        elif last is None:
            await commits.moved()

    def _again(self, commits: Committer) -> Work:
        """Decide again what is pending, since a decision that failed may have left half of itself there."""
        items = commits.begin_again()
        pending = commits.pending
        for item in items:
            pending.add(item, self._.processor.apply(item.input, pending.overlay), commits.prompt)
        return pending

    async def _fail(self, commits: Committer, intake: Intake, item: Item, reason: str) -> None:
        """A record that failed: everything before it is committed, then it is tried alone a few times, then its
        rejection is committed."""
        condemned = item.input.offset == self._refusals.condemned
        alone = not commits.pending.items
        await commits.flush()
        if not condemned:
            self._tries += alone
            if self._tries < TRIES:
                return
        self._reject(commits.pending, item, reason)
        self._tries = 0
        intake.done(1)
        self.next, self._at = item.input.offset + 1, item.input.at
        await commits.flush()

    async def _answer(self, pending: Work) -> None:
        """Send the answers that need not wait for the commit. One that was sent before is ignored by its receiver."""
        prompt, pending.prompt = pending.prompt, []
        replies: dict[To, list[Reply]] = {}
        for to, reply in prompt:
            replies.setdefault(to, []).append(reply)
        if replies:
            await self._.answers.answer(self.partition, self.progress, replies)

    def _committing(self, producer: AIOKafkaProducer, outbox: Outbox, restored: Restored) -> Committer:
        def work(below: StateView) -> Work:
            return Work(producer, self.partition, self._.partitions, below, self._.names)

        async def committed(work: Work) -> None:
            self._rejects.passed(len(work.items))
            self._count.inc(len(work.items))
            await self._publish(outbox, work)

        return Committer(
            producer,
            self._store,
            outbox,
            self._refusals,
            restored,
            self._.processor.version,
            work=work,
            committed=committed,
            clock=self._.clock,
        )

    async def _publish(self, outbox: Outbox, work: Work) -> None:
        """Answers that waited for the commit; those of decisions that owe appends wait until these stand, too.

        A configuration answer also waits for what earlier ones owe: who holds a key of a new
        log must find the log's first prices in force.
        """
        replies: dict[To, list[Reply]] = {}
        for answer in work.late:
            reply = work.reply_of(answer)
            if answer.owed or (outbox.busy and isinstance(reply, Configured)):
                outbox.put(answer.owed, partial(self._later, answer.to, reply))
            elif answer.to is not None and reply is not None:
                replies.setdefault(answer.to, []).append(reply)
        if replies:
            await self._.answers.answer(self.partition, self.progress, replies)

    async def _later(self, to: To | None, reply: Reply | None) -> None:
        if to is not None and reply is not None:
            await self._.answers.answer(self.partition, self.progress, {to: [reply]})

    def _reject(self, work: Work, item: Item, reason: str) -> None:
        """The refusal and the dead letter of one record, in one transaction."""
        if not self._rejects.reject():
            raise TooManyRejects(f"shard {self.partition} at offset {item.input.offset}: {reason}")
        log.error(
            "record_rejected", shard=self.partition, offset=item.input.offset, key=repr(item.input.key), reason=reason
        )
        metrics.SHARD_REJECTED.labels(self.partition).inc()
        work.add(item, self._.processor.reject(item.input, reason), False)
        work.bury(item, reason)
