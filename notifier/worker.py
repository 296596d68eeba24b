"""One partition of rev.entries: fence, restore, then read, match, send and write down until stopped.

Everything is decided by the Desk; here are the loops around it. A worker that fails is thrown
away, and the next one begins from what the log holds. A fenced one ends with Fenced: another
owner has taken over (or the broker gave a transaction of ours up), and only a new assignment by
the group may make the next one.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import structlog
from aiokafka.errors import ProducerFenced

from notifier import metrics, telling
from notifier.backlog import Position
from notifier.budget import Budget
from notifier.desk import Desk, Flight, Rules
from notifier.endpoints import Endpoint, Endpoints
from notifier.lanes import SELDOM, SOON
from notifier.reading import LogBegins, Pages, everything
from notifier.schedule import ROTATION
from notifier.sending import Answer, Delivery, Sender
from notifier.writing import Writer
from schemas import deliveries, topics
from schemas.config import Webhook
from schemas.secrets import SecretError
from streams import clients
from streams.clients import Clock
from streams.errors import LogMismatch
from streams.lifeline import Lifeline, within

log = structlog.get_logger("notifier.worker")

FLUSH = 0.15
"""Seconds between two transactions."""
QUIET = 5.0
"""…and between two that hold nothing but how far the partition was matched."""
TICK = 1.0
GRACE = 1.0
"""Seconds that requests under way get when the partition is let go."""
STALE = 5.0
"""Seconds without a confirmation of the configuration after which nothing is sent, since a deleted
endpoint must hear nothing."""
UNWRITTEN = 20_000
"""Attempts that no transaction holds yet, above which no more are made."""
TAIL_PAGE = 1000
PAGE = 500
HANGING = 20.0
ASKED = 5
"""Times that the log's end is asked for before it counts as another log."""


class Fenced(Exception):
    """Another owner of the partition has taken over."""

    def __init__(self, partition: int, error: Exception) -> None:
        super().__init__(f"partition {partition}: {error!r}")
        self.partition = partition


class Opener(Protocol):
    def decrypt(self, sealed: str) -> str: ...


class View(Protocol):
    def confirmed_age(self) -> float: ...


class GiveUp(Protocol):
    async def disable(self, endpoint: Endpoint, why: str) -> None: ...


class Setting(NamedTuple):
    """What every worker of a process is made with. ``now``: ms UTC that never go back; ``clock``:
    seconds. ``jitter`` gives numbers in [0, 1)."""

    kafka: str
    endpoints: Endpoints
    view: View
    sender: Sender
    box: Opener
    give_up: GiveUp
    budget: Budget
    rules: Rules
    now: Callable[[], int]
    clock: Clock
    jitter: Callable[[], float] = random.random
    entries: str = topics.ENTRIES
    backlogs: str = topics.BACKLOGS
    deliveries: str = topics.DELIVERIES
    dead: str = topics.DEAD


