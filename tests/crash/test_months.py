"""The end of a month under faults: everything is accepted last month, then the log's time jumps to now."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bench.running_stack import RunningStack, wait_until
from schemas.months import month_around
from schemas.topics import RAW, topics
from tests.crash.clients import CAP, MONTHLY, Agent, Book, set_list
from tests.crash.decided_again import differences
from tests.crash.faults import SERVICES, Faults
from tests.crash.spenders import Spender, check_spending, limit
from tests.crash.test_torture import FAULTS, PARTITIONS, SEED, ledger_rows, report

pytestmark = pytest.mark.crash

LAST_MONTH = Path(__file__).parent / "last_month"
ROOT = Path(__file__).parents[2]
EARLIER = 12 * 3600
"""Seconds before the end of last month at which the log begins."""
MINIMUM = Decimal(100_000)
"""Of a month of MONTHLY[1], more than the load costs."""


def behind() -> int:
    """How many seconds ago the log begins."""
    now = int(time.time() * 1000)
    return (now - month_around(now).start) // 1000 + EARLIER


async def jump(kafka: str) -> None:
    """Give rev.raw its broker's time again: from here on it is this month."""
    config = topics(int(PARTITIONS))[0].config
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (done,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, RAW, config)])
        assert [one[0] for one in done.resources] == [0], done
    finally:
        await admin.close()


async def torment(running: RunningStack, book: Book) -> Faults:
    """Load and faults before, at and after the month's end; then everything that was charged is sent again."""
    modes = [(f"torture-{number // 2}", ("live", "test")[number % 2]) for number in range(4)]
    keys = [running.make_key(customer, test=mode == "test") for customer, mode in modes]
    status, _ = running.call("POST", "/api/admin/pricing", {"action_type": "torture.step", "base_rate_cents": 0})
    assert status == 201
    set_list(running)
    owners = limit(running)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        stop = asyncio.Event()
        agents = [
            Agent(session, running.http, customer, mode, key, book, SEED * 1000 + number)
            for number, ((customer, mode), key) in enumerate(zip(modes, keys, strict=True))
        ]
        spenders = [
            Spender(session, running.http, owner, book, running.admin_token, f"spender-{number}", SEED * 2000 + number)
            for number, owner in enumerate(owners)
        ]
        loads: list[Callable[[asyncio.Event], Awaitable[None]]] = [one.run for one in (*agents, *spenders)]
        tasks = [asyncio.ensure_future(run(stop)) for run in loads]
        services = (*SERVICES, "expirer")
        faults = Faults(running, random.Random(SEED), lambda: book.acknowledged, services)
        await faults.inject(FAULTS // 3)
        await jump(running.run["kafka"])
        await faults.one("kill", "expirer")
        await faults.one("kill", "pricer")
        await faults.inject(FAULTS - FAULTS // 3)
        stop.set()
        await asyncio.gather(*tasks)
        await asyncio.gather(*(agent.again() for agent in agents))
    return faults


def test_months_are_closed_once_whatever_dies(tmp_path: Path) -> None:
    """Each month of each customer and mode is settled by one entry, exactly; no cap, budget or grant is exceeded."""
    path = f"{LAST_MONTH}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    env = {"REV_PARTITIONS": PARTITIONS, "PYTHONPATH": path, "REV_TEST_BEHIND": str(behind())}
    running = RunningStack(tmp_path / "data", env)
    book = Book()
    try:
        running.wait_ready()
        faults = asyncio.run(torment(running, book))
        wait_until(lambda: len(ledger_rows(running)) >= len(book.prices), "the ledger holds every event", 90)
        wait_until(lambda: closed(running), "every month that is over is settled, and nothing is held", 90)
        rows = ledger_rows(running)
        report(book, faults, len(rows))
        assert book.errors == []
        assert {(row.customer, row.key): (row.event_id, row.cents) for row in rows} == book.prices
        check_adjustments(running)
        check_spending(running)
        verify = subprocess.run([sys.executable, "-m", "tools.cli", "verify", "--data", str(running.data)], check=False)
        assert verify.returncode == 0, "rev verify agrees"
        assert differences(running, int(PARTITIONS), SEED) == [], "a second reading of the log decides the same"
    finally:
        assert running.stop() == 0, "rev up stops cleanly after all of it"


def last_month() -> str:
    """Last month as SQL counts it, such as 202610."""
    now = int(time.time() * 1000)
    return f"{datetime.fromtimestamp(month_around(now).start / 1000 - 1, UTC):%Y%m}"


def owing(running: RunningStack) -> dict[str, Decimal]:
    """By customer and mode: what last month's events of the row with a minimum cost, less voids before its end."""
    month = f"toYYYYMM(recorded_at) = {last_month()}"
    of = "concat(customer_id, if(test, '/test', '/live'))"
    rows = running.sql(
        f"SELECT {of}, toString(sum(total_cents)) FROM rev.entries WHERE action = '{MONTHLY[1]}' AND kind IN"
        f" ('event', 'void') AND {month} GROUP BY 1 FORMAT TSV"
    )
    return {owner: Decimal(cents) for owner, cents in (line.split("\t") for line in rows.splitlines())}


def adjusted(running: RunningStack) -> list[tuple[str, Decimal]]:
    """Customer and mode, and cents, of every adjustment."""
    rows = running.sql(
        "SELECT concat(customer_id, if(test, '/test', '/live')), toString(total_cents) FROM rev.entries"
        " WHERE kind = 'adjustment' ORDER BY event_id FORMAT TSV"
    )
    return [(owner, Decimal(cents)) for owner, cents in (line.split("\t") for line in rows.splitlines())]


def closed(running: RunningStack) -> bool:
    """True when the ledger has the adjustment of every month, and no reservation is open."""
    open_ones = running.sql(
        "SELECT countIf(config_type = 'reservation.created') - countIf(config_type IN ('reservation.released',"
        " 'reservation.expired')) - countIf(kind = 'event' AND detail != '') FROM rev.entries"
    )
    return int(open_ones) == 0 and {owner for owner, _ in adjusted(running)} >= owing(running).keys()


def check_adjustments(running: RunningStack) -> None:
    """The month costs its minimum to the pico-cent, by one adjustment; and traffic reached the cap of both months."""
    owed, found = owing(running), adjusted(running)
    print(f"  {len(found)} months settled: {dict(found)}")
    assert len(found) == len(dict(found)) and dict(found).keys() == owed.keys() != set()
    assert {owner: owed[owner] + cents for owner, cents in found} == dict.fromkeys(owed, MINIMUM)
    capped = running.sql(
        "SELECT month, toString(max(spent)) FROM (SELECT toYYYYMM(recorded_at) AS month, sum(total_cents) AS spent"
        f" FROM rev.entries WHERE kind IN ('event', 'void') AND action = '{MONTHLY[2]}'"
        " GROUP BY customer_id, test, month) GROUP BY month FORMAT TSV"
    )
    spent = {line.split("\t")[0]: Decimal(line.split("\t")[1]) for line in capped.splitlines()}
    assert last_month() in spent and max(spent.values()) <= Decimal(CAP)
