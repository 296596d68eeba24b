"""What the ledger costs: ``python -m tests.integration.ledger.measure [records]``; not a test.

Writes records of 100 events into an engine over HTTP as the writer does, without Kafka, and
prints rows a second, CPU of both processes for each row, and the time of a lone record.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from ledger.blocks import Block, Builder, Record
from ledger.migrate import migrate
from ledger.store import LedgerTable
from tests.integration.ledger.engine import Engine
from tests.integration.ledger.entries_log import AT, value

EVENTS = 100


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measure(engine: Engine, count: int) -> None:
    assert engine.process is not None
    records = [Record(i, AT + i, value(i, AT + i, EVENTS)) for i in range(count)]
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
        lone = []
        for i in range(count, count + 50):
            begin = time.perf_counter()
            await table.write(0, Block(i - 1, (Record(i, AT, value(i, AT, 1)),)))
            lone.append(time.perf_counter() - begin)
        lone.sort()
        print(f"a lone record: p50 {lone[25] * 1e3:.1f} ms, max {lone[-1] * 1e3:.1f} ms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ledger-") as directory:
        made = Engine(Path(directory) / "engine")
        try:
            asyncio.run(measure(made, int(sys.argv[1]) if sys.argv[1:] else 5000))
        finally:
            made.kill()
