"""From the real log into the real engine: aborted transactions, months, kills and two writers."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial

import pytest

from ledger.blocks import LogRecord
from ledger.errors import WrongLog
from ledger.insert_schedule import InsertSchedule
from ledger.source import KafkaSource
from ledger.store import LedgerTable
from ledger.writer import QUIET, Halted, LedgerWorker
from tests.integration.ledger.engine import Engine
from tests.integration.ledger.entries_log import AT, Log, create_topic, forget_records
from warehouse.client import ClickHouse
from warehouse.errors import Unavailable

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
TOPIC = "ledger-follow"
APRIL = AT + 86_400_000
DAY = 86_400_000
_tokens = itertools.count()


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def log(kafka: str, partition: int) -> AsyncIterator[Log]:
    await create_topic(kafka, TOPIC, 128)
    async with Log(kafka, TOPIC, partition) as made:
        yield made


class Desk:
    """Writers of one partition that run in this process."""

    def __init__(self, kafka: str, db: ClickHouse, partition: int) -> None:
        self.kafka, self.db, self.partition = kafka, db, partition
        self.buried: list[int] = []

    def table(self) -> LedgerTable:
        """As a process of its own has it."""
        return LedgerTable(self.db, lambda: f"f{next(_tokens)}")

    def writer(
        self,
        linger: float = 0.02,
        quiet: float = QUIET,
        hurried: bool = False,
        table: LedgerTable | None = None,
        schedule: InsertSchedule | None = None,
    ) -> LedgerWorker:
        """``hurried``: pauses take no time; ``table`` and ``schedule``: shared with other partitions."""
        return LedgerWorker(
            self.partition,
            store=table or self.table(),
            source=lambda: KafkaSource(self.kafka, self.partition, topic=TOPIC),
            dead_letter=self._dead_letter,
            check_log=self._check,
            now=wall_ms,
            schedule=schedule or InsertSchedule(asyncio.get_running_loop().time, linger),
            sleep=(lambda seconds: asyncio.sleep(0)) if hurried else asyncio.sleep,
            quiet=quiet,
        )

    async def _dead_letter(self, partition: int, record: LogRecord, reason: str) -> None:
        self.buried.append(record.offset)

    async def _check(self) -> None:
        return None

    @contextmanager
    def running(self, *writers: LedgerWorker) -> Iterator[list["asyncio.Task[None]"]]:
        tasks = [asyncio.create_task(writer.run()) for writer in writers]
        try:
            yield tasks
        finally:
            for writer in writers:
                writer.stop()

    async def stored(self) -> list[int]:
        """Raw offsets of the rows, one for each entry, in order of arrival in the log."""
        sql = f"SELECT raw_offset FROM rev.entries WHERE raw_partition = {self.partition} ORDER BY event_id"
        try:
            return [int(row[0]) for row in await self.db.execute(sql)]
        except Unavailable:
            return []

    async def complete(self, log: Log) -> bool:
        return len(await self.stored()) >= 3 * len(log.committed)


@pytest.fixture
def desk(kafka: str, db: ClickHouse, partition: int) -> Desk:
    return Desk(kafka, db, partition)


def each_three_times(offsets: list[int]) -> list[int]:
    return [offset for offset in offsets for _ in range(3)]


async def test_only_what_was_committed_arrives(log: Log, desk: Desk, eventually: Eventually) -> None:
    """Aborted transactions before, between and after committed ones leave no row and do not stop the writer."""
    writer = desk.writer()
    with desk.running(writer) as tasks:
        await log.abort([AT, AT])
        await log.append([AT, AT])
        await log.abort([AT])
        await log.append([AT])
        await log.abort([AT] * 5)
        await eventually(lambda: desk.complete(log))
    await asyncio.gather(*tasks)
    assert await desk.stored() == each_three_times(log.committed)


async def test_months_that_cross_inside_a_block(log: Log, desk: Desk, eventually: Eventually) -> None:
    """A transaction over three months, back to back, is stored whole, each month in parts of its own."""
    await log.append([AT, AT + 1, APRIL, APRIL + 1, APRIL + 40 * DAY])
    with desk.running(desk.writer()) as tasks:
        await eventually(lambda: desk.complete(log))
    await asyncio.gather(*tasks)
    assert await desk.stored() == each_three_times(log.committed)
    sql = f"SELECT uniqExact(_partition_id) FROM rev.entries WHERE raw_partition = {desk.partition}"
    assert await desk.db.execute(sql) == [["3"]]


async def test_two_writers_at_once_do_not_double(log: Log, desk: Desk, eventually: Eventually) -> None:
    """Two writers of one partition, each sure that it is its own, leave every row once."""
    with desk.running(desk.writer(), desk.writer()) as tasks:
        for _ in range(15):
            await log.append([AT] * 4)
        await eventually(lambda: desk.complete(log), timeout=60)
    await asyncio.gather(*tasks)
    assert await desk.stored() == each_three_times(log.committed)


async def test_two_processes_fight_over_several_partitions(
    kafka: str, db: ClickHouse, four: list[int], eventually: Eventually
) -> None:
    """Two processes that both write four partitions, each all of them together, leave every row once."""
    await create_topic(kafka, TOPIC, 128)
    desks = [Desk(kafka, db, partition) for partition in four]
    clock = asyncio.get_running_loop().time
    processes = [(desks[0].table(), InsertSchedule(clock, 0.02)) for _ in range(2)]
    writers = [desk.writer(table=table, schedule=schedule) for table, schedule in processes for desk in desks]
    async with AsyncExitStack() as stack:
        logs = [await stack.enter_async_context(Log(kafka, TOPIC, partition)) for partition in four]
        with desks[0].running(*writers) as tasks:
            for _ in range(10):
                await asyncio.gather(*(log.append([AT] * 4) for log in logs))
            for desk, log in zip(desks, logs, strict=True):
                await eventually(partial(desk.complete, log), timeout=120)
        await asyncio.gather(*tasks)
        for desk, log in zip(desks, logs, strict=True):
            assert await desk.stored() == each_three_times(log.committed)


async def test_an_engine_killed_again_and_again(log: Log, desk: Desk, engine: Engine, eventually: Eventually) -> None:
    """kill -9 of the engine under load: the writer waits, catches up, and no row is lost or doubled."""
    with desk.running(desk.writer(linger=0.01)) as tasks:
        for _ in range(3):
            before = len(await desk.stored())
            for _ in range(5):
                await log.append([AT] * 4)

            async def moved(before: int = before) -> bool:
                return len(await desk.stored()) > before

            await eventually(moved)
            for _ in range(5):
                await log.append([AT] * 4)
            engine.kill()
            await log.append([AT] * 4)
            # from this thread: the engine dies with the thread that started it
            engine.start()
        await eventually(lambda: desk.complete(log), timeout=60)
    await asyncio.gather(*tasks)
    assert await desk.stored() == each_three_times(log.committed)


async def test_a_record_that_cannot_be_stored_stops_the_partition(log: Log, desk: Desk) -> None:
    """What is before the bad record is stored, the record is buried, nothing overtakes it."""
    await log.append([AT] * 5)
    await log.append_raw([b'{"customer_id":"acme","nonsense":1}'])
    await log.append([AT] * 5)
    with pytest.raises(Halted, match="offset 6"):
        await asyncio.wait_for(desk.writer().run(), 60)
    assert await desk.stored() == each_three_times(log.committed[:5])
    assert desk.buried == [6]


async def test_a_ledger_ahead_of_the_log_is_left_alone(
    log: Log, desk: Desk, eventually: Eventually, kafka: str
) -> None:
    """When the log's end is below the table's maximum, the writer stops and says so."""
    await log.append([AT] * 5)
    with desk.running(desk.writer()) as tasks:
        await eventually(lambda: desk.complete(log))
    await asyncio.gather(*tasks)
    await create_topic(kafka, "ledger-younger", 128)
    younger = Desk(kafka, desk.db, desk.partition)
    writer = LedgerWorker(
        desk.partition,
        store=LedgerTable(desk.db, lambda: f"f{next(_tokens)}"),
        source=lambda: KafkaSource(kafka, desk.partition, topic="ledger-younger"),
        dead_letter=younger._dead_letter,
        check_log=younger._check,
        now=wall_ms,
        schedule=InsertSchedule(asyncio.get_running_loop().time),
        sleep=lambda seconds: asyncio.sleep(0),
    )
    with pytest.raises(WrongLog, match="holds offset 4, the log ends at 0"):
        await asyncio.wait_for(writer.run(), 60)
    assert await desk.stored() == each_three_times(log.committed)


async def test_a_quiet_log_that_retention_emptied(log: Log, desk: Desk, kafka: str, eventually: Eventually) -> None:
    """A log whose records, markers and aborted records are all gone is followed on, as long as the ledger had
    passed them; once it has lost a record that the ledger lacks, the ledger stands still."""
    await log.append([AT] * 3)
    await log.abort([AT] * 2)
    with desk.running(desk.writer(quiet=0.0)) as tasks:
        noted = f"SELECT after, max(seen) FROM rev._seen WHERE raw_partition = {log.partition} GROUP BY after"

        # three records and a marker, two aborted records and a marker
        async def passed() -> bool:
            return await desk.db.execute(noted) == [["2", "7"]]

        await eventually(passed)
    await asyncio.gather(*tasks)
    assert await forget_records(kafka, TOPIC, log.partition) == 7

    with desk.running(desk.writer()) as tasks:
        await log.append([AT] * 2)
        await eventually(lambda: desk.complete(log))
    await asyncio.gather(*tasks)
    assert await desk.stored() == each_three_times(log.committed)

    stored = list(log.committed)
    await log.append([AT])
    begin = await forget_records(kafka, TOPIC, log.partition)
    with pytest.raises(WrongLog, match=f"needs offset 9, the log begins at {begin}"):
        await asyncio.wait_for(desk.writer(hurried=True).run(), 60)
    assert await desk.stored() == each_three_times(stored)


async def test_a_row_is_there_within_a_second(log: Log, desk: Desk, eventually: Eventually) -> None:
    """The delay metric sees every block; a lone record does not wait for company longer than the linger."""
    with desk.running(desk.writer(linger=0.2)) as tasks:
        for _ in range(3):
            await log.append([wall_ms()])
            await eventually(lambda: desk.complete(log), timeout=10)
    await asyncio.gather(*tasks)
    assert await desk.stored() == each_three_times(log.committed)
