"""The ledger service, assembled in one place; reads top to bottom.

Exit codes: 0 after SIGTERM; STANDS_STILL if the ledger does not belong to this log. In that case it does not exit by
itself: it idles with its reason in /readyz until SIGTERM, since a restart would change nothing.
"""

import asyncio
import contextlib
import secrets
import signal
import sys
import time
from collections.abc import Callable

import structlog
import uvloop

from ledger import identity, metrics
from ledger.blocks import LogRecord
from ledger.delivery_copier import DeliveryCopier, DeliveryTable
from ledger.errors import SourceStalled, WrongLog
from ledger.insert_schedule import InsertSchedule
from ledger.source import KafkaSource
from ledger.store import LedgerTable
from ledger.writer import BACKOFF, Halted, LedgerWorker
from schemas.settings import Settings
from schemas.topics import DEAD, DELIVERIES, ENTRIES
from streams import garbage
from streams.appends import Appender
from streams.errors import StreamError
from streams.health import HealthServer
from streams.log import setup
from streams.membership import Membership
from streams.partition_workers import PartitionWorkers
from streams.waiting import first_of
from warehouse.client import ClickHouse
from warehouse.errors import Unavailable, WrongSchema
from warehouse.migrate import migrate

STANDS_STILL = 78
SERVICE = "ledger"
GROUP = "rev-ledger"
DELIVERY_GROUP = "rev-ledger-deliveries"
log = structlog.get_logger("ledger.service")


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Exits with STANDS_STILL (78) if the ledger does not belong to this log."""
    setup(SERVICE)
    garbage.scan_less()
    code = uvloop.run(Ledger(settings).run())
    if code:
        sys.exit(code)


class Ledger:
    """The service in one process. Several may run; the group divides the partitions among them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._not_ready_reason: str | None = "starting"
        self._workers: PartitionWorkers | None = None
        self._membership: Membership | None = None

    def stop(self) -> None:
        self._stopping.set()

    def not_ready_reasons(self) -> list[str]:
        """Return the reasons why it is not ready; empty if it is."""
        reasons = [self._not_ready_reason, self._membership.not_ready_reason if self._membership else None]
        return [reason for reason in reasons if reason] + (self._workers.not_ready_reasons() if self._workers else [])

    async def run(self) -> int:
        """Run until stopped and return the exit code."""
        settings = self._settings
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self.stop)
        health = HealthServer(settings.metrics_port, self.not_ready_reasons, settings.http_host)
        await health.start()
        user, password = settings.clickhouse_user, settings.clickhouse_password
        try:
            async with ClickHouse(settings.clickhouse_url, user, password) as db:
                if await self._prepare(db):
                    await self._work(db)
            return 0
        except (WrongLog, WrongSchema) as error:
            return await self._stand_still(str(error))
        finally:
            await health.stop()

    async def _prepare(self, db: ClickHouse) -> bool:
        """Check schema and epoch, as soon as ClickHouse and Kafka are reachable. Return False if stopped before."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                await migrate(db)
                epoch = await self._check_log(db)
            except (Unavailable, SourceStalled) as error:
                self._not_ready_reason = str(error)[:300]
                metrics.RETRIES.labels(type(error).__name__).inc()
                log.warning("ledger_waits", error=self._not_ready_reason)
                await self._wait(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1
            else:
                self._not_ready_reason = None
                log.info("ledger_starts", epoch=epoch)
                return True
        return False

    async def _check_log(self, db: ClickHouse) -> str:
        return await identity.check(db, lambda: identity.epoch_of_log(self._settings.kafka))

    async def _work(self, db: ClickHouse) -> None:
        """Write the partitions that the group assigns. Raises WrongLog."""
        table = LedgerTable(db, token=lambda: secrets.token_hex(8))
        schedule = InsertSchedule(asyncio.get_running_loop().time)

        def writer(partition: int) -> LedgerWorker:
            return LedgerWorker(
                partition,
                store=table,
                source=lambda: KafkaSource(self._settings.kafka, partition),
                dead_letter=self._dead_letter,
                check_log=lambda: self._check_log(db),
                now=wall_ms,
                schedule=schedule,
            )

        wrong_log = asyncio.Event()

        def ended(error: Exception) -> None:
            if isinstance(error, WrongLog):
                wrong_log.set()

        workers = self._workers = PartitionWorkers(SERVICE, writer, permanent=(Halted, WrongLog), ended=ended)
        membership = self._membership = Membership(
            self._settings.kafka,
            group=GROUP,
            instance=f"{SERVICE}-{self._settings.ordinal}",
            session_timeout=self._settings.session_timeout,
            topic=ENTRIES,
            assign=workers.assign,
        )
        store = DeliveryTable(db)
        copyists = PartitionWorkers(
            "deliveries",
            lambda partition: DeliveryCopier(partition, store, self._deliveries(partition), self._dead_letter_delivery),
        )
        copying = Membership(
            self._settings.kafka,
            group=DELIVERY_GROUP,
            instance=f"{SERVICE}-{self._settings.ordinal}",
            session_timeout=self._settings.session_timeout,
            topic=DELIVERIES,
            assign=copyists.assign,
        )
        joined = asyncio.create_task(membership.run(), name="ledger-membership")
        copied = asyncio.create_task(copying.run(), name="deliveries-membership")
        try:
            await first_of([joined], self._stopping, wrong_log)
            reasons = workers.not_ready_reasons()
        finally:
            membership.stop()
            copying.stop()
            await asyncio.gather(workers.stop(), copyists.stop())
            await asyncio.gather(joined, copied)
            self._workers = self._membership = None
        if wrong_log.is_set():
            raise WrongLog("; ".join(reasons))

    def _deliveries(self, partition: int) -> Callable[[], KafkaSource]:
        return lambda: KafkaSource(self._settings.kafka, partition, topic=DELIVERIES)

    async def _dead_letter(self, partition: int, record: LogRecord, reason: str) -> None:
        """Send a dead letter of the ledger. The writer halts at the record in any case, so a failure is only logged."""
        try:
            await self._send_dead_letter(ENTRIES, partition, record, reason)
        except StreamError as error:
            log.error("ledger_dead_letter_failed", partition=partition, offset=record.offset, error=repr(error))

    async def _dead_letter_delivery(self, partition: int, record: LogRecord, reason: str) -> None:
        """Send a dead letter of a delivery. The copy continues without the record, so the dead letter must be recorded.
        Raises SourceStalled."""
        try:
            await self._send_dead_letter(DELIVERIES, partition, record, reason)
        except StreamError as error:
            raise SourceStalled(f"rev.dead: {error!r}") from error

    async def _send_dead_letter(self, topic: str, partition: int, record: LogRecord, reason: str) -> None:
        """Append a dead letter: the record's address, its value and the reason. The record also stays in its topic.
        Raises StreamError."""
        appender = Appender(self._settings.kafka, append_timeout=self._settings.append_timeout, topic=DEAD)
        address = f"{topic}/{partition}/{record.offset}".encode()
        try:
            await appender.start()
            headers = [("reason", reason[:1000].encode()), ("by", SERVICE.encode())]
            await appender.append(address, record.value, headers, partition=0)
        finally:
            await appender.stop()

    async def _stand_still(self, reason: str) -> int:
        metrics.WRONG_LOG.set(1)
        self._not_ready_reason = reason
        log.error("ledger_stands_still", error=reason)
        await self._stopping.wait()
        return STANDS_STILL

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def wall_ms() -> int:
    """Return wall time in ms since the Unix epoch."""
    return time.time_ns() // 1_000_000
