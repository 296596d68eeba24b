"""Notifier service, assembled in one place; reads top to bottom.

Exit code 0 after SIGTERM or SIGINT. If the service must not work (no key for the secrets, another log), it
stays idle until then with the reason in /readyz, since a restart would change nothing.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

import structlog
import uvloop

from notifier.disabling import EndpointDisabler
from notifier.endpoints import Endpoints
from notifier.resource_limits import ResourceLimits
from notifier.scheduler import DeliveryRules
from notifier.sender import WebhookSender
from notifier.transport.http_sender import HttpSender
from notifier.worker import DeliveryWorker, NotifierFenced, WorkerConfig
from schemas.secrets import SecretBox, SecretError, read_key
from schemas.settings import Settings
from schemas.topics import CONFIG, ENTRIES
from streams import descriptors, garbage
from streams.appends import Appender
from streams.errors import ShardHalted
from streams.health import HealthServer
from streams.log import setup
from streams.membership import Membership
from streams.partition_workers import PartitionWorkers
from streams.views import CompactedView
from streams.waiting import finished, first_of

SERVICE = "notifier"
GROUP = "rev-notifier"
REJOIN = 0.2
"""Seconds before rejoining the group after a worker was fenced."""
log = structlog.get_logger("notifier.service")


def main(settings: Settings) -> None:
    """Run the notifier until SIGTERM or SIGINT."""
    setup(SERVICE)
    descriptors.raise_limit()
    garbage.scan_less()
    uvloop.run(_until_signalled(settings))


async def _until_signalled(settings: Settings) -> None:
    notifier = Notifier(settings)
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, notifier.stop)
    await notifier.run()


class Notifier:
    """Notifier service in one process. Several may run; the group divides the partitions among them.
    ``make_sender``: creates the sender that transmits deliveries."""

    def __init__(self, settings: Settings, make_sender: Callable[[], WebhookSender] | None = None) -> None:
        self._settings = settings
        self._make_sender = make_sender or (lambda: HttpSender(allow_private=settings.webhook_allow_private))
        self._stopping = asyncio.Event()
        self._fenced = asyncio.Event()
        self._lost: frozenset[int] = frozenset()
        self._not_ready_reason: str | None = "starting"
        self._workers: PartitionWorkers | None = None
        self._membership: Membership | None = None

    def stop(self) -> None:
        self._stopping.set()

    def partitions(self) -> frozenset[int]:
        """Return the partitions that this process works on."""
        return self._workers.partitions if self._workers else frozenset()

    def not_ready_reasons(self) -> list[str]:
        """Return the reasons why the service is not ready; empty if it is."""
        reasons = [self._not_ready_reason, self._membership.not_ready_reason if self._membership else None]
        return [reason for reason in reasons if reason] + (self._workers.not_ready_reasons() if self._workers else [])

    async def run(self) -> None:
        """Run until stopped."""
        settings = self._settings
        health = HealthServer(settings.metrics_port, self.not_ready_reasons, settings.http_host)
        await health.start()
        try:
            await self._serve(_box(settings))
        except SecretError as error:
            self._not_ready_reason = f"webhooks are off: {error}"
            log.error("notifier_stands_still", error=str(error))
            await self._stopping.wait()
        finally:
            await health.stop()

    async def _serve(self, box: SecretBox) -> None:
        settings, endpoints, complete, now = self._settings, Endpoints(), asyncio.Event(), forward_wall()

        def apply(key: bytes, value: bytes | None, offset: int) -> None:
            endpoints.apply(key, value, offset, view.at, now())
            if endpoints.epoch is not None:
                complete.set()

        view = CompactedView(settings.kafka, CONFIG, apply)
        appender = Appender(settings.kafka, append_timeout=settings.append_timeout)
        sender = self._make_sender()
        self._not_ready_reason = "the configuration is not known yet"
        try:
            if await finished(view.start(), self._stopping) and await finished(complete.wait(), self._stopping):
                await appender.start()
                self._not_ready_reason = None
                rules = DeliveryRules(settings.webhook_disable_after, settings.webhook_backlog, settings.partitions)
                config = WorkerConfig(
                    kafka=settings.kafka,
                    endpoints=endpoints,
                    view=view,
                    sender=sender,
                    box=box,
                    disable=EndpointDisabler(appender, time.monotonic),
                    limits=ResourceLimits(),
                    rules=rules,
                    now=now,
                    clock=time.monotonic,
                )
                await self._work(config)
        finally:
            await sender.close()
            await appender.stop()
            await view.stop()

    async def _work(self, config: WorkerConfig) -> None:
        workers = self._workers = PartitionWorkers(
            SERVICE,
            lambda partition: DeliveryWorker(partition, config),
            permanent=(NotifierFenced, ShardHalted),
            ended=self._ended,
        )
        try:
            while not self._stopping.is_set():
                await self._belong(workers)
                # only what the group assigns from now on may be worked on again
                self._fenced.clear()
                lost, self._lost = self._lost, frozenset()
                await workers.assign(workers.partitions - lost)
                if not self._stopping.is_set():
                    await self._wait(REJOIN)
        finally:
            await workers.stop()
            self._workers = None

    async def _belong(self, workers: PartitionWorkers) -> None:
        """Hold one membership, until stopped or until a worker is fenced."""
        settings = self._settings
        membership = self._membership = Membership(
            settings.kafka,
            group=GROUP,
            instance=f"{SERVICE}-{settings.ordinal}",
            session_timeout=settings.session_timeout,
            topic=ENTRIES,
            assign=workers.assign,
        )
        joined = asyncio.create_task(membership.run(), name="notifier-membership")
        try:
            await first_of([joined], self._stopping, self._fenced)
        finally:
            membership.stop()
            await joined
            self._membership = None

    def _ended(self, error: Exception) -> None:
        if isinstance(error, NotifierFenced):
            self._lost |= {error.partition}
            self._fenced.set()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _box(settings: Settings) -> SecretBox:
    if not settings.secret_key:
        raise SecretError("REV_SECRET_KEY is not set")
    return SecretBox(read_key(settings.secret_key))


def forward_wall() -> Callable[[], int]:
    """Return a clock, ms UTC, set from this machine's clock now; it never goes back, even if that clock is changed."""
    base = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000
    return lambda: base + time.monotonic_ns() // 1_000_000
