"""The service as a process: killed, stopped and woken, beside another one, with the wrong log."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiokafka import TopicPartition

from deploy import bootstrap
from deploy.children import spawn
from schemas.deliveries import Attempt, encode
from schemas.settings import Settings, read
from schemas.topics import DEAD, DELIVERIES, ENTRIES
from streams.appends import Appender
from streams.clients import partition_consumer
from tests.freezing import freeze, thaw
from tests.integration.ledger.engine import Engine
from tests.integration.ledger.entries_log import Log
from warehouse.client import ClickHouse
from warehouse.errors import Unavailable

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
P = 2
MAIN = "import os; from schemas.settings import read; from ledger.service import main; main(read(os.environ))"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A ledger process; its environment is nothing but its settings."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = int(environment["REV_METRICS_PORT"])
        self.log = log
        with log.open("ab") as errors:
            self.process: subprocess.Popen[bytes] = spawn([sys.executable, "-c", MAIN], env=environment, stderr=errors)

    async def ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200

    async def get(self, path: str) -> tuple[int, str]:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}{path}") as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    def send(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)

    def ended(self) -> int:
        """Its exit code, once it has gone."""
        return self.process.wait(30)


class Services:
    """Starts ledger processes and ends what is left of them."""

    def __init__(self, kafka: str, engine: Engine, directory: Path) -> None:
        self._kafka, self._engine, self._directory = kafka, engine, directory
        self._made: list[Service] = []

    def start(self, ordinal: int = 0) -> Service:
        user, password = self._engine.user
        environment = {
            "REV_KAFKA": self._kafka,
            "REV_CLICKHOUSE_URL": self._engine.url,
            "REV_CLICKHOUSE_USER": user,
            "REV_CLICKHOUSE_PASSWORD": password,
            "REV_METRICS_PORT": str(free_port()),
            "REV_ORDINAL": str(ordinal),
            "REV_DATA": str(self._directory),
        }
        service = Service(environment, self._directory / f"ledger-{ordinal}.log")
        self._made.append(service)
        return service

    def end(self) -> None:
        for service in self._made:
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait()


@pytest.fixture
def settings(own_kafka: str) -> Settings:
    return read({"REV_KAFKA": own_kafka, "REV_PARTITIONS": str(P)})


@pytest.fixture
def services(own_kafka: str, engine: Engine, tmp_path: Path) -> Iterator[Services]:
    made = Services(own_kafka, engine, tmp_path)
    yield made
    made.end()


_logs: dict[int, Log] = {}


@pytest.fixture
async def logs(settings: Settings) -> AsyncIterator[list[Log]]:
    """A log for each partition; what was committed is remembered over the tests of the module."""
    await bootstrap.ensure(settings, "aa")
    async with AsyncExitStack() as stack:
        made = []
        for partition in range(P):
            log = await stack.enter_async_context(Log(settings.kafka, ENTRIES, partition))
            before = _logs.get(partition)
            if before is not None:
                log.next, log.committed = before.next, before.committed
            _logs[partition] = log
            made.append(log)
        yield made


async def stored(db: ClickHouse, partition: int) -> list[int]:
    sql = f"SELECT raw_offset FROM rev.entries WHERE raw_partition = {partition} ORDER BY event_id"
    try:
        return [int(row[0]) for row in await db.execute(sql)]
    except Unavailable:
        return []


def all_stored(db: ClickHouse, logs: list[Log]) -> Callable[[], Awaitable[bool]]:
    async def complete() -> bool:
        return all([len(await stored(db, log.partition)) >= 3 * len(log.committed) for log in logs])

    return complete


async def assert_exact(db: ClickHouse, logs: list[Log]) -> None:
    for log in logs:
        assert await stored(db, log.partition) == [offset for offset in log.committed for _ in range(3)]


async def load(logs: list[Log], transactions: int) -> None:
    for _ in range(transactions):
        for log in logs:
            await log.append([time.time_ns() // 1_000_000] * 3)


async def test_everything_arrives_and_sigterm_ends_it(
    services: Services, logs: list[Log], db: ClickHouse, eventually: Eventually
) -> None:
    """A started ledger stores what is in the log, is ready, shows its metrics, and ends with 0."""
    service = services.start()
    await load(logs, 5)
    await eventually(all_stored(db, logs), timeout=60)
    await eventually(service.ready)
    _, metrics = await service.get("/metrics")
    assert f"rev_ledger_rows_total {sum(3 * len(log.committed) for log in logs)}.0" in metrics
    service.send(signal.SIGTERM)
    assert service.ended() == 0
    await assert_exact(db, logs)


async def test_killed_again_and_again(
    services: Services, logs: list[Log], db: ClickHouse, eventually: Eventually
) -> None:
    """kill -9 of the ledger under load loses and doubles nothing."""
    for _ in range(3):
        service = services.start()
        before = len(await stored(db, 0))
        writing = asyncio.create_task(load(logs, 30))

        async def moved(before: int = before) -> bool:
            return len(await stored(db, 0)) > before

        await eventually(moved, timeout=60)
        service.send(signal.SIGKILL)
        service.ended()
        await writing
    services.start()
    await eventually(all_stored(db, logs), timeout=60)
    await assert_exact(db, logs)


async def test_a_zombie_wakes_up(services: Services, logs: list[Log], db: ClickHouse, eventually: Eventually) -> None:
    """A ledger that was SIGSTOPped under load and wakes up after another took over doubles and skips nothing."""
    zombie = services.start(0)
    await eventually(zombie.ready, timeout=60)
    writing = asyncio.create_task(load(logs, 10))
    await asyncio.wait({writing}, return_when=asyncio.FIRST_COMPLETED)
    await load(logs, 2)
    freeze(zombie.process.pid)
    await load(logs, 5)
    services.start(1)
    await eventually(all_stored(db, logs), timeout=90)
    thaw(zombie.process.pid)
    await load(logs, 20)
    await eventually(all_stored(db, logs), timeout=90)
    await assert_exact(db, logs)


async def test_another_log_is_not_written_to(
    services: Services, logs: list[Log], db: ClickHouse, eventually: Eventually
) -> None:
    """With another epoch in rev._log the ledger writes nothing, says why in /readyz, and ends with 78."""
    before = await stored(db, 0)
    await db.execute("TRUNCATE TABLE rev._log")
    await db.insert("INSERT INTO rev._log (epoch) VALUES ('bb')")
    try:
        service = services.start()
        await load(logs, 1)

        async def told() -> bool:
            status, text = await service.get("/readyz")
            return status == 503 and "written from log bb, this is log aa" in text

        await eventually(told, timeout=60)
        assert await stored(db, 0) == before
        service.send(signal.SIGTERM)
        assert service.ended() == 78
    finally:
        await db.execute("TRUNCATE TABLE rev._log")
        await db.insert("INSERT INTO rev._log (epoch) VALUES ('aa')")


async def test_an_attempt_that_cannot_be_a_row_is_a_dead_letter(
    services: Services, settings: Settings, db: ClickHouse, eventually: Eventually
) -> None:
    """A record of rev.deliveries that ClickHouse refuses: it goes to rev.dead with its address and the
    reason, is counted, and what follows it is copied."""
    attempt = Attempt(7, "acme", "d-1", "evt_9", "meter.created", 0, 4, 0, 1, time.time_ns() // 1_000_000, "delivered")
    bad = b'{"webhook_id":"seven","delivery_id":"d-0"}'
    await bootstrap.ensure(settings, "aa")
    appender = Appender(settings.kafka, append_timeout=settings.append_timeout, topic=DELIVERIES)
    await appender.start()
    places = [await appender.append(b"7", value, partition=0) for value in (bad, encode(attempt))]
    await appender.stop()
    service = services.start()

    async def copied() -> bool:
        return await db.execute("SELECT log_offset FROM rev._deliveries") == [[str(places[1].offset)]]

    await eventually(copied, timeout=60)
    _, metrics = await service.get("/metrics")
    assert "rev_ledger_deliveries_refused_total 1.0" in metrics
    consumer = partition_consumer(settings.kafka, gather=100)
    await consumer.start()
    try:
        consumer.assign([dead := TopicPartition(DEAD, 0)])
        consumer.seek(dead, 0)
        letter = await asyncio.wait_for(consumer.getone(dead), 30)
    finally:
        await consumer.stop()
    assert (letter.key, letter.value) == (f"rev.deliveries/0/{places[0].offset}".encode(), bad)
    headers = dict(letter.headers)
    assert headers["by"] == b"ledger" and b"webhook_id" in headers["reason"]