class PartitionWorker:
    """See streams.team.Worker."""

    def __init__(self, partition: int, setting: Setting) -> None:
        self.partition = partition
        self.trouble: str | None = f"partition {partition}: starting"
        self._ = setting
        self._desk = Desk(partition, setting.endpoints, setting.budget, setting.rules, setting.jitter)
        self._line = Lifeline(HANGING, setting.clock)
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._hungry = asyncio.Event()
        self._flights: set[asyncio.Task[None]] = set()
        self._crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._written = -1
        self._last_write = setting.clock()
        self._log = log.bind(partition=partition)

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Until stopped. Raises Fenced, LogMismatch (a person has to look), or what failed."""
        producer = clients.transactional(self._.kafka, f"notifier-{self.partition}")
        pages: list[Pages] = []
        try:
            await within(HANGING, producer.start())
            writer = Writer(producer, self.partition, self._.backlogs, self._.deliveries, self._.dead)
            await within(HANGING, writer.prepare())
            pages = [Pages(self._.kafka, self._.entries, self.partition, self._.clock) for _ in range(2)]
            tail, behind = pages
            await self._begin(tail)
            await behind.open()
            self.trouble = None
            await self._work(tail, behind, writer)
        except ProducerFenced as error:
            raise Fenced(self.partition, error) from error
        finally:
            for task in self._flights:
                clients.forget(task)
            self._desk.close()
            for one in pages:
                await one.close()
            await clients.discard_producer(producer)
            telling.forget(self.partition)

    async def _begin(self, tail: Pages) -> None:
        """Take over what the last owner left; after the fence, so that nobody writes any more."""
        first, end = await tail.open()
        kept = await self._line.hold(everything(self._.kafka, self._.backlogs, self.partition, self._line.beat))
        known = self._desk.restore(kept)
        next = await self._fresh_start(tail, end) if known is None else known.next
        if known is not None:
            await self._check(known, tail, end)
        self._desk.begin(next, known, first, self._.now())
        self._log.info("partition_begins", next=self._desk.next, end=end, lanes=len(self._desk.lanes))

    async def _check(self, known: Position, tail: Pages, end: int) -> None:
        """Raises LogMismatch when the position is of another log, or beyond this one's end."""
        here, epoch = f"partition {self.partition}: position {known.next}", self._.endpoints.epoch
        if known.epoch != epoch:
            raise LogMismatch(f"{here} of log {known.epoch}, this is log {epoch}")
        for _ in range(ASKED):  # a broker that has just restarted may tell an old end for a moment
            if known.next <= end:
                return
            await asyncio.sleep(1.0)
            _, end = await tail.bounds()
        raise LogMismatch(f"{here}, the log ends at {end}")

    async def _fresh_start(self, tail: Pages, end: int) -> int:
        """Where to begin a partition that nobody had yet: with what came after the first endpoint."""
        made = min((e.webhook.created_at for e in self._.endpoints.all()), default=None)
        found = None if made is None else await tail.since(made)
        return end if found is None else found

    async def _work(self, tail: Pages, behind: Pages, writer: Writer) -> None:
        loops = [self._tail(tail), self._catch_up(behind), self._send(), self._look_after()]
        tasks = [asyncio.create_task(loop) for loop in loops]
        # ends by itself when stopped: a transaction must not be cut off in the middle
        writing = asyncio.create_task(self._flush(writer))
        try:
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait([*tasks, writing, self._crashed], return_when=first)
            for task in done:
                task.result()
        except BaseException:
            writing.cancel()
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait([*tasks, writing], timeout=1.0)
        if self._flights:
            await asyncio.wait(self._flights, timeout=GRACE)
        await self._write(writer)

    async def _tail(self, pages: Pages) -> None:
        desk = self._desk
        while True:
            page = await pages.page(desk.next, TAIL_PAGE, 0.5)
            if page.next > page.start:
                desk.tail(page, self._.now())
                self._wake.set()
            end = pages.end()
            metrics.TAIL.labels(self.partition).set(0 if end is None else max(0, end - desk.next))
            await asyncio.sleep(0)

    async def _catch_up(self, pages: Pages) -> None:
        """Read for lanes that lag, and for retries whose body is no longer in memory."""
        desk = self._desk
        while True:
            for lane, stretch in desk.unresolved():
                first, _ = await pages.bounds()
                found = await pages.since(stretch.at)
                desk.resolve(lane, stretch, desk.next if found is None else found, first)
            offset = desk.want()
            if offset is None:
                self._hungry.clear()
                await _until(self._hungry, 0.5)
                continue
            try:
                page = await pages.page(offset, PAGE, 0.5)
            except LogBegins as begins:
                desk.log_begins(begins.first, self._.now())
                continue
            desk.read(page, self._.now())
            self._wake.set()
            await asyncio.sleep(0)

    async def _send(self) -> None:
        desk = self._desk
        while True:
            self._wake.clear()
            now = self._.now()
            wait = 1.0
            if self._may_send():
                for flight in desk.start(now):
                    self._fly(flight)
                self._hungry.set()
                due = desk.next_due()
                wait = wait if due is None else min(wait, max(0.0, (due - self._.now()) / 1000))
            else:
                wait = 0.1
            await _until(self._wake, wait)

    def _may_send(self) -> bool:
        stale = self._.view.confirmed_age() > STALE
        metrics.STALE.set(stale)
        return not stale and self._desk.unwritten < UNWRITTEN

    def _fly(self, flight: Flight) -> None:
        task = asyncio.create_task(self._attempt(flight))
        self._flights.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        """A bug of ours in what is made of an answer ends the worker: the next begins from what the log holds."""
        self._flights.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("attempt_failed", error=repr(error), exc_info=error)
            if not self._crashed.done():
                self._crashed.set_exception(error)
                self._crashed.exception()  # told already, should nobody wait any more

    async def _attempt(self, flight: Flight) -> None:
        letter = flight.letter
        try:
            secrets = self._secrets(flight.endpoint.webhook)
        except SecretError as error:
            metrics.UNREADABLE.inc()
            self._log.error("secret_unreadable", error=str(error), **_ids(flight))
            return self._not_sent(flight, SELDOM)
        answer = await self._try(flight, secrets)
        if answer.ours:
            metrics.NOT_SENT.inc()
            return self._not_sent(flight, SOON)
        now = self._.now()
        first = not flight.item.tries
        outcome = self._desk.answered(flight, answer, now)
        metrics.ATTEMPTS.labels(outcome).inc()
        metrics.SECONDS.observe(answer.latency_ms / 1000)
        if outcome == "delivered" and first and not flight.item.ref.replay:
            metrics.DELAY.observe(max(0, now - letter.at) / 1000)
        self._wake.set()

    def _secrets(self, hook: Webhook) -> tuple[str, ...]:
        """What to sign with, in clear. Raises SecretError."""
        sealed = [hook.secret]
        if hook.previous is not None and hook.rotated_at is not None and self._.now() - hook.rotated_at < ROTATION:
            sealed.append(hook.previous)
        return tuple(self._.box.decrypt(one) for one in sealed)

    def _not_sent(self, flight: Flight, wait: int) -> None:
        """Nothing was tried, for a fault on this side."""
        self._desk.not_sent(flight, wait, self._.now())
        self._wake.set()

    async def _try(self, flight: Flight, secrets: tuple[str, ...]) -> Answer:
        hook, letter, ids = flight.endpoint.webhook, flight.letter, _ids(flight)
        delivery = Delivery(
            hook.url, ids["event_id"], letter.type, ids["delivery"], letter.body, secrets, self._.now() // 1000
        )
        try:
            return await self._.sender.send(delivery)
        except Exception as error:
            # a bug of ours; the delivery is tried again, and its owner sees why
            self._log.error("sender_failed", error=repr(error), exc_info=error, **ids)
            return Answer(None, "internal error")

    async def _flush(self, writer: Writer) -> None:
        while not self._stopping.is_set():
            await _until(self._stopping, FLUSH)
            quiet = self._.clock() - self._last_write < QUIET
            if self._desk.dirty or (self._desk.next != self._written and not quiet):
                await self._write(writer)

    async def _write(self, writer: Writer) -> None:
        began, next = self._.clock(), self._desk.next
        if not self._desk.dirty and next == self._written:
            return
        flush = self._desk.snapshot()
        await writer.write(flush, self._.now())
        self._written, self._last_write = next, self._.clock()
        metrics.FLUSHES.inc()
        metrics.GAPS.inc(flush.told.gaps)
        metrics.FLUSH.observe(self._last_write - began)

    async def _look_after(self) -> None:
        while True:
            now = self._.now()
            for endpoint, why in self._desk.tick(now):
                await self._.give_up.disable(endpoint, why)
            telling.tell(self.partition, self._desk, self._.budget, now)
            self._wake.set()
            await asyncio.sleep(TICK)


def _ids(flight: Flight) -> dict[str, Any]:
    event = deliveries.event_id(flight.letter.event)
    id = flight.endpoint.id
    return {"webhook": id, "event_id": event, "delivery": deliveries.delivery_id(event, id)}


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
