"""The expirer service, assembled in one place; reads top to bottom.

It keeps nothing on disk and owns nothing: everything it knows is in rev.state, and everything it sends is a reminder
that the pricer may ignore. Exits with 0 after SIGTERM or SIGINT.
"""

import asyncio
import signal

import structlog
import uvloop

from expirer.handover import Handover
from expirer.heartbeat import Heartbeat
from expirer.peers import Announcement, Peers
from expirer.worker import ExpiryWorker
from schemas.settings import Settings
from schemas.topics import CLOCK, STATE
from streams.appends import Appender
from streams.health import HealthServer
from streams.log import setup
from streams.membership import Membership
from streams.views import CompactedView

SERVICE = "expirer"
GROUP = "rev-expirer"
WATCH = 500
"""ms that the broker may gather heartbeats of other expirers."""
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
        self._name = f"{SERVICE}-{settings.ordinal}"
        self._heartbeat = Heartbeat(settings.kafka, self._announcement, settings.append_timeout)
        self._peers = Peers(self._name)
        self._watch = CompactedView(settings.kafka, CLOCK, self._observe, gather=WATCH)
        self._handover = Handover(SERVICE, self._worker, self._peers, self._heartbeat.now)
        self._membership = Membership(
            settings.kafka,
            group=GROUP,
            instance=self._name,
            session_timeout=settings.session_timeout,
            topic=STATE,
            assign=self._handover.assign,
        )

    def stop(self) -> None:
        self._stopping.set()

    def not_ready_reasons(self) -> list[str]:
        """Return the reasons why it is not ready; empty if it is."""
        appends = None if self._appender.ready else "rev.raw does not accept expire commands"
        reasons = [self._membership.not_ready_reason, self._heartbeat.not_ready_reason, appends]
        return [reason for reason in reasons if reason] + self._handover.not_ready_reasons()

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
        releasing = asyncio.create_task(self._handover.run(), name="expirer-handover")
        watching = asyncio.create_task(self._watch.start())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await self._appender.start()
            await asyncio.wait({beating, joined, releasing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._leave()
            self._heartbeat.stop()
            await self._handover.stop()
            watching.cancel()
            await self._watch.stop()
            await asyncio.gather(beating, joined, releasing)  # raise the error of a task that ended by itself
            await self._appender.stop()
            await health.stop()
            log.info("expirer_ends", ordinal=settings.ordinal)

    async def _leave(self) -> None:
        """Leave the group. After a signal, first let the other expirers take over, if there are any."""
        hand_over = self._stopping.is_set() and self._handover.possible
        self._membership.stop(leave=hand_over)
        if hand_over:
            await self._handover.leave()

    def _announcement(self) -> Announcement:
        partitions = self._handover.announced if self._appender.ready else ()
        return Announcement(self._name, partitions, leaving=self._stopping.is_set())

    def _observe(self, _: bytes, value: bytes | None, offset: int) -> None:
        self._peers.observe(value or b"", self._watch.at)

    def _worker(self, partition: int) -> ExpiryWorker:
        return ExpiryWorker(self._settings.kafka, partition, self._appender, self._heartbeat.clock)
