"""The pricer service: the pure Pricer over every shard that the group assigns to this process.

It exits with 0 after SIGTERM or SIGINT. Started with a log that it must not price, it idles with the reason in /readyz,
since a restart would change nothing.
"""

import asyncio
import contextlib
import signal
import sys

import structlog
import uvloop
from aiokafka.errors import KafkaError

from pricer.processor import Pricer
from schemas.settings import Settings
from schemas.topics import RAW
from streams import clients, garbage
from streams.errors import InstanceTaken
from streams.health import HealthServer
from streams.log import setup
from streams.serving import serve

SERVICE = "pricer"
TAKEN = 1
"""Exit code if another running process has this ordinal."""
STANDS_STILL = 78
"""Exit code after idling: a person has to look."""
RETRY = 0.5
"""Seconds between requests to Kafka while it does not answer."""
log = structlog.get_logger("pricer.service")


class WrongPartitions(Exception):
    """The log does not have the number of partitions in the settings."""


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Exits with TAKEN (1) or STANDS_STILL (78) if it must not work."""
    setup(SERVICE)
    garbage.scan_less()
    code = uvloop.run(_run(settings))
    if code:
        sys.exit(code)


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    log.info("pricer_starts", ordinal=settings.ordinal, kafka=settings.kafka)
    try:
        if await PartitionCheck(settings, stop).passed():
            await serve(settings, SERVICE, Pricer(settings.partitions), stop)
        return 0
    except WrongPartitions:
        return STANDS_STILL
    except InstanceTaken as error:
        log.critical("instance_taken", error=str(error))
        return TAKEN
    finally:
        log.info("pricer_ends", ordinal=settings.ordinal)


class PartitionCheck:
    """A check, before any shard is taken, that rev.raw has as many partitions as the settings say. With another number,
    a customer's prices would be sent to the wrong shard."""

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._not_ready_reason = "starting"

    async def passed(self) -> bool:
        """Return True if the log is right, False if stopped before Kafka answered. For a wrong log, idle until stopped,
        then raise WrongPartitions."""
        health = HealthServer(self._settings.metrics_port, lambda: [self._not_ready_reason], self._settings.http_host)
        await health.start()
        try:
            found = await self._partitions()
            wanted = self._settings.partitions
            if found is not None and found != wanted:
                self._not_ready_reason = f"{RAW} has {found} partitions, REV_PARTITIONS says {wanted}"
                log.critical("pricer_stands_still", why=self._not_ready_reason)
                await self._stop.wait()
                raise WrongPartitions(self._not_ready_reason)
            return found is not None
        finally:
            await health.stop()

    async def _partitions(self) -> int | None:
        """Ask Kafka until it answers; return None if stopped before."""
        while not self._stop.is_set():
            try:
                return await self._ask()
            except (KafkaError, OSError) as error:
                self._not_ready_reason = f"cannot read the partitions of {RAW} from Kafka: {error!r}"
                log.warning("pricer_waits", error=repr(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await self._stop.wait()
        return None

    async def _ask(self) -> int:
        producer = clients.best_effort_producer(self._settings.kafka)
        try:
            await producer.start()
            return len(await producer.partitions_for(RAW))
        finally:
            await clients.discard_producer(producer)
