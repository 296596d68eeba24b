"""`python -m bench.replay_speed [rows]`: how long a replay takes over generated rows, on an engine of its own.

The engine makes the rows itself: 30 days, 50 customers, 10 actions, 3 models. Of them 2 % are pending events, most of
which have ended, and ``--quantities`` says how many percent have quantities.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.reporting import keep, show
from deploy.children import spawn
from schemas.commands import Rates
from schemas.limits import DAY
from schemas.price_match import PriceSlot
from schemas.quantities import QuantityRate
from schemas.tiers import Step, Tiers
from warehouse.client import ClickHouse
from warehouse.errors import InsertTooLarge, ReadsTooSlow
from warehouse.migrate import migrate
from warehouse.reader import ClickHouseReader
from warehouse.replay import ChangedPrice, LedgerReplay, ReplayQuery
from warehouse.time_range import TimeRange

END = 1_777_204_800_000
MONTH = TimeRange(END - 30 * DAY, END)
BLOCK = 200_000
SMALL_BLOCK = 2_000
TURNS = 5
ROWS = """
INSERT INTO rev.entries
    (kind, event_id, customer_id, agent_id, action, model, tokens, tokens_input, tokens_output, quantities, outcome,
     outcome_id, total_cents, price_bonus, price_id, event_time, recorded_at)
WITH cityHash64(number) AS random
SELECT
    'event',
    number * 65536,
    concat('customer-', toString(random % 50)),
    concat('agent-', toString(random % 500)),
    concat('action-', toString(intDiv(random, 64) % 10)),
    concat('model-', toString(intDiv(random, 1024) % 3)),
    intDiv(random, 4096) % 4000 AS total,
    intDiv(total, 3) AS part,
    total - part,
    if(intDiv(random, 65536) % 100 < {quantities}, map('images', toDecimal128(random % 7, 6)), map()),
    ['', 'success', 'success', 'failure'][random % 4 + 1] AS told,
    '',
    toDecimal128(total, 12) * toDecimal128('0.0003', 4) + if(told = 'success', 1, 0),
    1, 1,
    fromUnixTimestamp64Milli(toInt64({start} + intDiv(number * 2592000000, {rows})), 'UTC') AS at,
    at
FROM numbers({first}, {count})
"""
PENDING = """
INSERT INTO rev.entries
    (kind, event_id, customer_id, agent_id, action, model, tokens, outcome, outcome_id, total_cents, bonus_cents,
     price_bonus, original, verdict, event_time, recorded_at)
WITH number % 10 AS part
SELECT
    if(part < 6, 'event', 'charge'),
    ({rows} + number) * 65536,
    concat('customer-', toString(intDiv(number, 20) % 50)),
    'agent', 'action-1', '', 0,
    if(part < 6, 'pending', ''),
    concat('oc_', toString(({rows} + number - if(part < 6, 0, 6)) * 65536)),
    if(part < 6, 0, 1), if(part < 6, 0, 1), 1,
    if(part < 6, NULL, ({rows} + number - 6) * 65536),
    if(part < 6, '', 'succeeded'),
    fromUnixTimestamp64Milli(toInt64({start} + intDiv(number * 2592000000, {count})), 'UTC') AS at,
    at
