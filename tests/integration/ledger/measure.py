"""What the ledger costs: ``python -m tests.integration.ledger.measure [records]``; not a test.

Writes records of 100 events into an engine over HTTP as the writer does, without Kafka, and
prints rows a second and CPU of both processes for each row; then CPU and time of a block of 1,
100 and 3,000 rows, merges included that began meanwhile: of one partition, and of four at once.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from ledger.blocks import Block, Builder, LogRecord
from ledger.store import LedgerTable
from tests.integration.ledger.engine import Engine
from tests.integration.ledger.entries_log import AT, value
from warehouse.migrate import migrate

EVENTS = 100
BLOCKS = 100


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measure(engine: Engine, count: int) -> None:
    assert engine.process is not None
    records = [LogRecord(i, AT + i, value(i, AT + i, EVENTS)) for i in range(count)]
    async with engine.client() as db:
        await migrate(db)
        table = LedgerTable(db, lambda: "measure")
        await table.take_over(0)
        own, theirs, begin = time.process_time(), cpu(engine.process.pid), time.perf_counter()
        builder = Builder(-1)
        for record in records:
            if not builder.add(record):
                await table.write(0, builder.take())
                builder.add(record)
        if len(builder):
            await table.write(0, builder.take())
        seconds, rows = time.perf_counter() - begin, count * EVENTS
        own, theirs = time.process_time() - own, cpu(engine.process.pid) - theirs
        each = 1e6 / rows
        print(f"{rows / seconds:,.0f} rows/s; CPU a row: ledger {own * each:.2f} us, engine {theirs * each:.2f} us")
        for partition in (1, 2, 3):
            await table.take_over(partition)
        offsets = [count, 0, 0, 0]
        for partitions in (1, 4):
            for records_each, events in ((1, 1), (1, 100), (30, 100)):
                await blocks(engine.process.pid, table, offsets[:partitions], records_each, events)
                offsets[:partitions] = [offset + BLOCKS * records_each for offset in offsets[:partitions]]


async def blocks(pid: int, table: LedgerTable, offsets: list[int], count: int, events: int) -> None:
    """Writes BLOCKS times, at once for each partition from its offset on, ``count`` records with ``events`` events."""
    taken: list[float] = []
    own, theirs = time.process_time(), cpu(pid)
    for turn in range(BLOCKS):
        firsts = [offset + turn * count for offset in offsets]
        made = [tuple(LogRecord(i, AT, value(i, AT, events)) for i in range(first, first + count)) for first in firsts]
        begin = time.perf_counter()
        writes = [table.write(at, Block(made[at][0].offset - 1, made[at])) for at in range(len(offsets))]
        await asyncio.gather(*writes)
        taken.append(time.perf_counter() - begin)
    own, theirs = time.process_time() - own, cpu(pid) - theirs
    taken.sort()
    each, middle = 1e3 / BLOCKS, taken[BLOCKS // 2] * 1e3
    print(
        f"{len(offsets)} blocks of {count * events:5} rows: "
        f"CPU ledger {own * each:.1f} ms, engine {theirs * each:.1f} ms; p50 {middle:.1f} ms"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ledger-") as directory:
        made = Engine(Path(directory) / "engine")
        try:
            asyncio.run(measure(made, int(sys.argv[1]) if sys.argv[1:] else 5000))
        finally:
            made.kill()
