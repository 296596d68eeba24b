"""The expirer service, assembled in one place; reads top to bottom.

It keeps nothing on disk and owns nothing: everything it knows is in rev.state, and everything it sends is a reminder
that the pricer may ignore. Exits with 0 after SIGTERM or SIGINT.
"""

import asyncio
import signal

import structlog
import uvloop

from expirer.heartbeat import Heartbeat
from expirer.worker import ExpiryWorker
from schemas.settings import Settings
from schemas.topics import STATE
from streams.appends import Appender
from streams.health import HealthServer
from streams.log import setup
from streams.membership import Membership
from streams.partition_workers import PartitionWorkers

SERVICE = "expirer"
GROUP = "rev-expirer"
log = structlog.get_logger("expirer.service")


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises OSError if the metrics port is taken."""
    setup(SERVICE)
    uvloop.run(Expirer(settings).run())


class Expirer:
    """The service in one process. Several may run; the group divides the partitions among them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._appender = Appender(settings.kafka, append_timeout=settings.append_timeout)
        self._heartbeat = Heartbeat(settings.kafka, f"{SERVICE}-{settings.ordinal}", settings.append_timeout)
        self._workers = PartitionWorkers(SERVICE, self._worker)
        self._membership = Membership(
            settings.kafka,
            group=GROUP,
            instance=f"{SERVICE}-{settings.ordinal}",
            session_timeout=settings.session_timeout,
            topic=STATE,
            assign=self._workers.assign,
        )

    def stop(self) -> None:
        self._stopping.set()

    def not_ready_reasons(self) -> list[str]:
        """Return the reasons why it is not ready; empty if it is."""
        appends = None if self._appender.ready else "rev.raw does not accept expire commands"
        reasons = [self._membership.not_ready_reason, self._heartbeat.not_ready_reason, appends]
        return [reason for reason in reasons if reason] + self._workers.not_ready_reasons()

    async def run(self) -> None:
        """Run until stopped."""
        settings = self._settings
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self.stop)
        health = HealthServer(settings.metrics_port, self.not_ready_reasons, settings.http_host)
        await health.start()
        log.info("expirer_starts", ordinal=settings.ordinal, kafka=settings.kafka)
        beating = asyncio.create_task(self._heartbeat.run(), name="expirer-heart")
        joined = asyncio.create_task(self._membership.run(), name="expirer-membership")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await self._appender.start()
            await asyncio.wait({beating, joined, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            self._membership.stop()
            self._heartbeat.stop()
            await self._workers.stop()
            await asyncio.gather(beating, joined)  # raise the error of a task that ended by itself
            await self._appender.stop()
            await health.stop()
            log.info("expirer_ends", ordinal=settings.ordinal)

    def _worker(self, partition: int) -> ExpiryWorker:
        return ExpiryWorker(self._settings.kafka, partition, self._appender, self._heartbeat.clock)
