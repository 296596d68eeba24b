"""The expirer service, put together in one place; reads top to bottom.

It keeps nothing on disk and owns nothing: everything it knows is in rev.state, and everything
it sends is a reminder that the pricer may ignore. Exits with 0 after SIGTERM or SIGINT.
"""

import asyncio
import signal

import structlog
import uvloop

from expirer.heart import Heart
from expirer.worker import PartitionWorker
from schemas.settings import Settings
from schemas.topics import STATE
from streams.appends import Appender
from streams.health import HealthServer
from streams.log import setup
from streams.membership import Membership
from streams.team import Team

SERVICE = "expirer"
GROUP = "rev-expirer"
log = structlog.get_logger("expirer.service")


def main(settings: Settings) -> None:
    """Blocks until SIGTERM or SIGINT. Raises OSError when the metrics port is taken."""
    setup(SERVICE)
    uvloop.run(Expirer(settings).run())


class Expirer:
    """The service in one process; several may run, the group shares the partitions out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._appender = Appender(settings.kafka, append_timeout=settings.append_timeout)
        self._heart = Heart(settings.kafka, f"{SERVICE}-{settings.ordinal}", settings.append_timeout)
        self._team = Team(SERVICE, self._worker)
        self._membership = Membership(
            settings.kafka,
            group=GROUP,
            service=SERVICE,
            ordinal=settings.ordinal,
            session_timeout=settings.session_timeout,
            topic=STATE,
            assign=self._team.assign,
        )

    def stop(self) -> None:
        self._stopping.set()

    def troubles(self) -> list[str]:
        """Why it is not ready; nothing when it is."""
        appends = None if self._appender.ready else "rev.raw takes no reminders"
        reasons = [self._membership.trouble, self._heart.trouble, appends]
        return [reason for reason in reasons if reason] + self._team.troubles()

    async def run(self) -> None:
        """Until stopped."""
        settings = self._settings
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self.stop)
        health = HealthServer(settings.metrics_port, self.troubles, settings.http_host)
        await health.start()
        log.info("expirer_starts", ordinal=settings.ordinal, kafka=settings.kafka)
        beating = asyncio.create_task(self._heart.run(), name="expirer-heart")
        joined = asyncio.create_task(self._membership.run(), name="expirer-membership")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await self._appender.start()
            await asyncio.wait({beating, joined, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            self._membership.stop()
            self._heart.stop()
            await self._team.stop()
            await asyncio.gather(beating, joined)  # one that ended by itself says why
            await self._appender.stop()
            await health.stop()
            log.info("expirer_ends", ordinal=settings.ordinal)

    def _worker(self, partition: int) -> PartitionWorker:
        return PartitionWorker(self._settings.kafka, partition, self._appender, self._heart.clock)