FROM numbers({first}, {block})
"""
CHANGES = [
    ChangedPrice(PriceSlot(None, "*"), Rates("0.1", "0.0004", "2", (QuantityRate("images", "1.5"),))),
    ChangedPrice(
        PriceSlot(None, "action-1", "model-1"), Rates("0", "0", "2", (QuantityRate("input", "250", 10**6),), True)
    ),
    ChangedPrice(PriceSlot("customer-7", "action-2"), Rates("5", "0", "2", (QuantityRate("images", "1"),))),
]
TIERS = (
    Tiers("event", (Step("100", "0"), Step(None, "0.1"))),
    Tiers("input", (Step("1000000", "3", 1000), Step(None, "1"))),
)
STEPPED = {
    "steps of a customer": [ChangedPrice(PriceSlot("customer-7", "*"), Rates("0", "0.0004", "2", (), True, TIERS))],
    "steps of an action": [ChangedPrice(PriceSlot(None, "action-1"), Rates("0", "0.0004", "2", (), True, TIERS))],
    "steps of all": [ChangedPrice(PriceSlot(None, "*"), Rates("0", "0.0004", "2", (), True, TIERS))],
}
IN_FORCE = [PriceSlot(f"customer-{number}", "action-3") for number in range(20)]


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def fill(db: ClickHouse, rows: int, quantities: int) -> None:
    """Write the ledger: pending events with their charges, and so many others, of which the last hours come in small
    blocks, as the ledger writes them."""
    await migrate(db)
    given = {"rows": rows, "start": MONTH.start, "quantities": quantities}
    pending, lately = rows // 30, rows - rows // 120
    for first in range(0, pending, BLOCK // 2):
        block = min(BLOCK // 2, pending - first)
        await db.insert(PENDING.format(first=first, block=block, count=pending, **given))
    first, block = 0, BLOCK
    while first < rows:
        count = min(block, lately - first) if first < lately else min(SMALL_BLOCK, rows - first)
        try:
            await db.insert(ROWS.format(first=first, count=count, **given))
        except InsertTooLarge:
            # as the ledger does: the engine has less memory while it merges
            block = max(block // 2, BLOCK // 32)
            await asyncio.sleep(1)
            continue
        first += count
    # its blocks are few and far larger than a ledger writes, so that no merge wants them
    await db.execute("OPTIMIZE TABLE rev.entries PARTITION 202603 FINAL")


async def measure(url: str, user: tuple[str, str], pid: int, rows: int, quantities: int) -> dict[str, float]:
    """Fill a ledger and replay it."""
    async with ClickHouse(url, *user) as db:
        await fill(db, rows, quantities)
        ((entries,),) = await db.execute("SELECT count() FROM rev.entries")
    filled: dict[str, float] = {"entries": int(entries), "percent with quantities": quantities}
    found = {**filled, **await timed(url, user, pid, CHANGES)}
    for name, changes in STEPPED.items():
        try:
            steps = await timed(url, user, pid, changes)
        except ReadsTooSlow:
            steps = {"too_slow": 1}
        found |= {f"{name}: {part}": figure for part, figure in steps.items()}
    return found


async def timed(url: str, user: tuple[str, str], pid: int, changes: list[ChangedPrice]) -> dict[str, float]:
    """Replay a ledger that is filled. Raises ReadsTooSlow."""
    reader = ClickHouseReader(url, *user)
    reads = LedgerReplay(reader)
    seconds, used = [], []
    try:
        for _ in range(TURNS + 1):
            began, before = time.perf_counter(), cpu(pid)
            await reads.replay(ReplayQuery(MONTH, "", changes, IN_FORCE))
            seconds.append(time.perf_counter() - began)
            used.append(cpu(pid) - before)
    finally:
        await reader.close()
    return {
        "first_s": round(seconds[0], 3),
        "median_s": round(median(seconds[1:]), 3),
        "least_s": round(min(seconds[1:]), 3),
        "engine_cpu_s": round(median(used[1:]), 3),
    }


@contextmanager
def engine(kept: Path | None = None) -> Iterator[tuple[str, tuple[str, str], int]]:
    """Yield the URL, user and process id of an engine on the directory ``kept``, or on one that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="replay-") as directory:
        data = kept or Path(directory) / "engine"
        command = [sys.executable, "-m", "deploy.clickhouse", "--data", str(data), "--port", "0"]
        process = spawn(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            users = json.loads((data / "users.json").read_text())
            user = next((name, one["password"]) for name, one in users.items() if one["role"] == "rw")
            yield f"http://127.0.0.1:{port}", user, process.pid
        finally:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.replay_speed", description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=10_000_000)
    parser.add_argument("--quantities", type=int, default=0, help="percent of the events with quantities")
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    with engine() as (url, user, pid):
        figures = asyncio.run(measure(url, user, pid, args.rows, args.quantities))
    show("replay", figures)
    if args.keep:
        keep(f"replay-{args.quantities}", {"replay": figures})


if __name__ == "__main__":
    main()
