"""The collector service, assembled in one place; reads top to bottom. Exits with 0 after SIGTERM or SIGINT.

Several may run: the group gives rev.invoices to one of them, the others are ready to take over and say so in /readyz.
"""

import asyncio
import signal
import time

import structlog
import uvloop

from collector.invoice_api import InvoiceApi
from collector.invoice_log import InvoiceLog
from collector.notices import NoticeSender
from collector.stripe.meter_pusher import MeterPusher
from collector.stripe.modes import open_stripe
from collector.stripe.stripe_api import StripeApi
from collector.stripe.stripe_customers import ConfiguredIds
from collector.worker import InvoiceWorker, MeterPusherOf, NotOwner
from schemas.settings import Settings
from schemas.topics import INVOICES
from streams.appends import Appender
from streams.health import HealthServer
from streams.log import setup
from streams.membership import Membership
from streams.partition_workers import PartitionWorkers
from streams.waiting import first_of
from warehouse.invoice_sums import open_invoicing

SERVICE = "collector"
GROUP = "rev-collector"
log = structlog.get_logger("collector.service")


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    setup(SERVICE)
    uvloop.run(CollectorService(settings).run())


class CollectorService:
    """The service in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._reads = open_invoicing(settings)
        self._stripe = open_stripe(settings)
        self._ids = ConfiguredIds(settings.kafka)
        self._appender = Appender(settings.kafka, append_timeout=settings.append_timeout)
        self._notice_sender = NoticeSender(self._appender, settings.partitions)
        self._worker: InvoiceWorker | None = None
        self._workers = PartitionWorkers(SERVICE, self._make)
        self._membership = Membership(
            settings.kafka,
            group=GROUP,
            instance=f"{SERVICE}-{settings.ordinal}",
            session_timeout=settings.session_timeout,
            topic=INVOICES,
            assign=self._workers.assign,
        )

    def stop(self) -> None:
        self._stopping.set()

    def not_ready_reasons(self) -> list[str]:
        """Return the reasons why it is not ready; empty if it is."""
        reasons = [] if self._membership.not_ready_reason is None else [self._membership.not_ready_reason]
        if not reasons and not self._workers.partitions:
            reasons = ["another collector owns rev.invoices; this one waits"]
        return [*reasons, *self._workers.not_ready_reasons()]

    async def run(self) -> None:
        """Run until stopped."""
        settings = self._settings
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self.stop)
        routes = [
            *InvoiceApi(settings, self._owner, wall_ms).routes(),
            *StripeApi(settings, self._owner, wall_ms, self._stripe, self._reads).routes(),
        ]
        health = HealthServer(settings.metrics_port, self.not_ready_reasons, settings.http_host, routes)
        await health.start()
        log.info("collector_starts", ordinal=settings.ordinal, kafka=settings.kafka)
        joined = asyncio.create_task(self._membership.run(), name="collector-membership")
        try:
            await self._appender.start()
            if self._stripe.name != "off":
                self._ids.start()
            await first_of([joined], self._stopping)
        finally:
            self._membership.stop()
            await self._workers.stop()
            await joined
            await self._ids.stop()
            await self._appender.stop()
            await self._reads.close()
            await self._stripe.close()
            await health.stop()
            log.info("collector_ends", ordinal=settings.ordinal)

    def _make(self, partition: int) -> InvoiceWorker:
        grace = self._settings.invoice_grace
        self._worker = InvoiceWorker(
            InvoiceLog(self._settings.kafka),
            self._reads,
            grace,
            wall_ms,
            self._ids,
            sender=self._stripe.sender,
            meters=self._meters(),
            notice_sender=self._notice_sender,
        )
        return self._worker

    def _meters(self) -> MeterPusherOf | None:
        mode = self._stripe.meters
        return None if mode is None else lambda record: MeterPusher(mode, self._reads, record, wall_ms, self._ids)

    def _owner(self) -> InvoiceWorker:
        """Return the worker. Raises NotOwner."""
        if self._worker is None:
            raise NotOwner
        return self._worker


def wall_ms() -> int:
    """Return wall time in ms since the Unix epoch."""
    return time.time_ns() // 1_000_000
