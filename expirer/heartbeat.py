"""Heartbeats: one a second to a topic that holds nothing else.

Their append times reveal the broker's time, and their values tell the other expirers which partitions this one has.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from expirer import metrics
from expirer.clock import BrokerClock
from expirer.peers import Announcement, encode
from schemas.topics import CLOCK
from streams.appends import Appender
from streams.errors import StreamError

log = structlog.get_logger("expirer.heartbeat")

EVERY = 1.0
"""Seconds between heartbeats."""
OLD = 5.0
"""Seconds without an acknowledged heartbeat after which the service is not ready."""


class Heartbeat:
    """A sender of heartbeats. ``announce`` returns the value of the next one."""

    def __init__(
        self,
        kafka: str,
        announce: Callable[[], Announcement],
        append_timeout: int,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.clock = BrokerClock()
        self._appender = Appender(kafka, append_timeout=append_timeout, topic=CLOCK)
        self._announce = announce
        self._monotonic = monotonic
        self._stopping = asyncio.Event()

    def now(self) -> int | None:
        """Return the broker's time in ms UTC, or None if it is unknown."""
        return self.clock.now(self._monotonic()) if self.clock.known else None

    @property
    def not_ready_reason(self) -> str | None:
        """Why the broker's time is not known well enough, or None."""
        age = self.clock.age(self._monotonic())
        if age < OLD:
            return None
        return "the broker's time is not known yet" if not self.clock.known else f"no heartbeat for {age:.0f} s"

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Send heartbeats until stopped."""
        await self._appender.start()
        try:
            while not self._stopping.is_set():
                await self._beat()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await self._stopping.wait()
        finally:
            await self._appender.stop()

    async def _beat(self) -> None:
        sent = self._monotonic()
        try:
            stands = await self._appender.append(b"expirer", encode(self._announce()), partition=0)
        except StreamError as error:
            metrics.HEARTBEATS_LOST.inc()
            log.warning("heartbeat_lost", error=repr(error))
            return
        self.clock.observe(sent, stands.timestamp_ms, self._monotonic())
        metrics.HEARTBEAT.observe((self._monotonic() - sent) / 1e9)
