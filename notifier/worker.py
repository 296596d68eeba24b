"""Works on one partition of rev.entries: fences, restores, then reads, matches, sends and writes until
stopped.

The DeliveryScheduler makes all decisions; this module contains the loops around it. A worker that fails is
discarded, and the next one begins from what the log holds. A fenced worker ends with NotifierFenced:
another owner has taken over (or the broker aborted one of its transactions), and only a new assignment by
the group may create the next one.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import structlog
from aiokafka.errors import ProducerFenced

from notifier import gauges, metrics
from notifier.backlog import BacklogPosition
from notifier.endpoint_queue import SELDOM, SOON
from notifier.endpoints import Endpoint, Endpoints
from notifier.entry_reader import EntryReader, LogBegins, read_all
from notifier.resource_limits import ResourceLimits
from notifier.retry_policy import ROTATION
from notifier.scheduler import DeliveryAttempt, DeliveryRules, DeliveryScheduler
from notifier.sender import WebhookRequest, WebhookResponse, WebhookSender
from notifier.transaction_writer import TransactionWriter
from schemas import deliveries, topics
from schemas.config import Webhook
from schemas.secrets import SecretError
from streams import clients
from streams.clients import Clock
from streams.errors import LogMismatch
from streams.heartbeat_timeout import HeartbeatTimeout, within

log = structlog.get_logger("notifier.worker")

FLUSH = 0.15
"""Seconds between two transactions."""
QUIET = 5.0
"""Seconds between two transactions that hold only the position."""
TICK = 1.0
GRACE = 1.0
"""Seconds that requests in flight get when the partition is released."""
STALE = 5.0
"""Seconds without a confirmation of the configuration after which nothing is sent, since nothing may be
sent to a deleted endpoint."""
UNWRITTEN = 20_000
"""Number of attempts in no transaction yet, above which no more are made."""
TAIL_PAGE = 1000
PAGE = 500
HANGING = 20.0
ASKED = 5
"""Number of times to check the log's end before it counts as another log."""


class NotifierFenced(Exception):
    """Error: another owner of the partition has taken over."""

    def __init__(self, partition: int, error: Exception) -> None:
        super().__init__(f"partition {partition}: {error!r}")
        self.partition = partition


class SecretOpener(Protocol):
    def decrypt(self, sealed: str) -> str: ...


class View(Protocol):
    def confirmed_age(self) -> float: ...


class DisableEndpoint(Protocol):
    async def disable(self, endpoint: Endpoint, why: str) -> None: ...


class WorkerConfig(NamedTuple):
    """Configuration shared by all workers of a process. ``now``: ms UTC, never goes back; ``clock``:
    seconds. ``jitter`` returns numbers in [0, 1)."""

    kafka: str
    endpoints: Endpoints
    view: View
    sender: WebhookSender
    box: SecretOpener
    disable: DisableEndpoint
    limits: ResourceLimits
    rules: DeliveryRules
    now: Callable[[], int]
    clock: Clock
    jitter: Callable[[], float] = random.random
    entries: str = topics.ENTRIES
    backlogs: str = topics.BACKLOGS
    deliveries: str = topics.DELIVERIES
    dead: str = topics.DEAD


