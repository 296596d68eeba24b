"""The partition's writer against a log and a table in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ledger.blocks import LogRecord
from ledger.errors import SourceStalled, WrongLog
from ledger.insert_schedule import InsertSchedule
from ledger.memory import MemoryRows, MemoryTable
from ledger.writer import Halted, LedgerWorker, OffsetBounds

Eventually = Callable[..., Awaitable[None]]
MARCH, APRIL = 1_774_915_200_000, 1_775_001_600_000
"""2026-03-31 and 2026-04-01, UTC."""


class MemoryLog:
    """A partition of the log: committed records with holes where markers are."""

    def __init__(self, records: Sequence[LogRecord], begin: int = 0, end: int | None = None) -> None:
        self.records = list(records)
        self.begin = begin
        self.limit = end
        self.silences = 0

    @property
    def end(self) -> int:
        return self.limit if self.limit is not None else (self.records[-1].offset + 2 if self.records else self.begin)


class MemorySource:
    """A reader of a MemoryLog, three records at a time."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._next = 0

    async def open(self) -> OffsetBounds:
        if self._log.silences:
            self._log.silences -= 1
            raise SourceStalled("no broker")
        return OffsetBounds(self._log.begin, self._log.end)

    async def seek(self, offset: int) -> None:
        assert offset >= self._log.begin, "out of range"
        self._next = offset

    async def read(self, timeout: float) -> Sequence[LogRecord]:
        await asyncio.sleep(0)
        found = [record for record in self._log.records if record.offset >= self._next][:3]
        self._next = found[-1].offset + 1 if found else max(self._next, self._log.end)
        return found

    async def position(self) -> int:
        return self._next

    def end(self) -> int:
        return self._log.end

    async def close(self) -> None:
        return None


class Bench:
    """A writer with everything around it in memory; time is set by hand and no pause takes any."""

    def __init__(self, log: MemoryLog, eventually: Eventually, rows: MemoryRows | None = None) -> None:
        self.log = log
        self.eventually = eventually
        self.rows = rows or MemoryRows()
        self.buried: list[tuple[int, int, str]] = []
        self.checks = 0
        self.pauses: list[float] = []
        self.foreign = False
        self.time = 0.0
        self.schedule = InsertSchedule(lambda: self.time, linger=0.0)
        self.on_pause: Callable[[], None] = lambda: None

    def writer(self) -> LedgerWorker:
        return LedgerWorker(
            3,
            store=MemoryTable(self.rows),
            source=lambda: MemorySource(self.log),
            dead_letter=self._dead_letter,
            check_log=self._check,
            now=lambda: APRIL,
            sleep=self._sleep,
            schedule=self.schedule,
            clock=lambda: self.time,
            quiet=30.0,
        )

    async def _dead_letter(self, partition: int, record: LogRecord, reason: str) -> None:
        self.buried.append((partition, record.offset, reason))

    async def _check(self) -> None:
        self.checks += 1
        if self.foreign:
            raise WrongLog("another epoch")

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()

    async def run(self, *writers: LedgerWorker) -> None:
        """Runs the writers until the table holds the whole log."""
        tasks = [asyncio.create_task(writer.run()) for writer in writers]
        last = self.log.records[-1].offset
        await self.eventually(lambda: self.rows.maximum(3) == last)
        for writer in writers:
            writer.stop()
        await asyncio.gather(*tasks)


def records(*offsets: int, month: int = MARCH) -> list[LogRecord]:
    return [LogRecord(offset, month, b'{"kind":"%d"}' % offset) for offset in offsets]


async def test_follows_the_log_from_the_start(eventually: Eventually) -> None:
    """An empty table gets every committed record once, in order."""
    bench = Bench(MemoryLog(records(0, 1, 4, 5, 6, 9, 11)), eventually)
    await bench.run(bench.writer())
    assert [offset for _, offset, _ in bench.rows.rows] == [0, 1, 4, 5, 6, 9, 11]


