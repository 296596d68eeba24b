"""`python -m bench.page_reads [rows]`: how long the reads of the pages take over generated rows, on an engine apart.

The rows are those of bench.replay_speed: 30 days of events, and pending ones of which most have ended. Every read is
made as its page makes it, alone, after one that warms up; those of a whole page run side by side. CPU seconds
are the engine's.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.replay_speed import CHANGES, END, IN_FORCE, MONTH, cpu, engine, fill
from bench.reporting import console, keep
from schemas.limits import HOUR
from schemas.months import month_around
from schemas.price_match import PriceSlot
from streams.log_ends import KafkaLogEnds
from warehouse.account_rows import CustomerQuery
from warehouse.accounts import LedgerAccounts
from warehouse.activity import LedgerActivity
from warehouse.activity_rows import CLOSED, OPEN, EventSearch, OutcomeSearch, SumsQuery
from warehouse.client import ClickHouse
from warehouse.dashboard import LedgerDashboard
from warehouse.dashboard_rows import SeriesQuery
from warehouse.migrate import migrate
from warehouse.queries import LedgerReads
from warehouse.reader import ClickHouseReader
from warehouse.replay import LedgerReplay, ReplayQuery
from warehouse.rows import MAX_ID, AuditFilter, EventQuery, UsageQuery
from warehouse.time_range import LAST, TimeRange, named, today
from web import periods
from web.jumps import WATCHED
from web.pages import overview_page
from web.pages.events_page import found
from web.readings import recent_events

NOW = END - HOUR // 3
PAGE, WEEK, TODAY = named("30d", NOW), named("7d", NOW), today(NOW)
"""As pages name them: whole days, of which the last is the current one."""
TURNS = 30
SECONDS = 6.0
"""After which a read is not repeated any more."""
BEFORE = periods.before(PAGE, NOW)
TWO_MONTHS = TimeRange(month_around(month_around(NOW).start - 1).start, NOW)
CUSTOMER, AGENT, ACTION = "customer-7", "agent-77", "action-1"
Read = Callable[[], Awaitable[Any]]


def reads(runner: ClickHouseReader) -> dict[str, Read]:
    """Return the reads of the pages, by page and what is read."""
    board, accounts, activity = LedgerDashboard(runner), LedgerAccounts(runner), LedgerActivity(runner)
    ledger, replay = LedgerReads(runner, KafkaLogEnds("")), LedgerReplay(runner)
    series = SeriesQuery(PAGE.start, PAGE.end, "day", "action", 5)
    return {
        "overview: the page": lambda: overview_page.read(board, "30d", PAGE, NOW),
        "overview: totals of 30 days": lambda: board.totals(PAGE),
        "overview: totals of a day": lambda: board.totals(TODAY),
        "overview: totals until a moment": lambda: board.totals(periods.before(TODAY, NOW)),
        "overview: totals of 24 hours": lambda: board.totals(named("24h", NOW)),
        "overview: by agent": lambda: board.ranked(PAGE, "agent_id", 10),
        "overview: by customer": lambda: board.ranked(PAGE, "customer_id", 10),
        "overview: by action": lambda: board.ranked(PAGE, "action", 10),
        "overview: revenue over time": lambda: board.series(series),
        "overview: recent events": lambda: recent_events(board, NOW, 10),
        "overview: the last minute": lambda: board.run_rates(TimeRange(NOW - 60_000, LAST), WATCHED),
        "overview: the hour before": lambda: board.run_rates(TimeRange(NOW - HOUR - 60_000, NOW - 60_000), WATCHED),
        "overview: verdicts": lambda: board.verdicts(PAGE),
        "overview: pending": lambda: board.pending(NOW),
        "dashboard: outcomes": lambda: board.outcomes(PAGE, NOW),
        "dashboard: counts": board.counts,
        "signups": lambda: board.signups(PAGE),
        "customers: list": lambda: accounts.customers(CustomerQuery(PAGE, BEFORE)),
        "customers: last events": lambda: accounts.last_events([f"customer-{number}" for number in range(50)]),
        "customer: usage": lambda: ledger.usage(UsageQuery(CUSTOMER, False, PAGE, top=8), "action"),
        "customer: over time": lambda: board.series(series._replace(customer=CUSTOMER)),
        "customer: pending": lambda: ledger.pending(UsageQuery(CUSTOMER, False, TimeRange(0, LAST)), NOW),
        "customer: events": lambda: ledger.events(EventQuery(CUSTOMER, False, limit=20)),
        "customer: grants": lambda: accounts.grants(CUSTOMER, False, 100),
        "agents: ranking": lambda: activity.sums(SumsQuery("agent_id", PAGE, BEFORE, 101)),
        "agent: sums": lambda: activity.sums(SumsQuery("agent_id", PAGE, BEFORE, 1, AGENT)),
        "action: customers": lambda: activity.sums(SumsQuery("customer_id", PAGE, BEFORE, 10, "", ACTION)),
        "action: components": lambda: activity.components(ACTION, PAGE),
        "events: all": lambda: found(activity, EventSearch(limit=51), NOW),
        "events: of a customer": lambda: found(activity, EventSearch(customer=CUSTOMER, limit=51), NOW),
        "events: of an agent": lambda: found(activity, EventSearch(agent=AGENT, limit=51), NOW),
        "events: voided": lambda: found(activity, EventSearch(status="voided", limit=51), NOW),
        "events: of a task": lambda: found(activity, EventSearch(task_id="task-that-is-not", limit=51), NOW),
        "events: by metadata": lambda: found(activity, EventSearch(metadata="text that is not", limit=51), NOW),
        "event: one": lambda: activity.entry(5_000_000 * 65536),
        "outcomes: open": lambda: activity.outcomes(OutcomeSearch(NOW, OPEN, limit=51)),
        "outcomes: closed": lambda: activity.outcomes(OutcomeSearch(NOW, CLOSED, limit=51)),
        "audit": lambda: ledger.audit((LAST, MAX_ID), 51),
        "audit: of a customer": lambda: ledger.audit((LAST, MAX_ID), 51, AuditFilter(customer=CUSTOMER)),
        "price by months: an action": lambda: replay.month_units(PriceSlot(None, ACTION), IN_FORCE, TWO_MONTHS),
        "replay: whole days": lambda: replay.replay(ReplayQuery(PAGE, "", CHANGES, IN_FORCE)),
        "replay: three changes": lambda: replay.replay(ReplayQuery(MONTH, "", CHANGES, IN_FORCE)),
        "replay: one customer": lambda: replay.replay(ReplayQuery(MONTH, CUSTOMER, CHANGES, IN_FORCE)),
    }


async def measure(url: str, user: tuple[str, str], pid: int, rows: int) -> dict[str, dict[str, float]]:
    """Fill a ledger that is empty, and time every read."""
    async with ClickHouse(url, *user) as db:
        began = time.perf_counter()
        await migrate(db)
        if not int((await db.execute("SELECT count() FROM rev.entries"))[0][0]):
            await fill(db, rows, 2)
        ((entries, size),) = await db.execute(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'rev'"
        )
        console.print(f"{int(entries):,} rows, {int(size) / 1e6:.0f} MB, in {time.perf_counter() - began:.0f} s")
    runner = ClickHouseReader(url, *user)
    try:
        figures = {}
        for name, read in reads(runner).items():
            figures[name] = await timed(read, pid)
            console.print(f"{name:36} {figures[name]}")
        return figures
    finally:
        await runner.close()


async def timed(read: Read, pid: int) -> dict[str, float]:
    """Return the p50 and p99 of a read in ms, and the engine's CPU in ms."""
    try:
        await read()
    except Exception as error:
        return {"failed": 1, "error": str(error)}  # type: ignore[dict-item]
    taken: list[float] = []
    before = cpu(pid)
    while len(taken) < TURNS and sum(taken) < SECONDS:
        began = time.perf_counter()
        await read()
        taken.append(time.perf_counter() - began)
    used = (cpu(pid) - before) / len(taken)
    slow = quantiles(taken, n=100)[98] if len(taken) > 1 else taken[0]
    return {
        "p50_ms": round(median(taken) * 1000, 1),
        "p99_ms": round(min(slow, max(taken)) * 1000, 1),
        "cpu_ms": round(used * 1000, 1),
        "turns": len(taken),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page_reads", description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=10_000_000)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    parser.add_argument("--data", type=Path, help="directory of the engine, filled if it is empty, and kept")
    args = parser.parse_args()
    with engine(args.data) as (url, user, pid):
        figures = asyncio.run(measure(url, user, pid, args.rows))
    if args.keep:
        keep("pages", {"pages": figures})


if __name__ == "__main__":
    main()