class DeliveryWorker:
    """Worker of one partition; see streams.partition_workers.Worker."""

    def __init__(self, partition: int, config: WorkerConfig) -> None:
        self.partition = partition
        self.not_ready_reason: str | None = f"partition {partition}: starting"
        self._config = config
        self._scheduler = DeliveryScheduler(partition, config.endpoints, config.limits, config.rules, config.jitter)
        self._timeout = HeartbeatTimeout(HANGING, config.clock)
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._wants_read = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._written = -1
        self._last_write = config.clock()
        self._log = log.bind(partition=partition)

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Run until stopped. Raises NotifierFenced, LogMismatch (a person has to look), or the error that ended it."""
        producer = clients.transactional_producer(self._config.kafka, f"notifier-{self.partition}")
        pages: list[EntryReader] = []
        try:
            await within(HANGING, producer.start())
            writer = TransactionWriter(
                producer, self.partition, self._config.backlogs, self._config.deliveries, self._config.dead
            )
            await within(HANGING, writer.prepare())
            pages = [
                EntryReader(self._config.kafka, self._config.entries, self.partition, self._config.clock)
                for _ in range(2)
            ]
            tail, behind = pages
            await self._begin(tail)
            await behind.open()
            self.not_ready_reason = None
            await self._work(tail, behind, writer)
        except ProducerFenced as error:
            raise NotifierFenced(self.partition, error) from error
        finally:
            for task in self._attempts:
                clients.forget(task)
            self._scheduler.close()
            for one in pages:
                await one.close()
            await clients.discard_producer(producer)
            gauges.remove(self.partition)

    async def _begin(self, tail: EntryReader) -> None:
        """Restore what the last owner left; called after the fence, so that nobody else writes any more."""
        first, end = await tail.open()
        kept = await self._timeout.run(
            read_all(
                self._config.kafka,
                self._config.backlogs,
                self.partition,
                self._timeout.heartbeat,
                self._config.clock,
            )
        )
        known = self._scheduler.restore(kept)
        next = await self._fresh_start(tail, end) if known is None else known.next
        if known is not None:
            await self._check(known, tail, end)
        self._scheduler.begin(next, known, first, self._config.now())
        self._log.info("partition_begins", next=self._scheduler.next, end=end, queues=len(self._scheduler.queues))

    async def _check(self, known: BacklogPosition, tail: EntryReader, end: int) -> None:
        """Raise LogMismatch if the position is of another log, or beyond the end of this one."""
        here, epoch = f"partition {self.partition}: position {known.next}", self._config.endpoints.epoch
        if known.epoch != epoch:
            raise LogMismatch(f"{here} belongs to log {known.epoch}, but this is log {epoch}")
        for _ in range(ASKED):  # a broker that has just restarted may return an old end for a moment
            if known.next <= end:
                return
            await asyncio.sleep(1.0)
            _, end = await tail.bounds()
        raise LogMismatch(f"{here}, but the log ends at {end}")

    async def _fresh_start(self, tail: EntryReader, end: int) -> int:
        """Return where to begin a partition that never had an owner: at the first record after the first endpoint."""
        made = min((e.webhook.created_at for e in self._config.endpoints.all()), default=None)
        found = None if made is None else await tail.since(made)
        return end if found is None else found

    async def _work(self, tail: EntryReader, behind: EntryReader, writer: TransactionWriter) -> None:
        loops = [self._tail(tail), self._catch_up(behind), self._send(), self._look_after()]
        tasks = [asyncio.create_task(loop) for loop in loops]
        # ends by itself when stopped: a transaction must not be interrupted
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
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=GRACE)
        await self._write(writer)

    async def _tail(self, pages: EntryReader) -> None:
        scheduler = self._scheduler
        while True:
            page = await pages.page(scheduler.next, TAIL_PAGE, 0.5)
            if page.next > page.start:
                scheduler.tail(page, self._config.now())
                self._wake.set()
            end = pages.end()
            metrics.TAIL.labels(self.partition).set(0 if end is None else max(0, end - scheduler.next))
            await asyncio.sleep(0)

    async def _catch_up(self, pages: EntryReader) -> None:
        """Read for queues that lag, and for retries whose body is no longer in memory."""
        scheduler = self._scheduler
        while True:
            for queue, offset_range in scheduler.unresolved():
                first, _ = await pages.bounds()
                found = await pages.since(offset_range.at)
                offset = scheduler.next if found is None else found
                scheduler.resolve(queue, offset_range, offset, first, self._config.now())
            wanted = scheduler.want()
            if wanted is None:
                self._wants_read.clear()
                await _until(self._wants_read, 0.5)
                continue
            try:
                page = await pages.page(wanted, PAGE, 0.5)
            except LogBegins as begins:
                scheduler.log_begins(begins.first, self._config.now())
                continue
            scheduler.read(page, self._config.now())
            self._wake.set()
            await asyncio.sleep(0)

    async def _send(self) -> None:
        scheduler = self._scheduler
        while True:
            self._wake.clear()
            now = self._config.now()
            wait = 1.0
            if self._may_send():
                for attempt in scheduler.start(now):
                    self._start(attempt)
                self._wants_read.set()
                due = scheduler.next_due()
                wait = wait if due is None else min(wait, max(0.0, (due - self._config.now()) / 1000))
            else:
                wait = 0.1
            await _until(self._wake, wait)

    def _may_send(self) -> bool:
        stale = self._config.view.confirmed_age() > STALE
        metrics.STALE.set(stale)
        return not stale and self._scheduler.unwritten < UNWRITTEN

    def _start(self, attempt: DeliveryAttempt) -> None:
        task = asyncio.create_task(self._attempt(attempt))
        self._attempts.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        """End the worker if handling a response failed, which is a bug: the next begins from what the log holds."""
        self._attempts.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("attempt_failed", error=repr(error), exc_info=error)
            if not self._crashed.done():
                self._crashed.set_exception(error)
                self._crashed.exception()  # already logged, in case nobody waits any more

    async def _attempt(self, attempt: DeliveryAttempt) -> None:
        payload = attempt.payload
        try:
            secrets = self._secrets(attempt.endpoint.webhook)
        except SecretError as error:
            metrics.UNREADABLE.inc()
            self._log.error("secret_unreadable", error=str(error), **_ids(attempt))
            return self._not_sent(attempt, SELDOM)
        answer = await self._try(attempt, secrets)
        if answer.ours:
            metrics.NOT_SENT.inc()
            return self._not_sent(attempt, SOON)
        now = self._config.now()
        first = not attempt.delivery.tries
        outcome = self._scheduler.answered(attempt, answer, now)
        metrics.ATTEMPTS.labels(outcome).inc()
        metrics.SECONDS.observe(answer.latency_ms / 1000)
        if outcome == "delivered" and first and not attempt.delivery.ref.replay:
            metrics.DELAY.observe(max(0, now - payload.at) / 1000)
        self._wake.set()

    def _secrets(self, hook: Webhook) -> tuple[str, ...]:
        """Return the secrets to sign with, in clear. Raises SecretError."""
        sealed = [hook.secret]
        if (
            hook.previous is not None
            and hook.rotated_at is not None
            and self._config.now() - hook.rotated_at < ROTATION
        ):
            sealed.append(hook.previous)
        return tuple(self._config.box.decrypt(one) for one in sealed)

    def _not_sent(self, attempt: DeliveryAttempt, wait: int) -> None:
        """Record that an attempt was not made because of a fault on this side."""
        self._scheduler.not_sent(attempt, wait, self._config.now())
        self._wake.set()

    async def _try(self, attempt: DeliveryAttempt, secrets: tuple[str, ...]) -> WebhookResponse:
        hook, payload, ids = attempt.endpoint.webhook, attempt.payload, _ids(attempt)
        delivery = WebhookRequest(
            url=hook.url,
            event_id=ids["event_id"],
            type=payload.type,
            delivery_id=ids["delivery"],
            body=payload.body,
            secrets=secrets,
            timestamp_s=self._config.now() // 1000,
        )
        try:
            return await self._config.sender.send(delivery)
        except Exception as error:
            # a bug on this side; the delivery is retried, and its owner sees why
            self._log.error("sender_failed", error=repr(error), exc_info=error, **ids)
            return WebhookResponse(None, "internal error")

    async def _flush(self, writer: TransactionWriter) -> None:
        while not self._stopping.is_set():
            await _until(self._stopping, FLUSH)
            quiet = self._config.clock() - self._last_write < QUIET
            if self._scheduler.dirty or (self._scheduler.next != self._written and not quiet):
                await self._write(writer)

    async def _write(self, writer: TransactionWriter) -> None:
        began, next = self._config.clock(), self._scheduler.next
        if not self._scheduler.dirty and next == self._written:
            return
        flush = self._scheduler.snapshot(self._config.now())
        await writer.write(flush, self._config.now())
        self._written, self._last_write = next, self._config.clock()
        metrics.FLUSHES.inc()
        metrics.GAPS.inc(flush.records.gaps)
        metrics.FLUSH.observe(self._last_write - began)

    async def _look_after(self) -> None:
        while True:
            now = self._config.now()
            for endpoint, why in self._scheduler.tick(now):
                await self._config.disable.disable(endpoint, why)
            gauges.update(self.partition, self._scheduler, self._config.limits, now)
            self._wake.set()
            await asyncio.sleep(TICK)


def _ids(attempt: DeliveryAttempt) -> dict[str, Any]:
    event = deliveries.event_id(attempt.payload.event)
    id = attempt.endpoint.id
    return {"webhook": id, "event_id": event, "delivery": deliveries.delivery_id(event, id)}


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