async def test_resumes_from_the_tables_maximum(eventually: Eventually) -> None:
    """What the table holds already is neither read nor written again."""
    rows = MemoryRows()
    rows.rows = [(3, 0, b"x"), (3, 1, b"x"), (3, 4, b"x"), (2, 99, b"another partition")]
    bench = Bench(MemoryLog(records(0, 1, 4, 5, 6)), eventually, rows)
    await bench.run(bench.writer())
    assert [offset for at, offset, _ in rows.rows if at == 3] == [0, 1, 4, 5, 6]
    assert rows.blocks[0].after == 4


async def test_cuts_where_the_month_changes(eventually: Eventually) -> None:
    """No block holds two months, though the log goes from one into the other within a read."""
    bench = Bench(MemoryLog(records(0, 1) + records(2, 3, 4, month=APRIL)), eventually)
    await bench.run(bench.writer())
    assert {record.timestamp for record in bench.rows.blocks[0].records} == {MARCH}
    assert all(len({record.timestamp for record in block.records}) == 1 for block in bench.rows.blocks)


async def test_an_outage_is_waited_out(eventually: Eventually) -> None:
    """While ClickHouse is away the writer waits longer and longer, then carries on without loss or double."""
    bench = Bench(MemoryLog(records(*range(10))), eventually)
    bench.rows.outages = 7
    await bench.run(bench.writer())
    assert [offset for _, offset, _ in bench.rows.rows] == list(range(10))
    assert bench.pauses == [0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0]


async def test_two_writers_never_double(eventually: Eventually) -> None:
    """Two writers of one partition at once fence each other and still every row is there once."""
    bench = Bench(MemoryLog(records(*range(200))), eventually)
    await bench.run(bench.writer(), bench.writer())
    assert [offset for _, offset, _ in bench.rows.rows] == list(range(200))


async def test_a_refused_record_stops_the_partition_before_it(eventually: Eventually) -> None:
    """The record that is to blame is found, buried and named; what is before it is written, nothing after it."""
    rows = MemoryRows(refuses=lambda value: value == b'{"kind":"7"}')
    bench = Bench(MemoryLog(records(*range(12))), eventually, rows)
    with pytest.raises(Halted, match="offset 7"):
        await bench.writer().run()
    assert [offset for _, offset, _ in rows.rows] == list(range(7))
    assert [(partition, offset) for partition, offset, _ in bench.buried] == [(3, 7)]


async def test_a_block_that_is_too_much_at_once_is_halved(eventually: Eventually) -> None:
    """When the server has no memory for a block, smaller ones are written in its place, once and in order."""
    bench = Bench(MemoryLog(records(*range(12))), eventually)
    bench.rows.memory = 1
    await bench.run(bench.writer())
    assert [offset for _, offset, _ in bench.rows.rows] == list(range(12))
    assert bench.pauses == []


async def test_a_record_that_is_too_much_by_itself_is_tried_again(eventually: Eventually) -> None:
    """A server without memory for one record is waited for, and nothing is buried."""
    bench = Bench(MemoryLog(records(0, 1)), eventually)
    bench.rows.memory = 0
    bench.on_pause = lambda: setattr(bench.rows, "memory", 1 if len(bench.pauses) > 2 else 0)
    await bench.run(bench.writer())
    assert [offset for _, offset, _ in bench.rows.rows] == [0, 1]
    assert bench.pauses == [0.1, 0.2, 0.5]
    assert bench.buried == []


async def test_a_ledger_ahead_of_the_log_is_not_written_to(eventually: Eventually) -> None:
    """If the table holds an offset that the log does not have, the writer gives up and writes nothing."""
    rows = MemoryRows()
    rows.rows = [(3, 50, b"x")]
    bench = Bench(MemoryLog(records(*range(12))), eventually, rows)
    with pytest.raises(WrongLog, match="holds offset 50, the log ends at 13"):
        await bench.writer().run()
    assert len(rows.rows) == 1


async def test_a_log_that_lost_what_the_ledger_needs_is_refused(eventually: Eventually) -> None:
    """If retention took records that the table does not hold, the writer says so instead of skipping them."""
    bench = Bench(MemoryLog(records(20, 21), begin=20), eventually)
    with pytest.raises(WrongLog, match="needs offset 0, the log begins at 20"):
        await bench.writer().run()
    assert bench.rows.rows == []


