"""The pricer service, put together in one place; reads top to bottom.

The shard host runs the pure Pricer over every partition that the group gives this process.
It exits 0 after SIGTERM or SIGINT. Where it was started against a log that it must not price
it stands still with the reason in /readyz, since a restart would change nothing.
"""

import asyncio
import contextlib
import signal
import sys
from typing import Any

import msgspec
import structlog
import uvloop
from aiokafka.errors import KafkaError

from pricer.processor import Pricer
from schemas.config import EPOCH
from schemas.settings import Settings
from schemas.topics import CONFIG, RAW, REPLIES
from streams import clients
from streams.answers import Answers
from streams.appends import Appender
from streams.errors import InstanceTaken
from streams.health import HealthServer
from streams.host import ShardHost
from streams.instance import Instance
from streams.log import setup
from streams.rocks import RocksStore
from streams.shard import Setting
from streams.views import CompactedView

SERVICE = "pricer"
STANDS_STILL = 78
"""Exit code after standing still: a person has to look."""
RETRY = 0.5
"""Seconds between two tries to ask Kafka."""
log = structlog.get_logger("pricer.service")


class WrongLog(Exception):
    """The log is not the one that the settings describe."""


def main(settings: Settings) -> None:
    """Blocks until SIGTERM or SIGINT. Exits with 1 when another process has this ordinal, with
    STANDS_STILL (78) if it had to stand still."""
    setup(SERVICE)
    try:
        instance = Instance(settings.data, SERVICE, settings.ordinal)
    except InstanceTaken as error:
        log.critical("instance_taken", error=str(error))
        sys.exit(1)
    try:
        code = uvloop.run(PricerService(settings, instance).run())
    finally:
        instance.release()
    if code:
        sys.exit(code)


class PricerService:
    """One process; as many as there are partitions may share the log."""

    def __init__(self, settings: Settings, instance: Instance) -> None:
        self._settings = settings
        self._instance = instance
        self._stop = asyncio.Event()
        self._trouble: str | None = "starting"
        self._host: ShardHost | None = None

    def reasons(self) -> list[str]:
        """Why it is not ready (empty: it is)."""
        if self._trouble is not None:
            return [self._trouble]
        return self._host.reasons() if self._host is not None else ["not in the group"]

    async def run(self) -> int:
        """Until stopped; the exit code."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self._stop.set)
        health = HealthServer(self._settings.metrics_port, self.reasons)
        await health.start()
        log.info("pricer_starts", instance=self._instance.name, port=health.port)
        try:
            return await self._work()
        finally:
            await health.stop()
            log.info("pricer_ends", instance=self._instance.name)

    async def _work(self) -> int:
        epoch = await self._epoch()
        if epoch is None:
            return 0
        sender = Appender(self._settings.kafka, append_timeout=self._settings.append_timeout)
        answers = Answers(self._settings.kafka, REPLIES)
        await sender.start()
        await answers.start()
        try:
            if not await self._check_partitions():
                return 0
            self._host = self._make_host(epoch, sender, answers)
            self._trouble = None
            await self._host.run(self._stop)
            return 0
        except WrongLog as error:
            return await self._stand_still(str(error))
        finally:
            await answers.stop()
            await sender.stop()

    def _make_host(self, epoch: str, sender: Appender, answers: Answers) -> ShardHost:
        settings = self._settings
        setting = Setting(
            kafka=settings.kafka,
            service=SERVICE,
            processor=Pricer(settings.partitions),
            epoch=epoch,
            partitions=settings.partitions,
            sender=sender,
            answers=answers,
        )
        return ShardHost(
            setting,
            self._instance.name,
            lambda partition: RocksStore(self._instance.directory / f"shard-{partition}"),
            session_timeout=settings.session_timeout,
        )

    async def _epoch(self) -> str | None:
        """The log's epoch, as soon as there is one; None when stopped before."""
        self._trouble = "rev.config holds no epoch yet"
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def apply(key: bytes, value: bytes | None, offset: int) -> None:
            if key == EPOCH and value is not None and not found.done():
                found.set_result(msgspec.json.decode(value, type=dict[str, str])["epoch"])

        view = CompactedView(self._settings.kafka, CONFIG, apply)
        reading = asyncio.create_task(view.start())
        stopping = asyncio.create_task(self._stop.wait())
        ends: list[asyncio.Future[Any]] = [found, stopping]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, stopping):
                task.cancel()
            await asyncio.wait([reading, stopping])
            await view.stop()
        return found.result() if found.done() and not self._stop.is_set() else None

    async def _check_partitions(self) -> bool:
        """False when stopped before Kafka told. Raises WrongLog when rev.raw has another number
        of partitions than the settings say: prices would be sent to shards that are not theirs."""
        wanted = self._settings.partitions
        while not self._stop.is_set():
            try:
                found = await self._partitions()
            except (KafkaError, OSError) as error:
                self._trouble = f"Kafka does not tell the partitions of {RAW}: {error!r}"
                log.warning("pricer_waits", error=repr(error))
                await self._pause()
                continue
            if found != wanted:
                raise WrongLog(f"{RAW} has {found} partitions, REV_PARTITIONS says {wanted}")
            return True
        return False

    async def _partitions(self) -> int:
        producer = clients.hinting(self._settings.kafka)
        try:
            await producer.start()
            return len(await producer.partitions_for(RAW))
        finally:
            await clients.discard_producer(producer)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY):
                await self._stop.wait()

    async def _stand_still(self, why: str) -> int:
        self._trouble = why
        log.critical("pricer_stands_still", why=why)
        await self._stop.wait()
        return STANDS_STILL
