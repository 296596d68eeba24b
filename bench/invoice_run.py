"""`python -m bench.invoice_run`: measures the invoices of a month of very many customers, also with a kill in between.

The engine makes the month's events itself; `rev invoices run` closes it, as an operator does. Then every invoice is
read back and held against the ledger: numbers without a gap; lines, carried fractions and totals that add up exactly.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench import processes
from bench.reporting import keep, show
from bench.running_stack import RunningStack, wait_until
from bench.scenarios import Figures
from schemas.months import month_of, month_range
from warehouse.client import ClickHouse

CUSTOMERS, EVENTS = 100_000, 1_000_000
BLOCK = 200_000
ROWS = """
INSERT INTO rev.entries
    (kind, event_id, customer_id, agent_id, action, tokens, base_cents, token_cents, total_cents, price_id, price_base,
     price_token, event_time, recorded_at)
SELECT
    'event', (number + 1) * 65536, concat('customer-', toString(number % {customers})), 'agent', 'completion',
    cityHash64(number) % 4000 AS n, 0.5, toDecimal128(n, 12) * toDecimal128('0.0003', 4) AS cents,
    cents + toDecimal128('0.5', 12),
    1, 0.5, 0.0003,
    fromUnixTimestamp64Milli(toInt64({start} + intDiv(number * {length}, {events})), 'UTC') AS at,
    at
FROM numbers({first}, {count})
"""


def last_month(now: datetime) -> str:
    """Return the calendar month before ``now``."""
    return month_of(int((now.replace(day=1) - timedelta(days=1)).timestamp() * 1000))


async def fill(running: RunningStack, month: str, customers: int, events: int) -> None:
    """Write the month's events into the ledger."""
    password = json.loads((running.data / "clickhouse" / "users.json").read_text())["rev"]["password"]
    time_of = month_range(month)
    async with ClickHouse(running.run["clickhouse"], "rev", password) as db:
        for first in range(0, events, BLOCK):
            given = {"first": first, "count": min(BLOCK, events - first), "customers": customers, "events": events}
            await db.insert(ROWS.format(start=time_of.start, length=time_of.end - time_of.start, **given))


def command(running: RunningStack, month: str) -> "subprocess.Popen[bytes]":
    """Start `rev invoices run`."""
    env = {**os.environ, "REV_URL": running.http, "REV_ADMIN_TOKEN": running.admin_token}
    argv = [sys.executable, "-m", "tools.cli", "invoices", "run", "--month", month]
    return subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(running: RunningStack, month: str) -> float:
    """Return the seconds until the command has succeeded; it is repeated as an operator would."""
    began = time.perf_counter()
    wait_until(lambda: command(running, month).wait() == 0, "the month is closed", 1200, 1)
    return time.perf_counter() - began


def killed_run(running: RunningStack, month: str) -> float:
    """Kill the collector -9 once some invoices are there, then repeat the command. Return the seconds of both."""
    began = time.perf_counter()
    first = command(running, month)
    wait_until(lambda: bool(_page(running, month, 1, None)["invoices"]), "the first invoices are there", 600)
    before = running.wait_pid("collector")
    os.kill(before, signal.SIGKILL)
    first.wait()
    running.wait_pid("collector", before)
    run(running, month)
    return time.perf_counter() - began


def _page(running: RunningStack, month: str, limit: int, cursor: str | None) -> dict[str, Any]:
    at = f"&cursor={cursor}" if cursor else ""
    status, page = running.call("GET", f"/api/admin/invoices?month={month}&limit={limit}{at}")
    return page if status == 200 else {"invoices": [], "next_cursor": None}


def check(running: RunningStack, month: str, customers: int) -> None:
    """Raise RuntimeError unless the invoices are the ledger: one of each customer, and to the last decimal."""
    invoices: list[dict[str, Any]] = []
    cursor: str | None = None
    while not invoices or cursor:
        page = _page(running, month, 1000, cursor)
        invoices += page["invoices"]
        cursor = page["next_cursor"]
        if not page["invoices"]:
            break
    numbers = sorted(one["number"] for one in invoices)
    if numbers != [f"INV-{n:06d}" for n in range(1, customers + 1)]:
        raise RuntimeError(f"{len(invoices)} invoices of {customers} customers, from {numbers[:1]} to {numbers[-1:]}")
    if len({one["customer_id"] for one in invoices}) != customers:
        raise RuntimeError("a customer has two invoices")
    exact = sum(Decimal(str(one["lines_cents"])) for one in invoices)
    ledger = Decimal(running.sql("SELECT toString(sum(total_cents)) FROM rev.entries WHERE NOT test"))
    billed = sum(one["total_cents"] + Decimal(str(one["carried_out_cents"])) for one in invoices)
    if not exact == ledger == billed:
        raise RuntimeError(f"lines {exact}, ledger {ledger}, billed and carried {billed}")


def measure(where: Path, customers: int, events: int, *, kill: bool) -> Figures:
    """Close a month on a stack of its own."""
    running = RunningStack(where)
    try:
        running.wait_ready()
        month = last_month(datetime.now(UTC))
        asyncio.run(fill(running, month, customers, events))
        before = processes.cpu(running)
        seconds = killed_run(running, month) if kill else run(running, month)
        after = processes.cpu(running)
        names = ("collector", "clickhouse", "kafka", "gateway")
        figures: Figures = {
            "seconds": round(seconds, 1),
            **{f"{name}_cpu_s": round(after[name] - before[name], 1) for name in names if not kill},
            **{f"{name}_peak_mib": processes.peak_mib(running.pid(name)) for name in ("collector", "clickhouse")},
        }
        check(running, month, customers)
        figures["again_seconds"] = round(run(running, month), 1)
        check(running, month, customers)
    finally:
        running.stop()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.invoice_run", description=__doc__)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    found = {}
    for name, kill in (("undisturbed", False), ("collector killed", True)):
        with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
            found[name] = measure(Path(where) / "data", args.customers, args.events, kill=kill)
        show(f"{args.customers:,} customers, {args.events:,} events, {name}", found[name])
    if args.keep:
        keep("invoices", {"customers": args.customers, "events": args.events, "figures": found})


if __name__ == "__main__":
    main()