def emptied(log: MemoryLog, begin: int) -> None:
    """Retention has taken everything before ``begin``, the log's end included if it is that."""
    log.limit = max(log.end, begin)
    log.begin = begin
    log.records = [record for record in log.records if record.offset >= begin]


async def test_a_quiet_log_that_retention_emptied_is_followed(eventually: Eventually) -> None:
    """Markers and aborted records behind the last record are gone with it: the ledger has seen that nothing is lost."""
    bench = Bench(MemoryLog(records(0, 1, 4), end=11), eventually)
    await bench.run(bench.writer())
    assert bench.rows.seen == [(3, 4, 11)]
    emptied(bench.log, 11)
    bench.log.records, bench.log.limit = records(11, 12), None
    await bench.run(bench.writer())
    assert [offset for _, offset, _ in bench.rows.rows] == [0, 1, 4, 11, 12]


async def test_what_was_lost_behind_what_was_seen_is_still_wrong(eventually: Eventually) -> None:
    """A note of how far the log was read excuses no record that came after it."""
    bench = Bench(MemoryLog(records(0, 1, 4), end=11), eventually)
    await bench.run(bench.writer())
    emptied(bench.log, 12)
    with pytest.raises(WrongLog, match="needs offset 5, the log begins at 12"):
        await bench.writer().run()


async def test_a_note_does_not_outlive_the_rows_it_was_made_with(eventually: Eventually) -> None:
    """If the table has lost rows since, what was seen then says nothing about them."""
    bench = Bench(MemoryLog(records(0, 1, 4), end=11), eventually)
    await bench.run(bench.writer())
    bench.rows.rows.pop()
    emptied(bench.log, 11)
    with pytest.raises(WrongLog, match="needs offset 2, the log begins at 11"):
        await bench.writer().run()


async def test_it_is_noted_rarely_and_only_when_quiet(eventually: Eventually) -> None:
    """A running writer notes after 30 s without a record, once for each place, and not while records come."""
    bench = Bench(MemoryLog(records(0, 1)), eventually)
    writer = bench.writer()
    task = asyncio.create_task(writer.run())
    seen = bench.rows.seen

    async def until(offset: int) -> None:
        await eventually(lambda: bench.rows.maximum(3) == offset)
        for _ in range(10):
            await asyncio.sleep(0)

    await until(1)
    bench.time = 29.0
    bench.log.records += records(3)
    await until(3)
    bench.time = 58.0
    await until(3)
    assert seen == []
    bench.time = 59.0
    await eventually(lambda: seen == [(3, 3, 5)])
    bench.time = 200.0
    await until(3)
    bench.log.limit = 9
    await until(3)
    assert seen == [(3, 3, 5)]
    bench.time = 230.0
    await eventually(lambda: seen == [(3, 3, 5), (3, 3, 9)])
    writer.stop()
    await task
    assert seen == [(3, 3, 5), (3, 3, 9)]


async def test_a_short_lived_wrong_end_is_forgiven(eventually: Eventually) -> None:
    """A broker that tells an old end right after its restart does not stop the ledger."""
    log = MemoryLog(records(0, 1, 2), end=1)
    rows = MemoryRows()
    rows.rows = [(3, 0, b"x"), (3, 1, b"x")]
    bench = Bench(log, eventually, rows)
    writer = bench.writer()
    bench.on_pause = lambda: setattr(log, "limit", None)
    await bench.run(writer)
    assert [offset for _, offset, _ in rows.rows] == [0, 1, 2]


async def test_the_epoch_is_asked_again_when_the_log_was_away(eventually: Eventually) -> None:
    """A log that went silent may come back as another one: then nothing is written to the ledger."""
    log = MemoryLog(records(0, 1))
    log.silences = 1
    bench = Bench(log, eventually)
    bench.foreign = True
    with pytest.raises(WrongLog, match="another epoch"):
        await bench.writer().run()
    assert bench.rows.rows == []
    assert bench.checks >= 1


async def test_trouble_is_told_while_it_lasts(eventually: Eventually) -> None:
    """The reason for /readyz is there from the start until the writer stands where the table ends."""
    bench = Bench(MemoryLog(records(0)), eventually)
    assert bench.writer().not_ready_reason == "starting"
    writer = bench.writer()
    await bench.run(writer)
    assert writer.not_ready_reason is None
