"""Random faults under load: nothing acknowledged is lost, nothing is doubled, every price is right."""

import asyncio
import os
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from bench.running_stack import RunningStack, wait_until
from tests.crash.clients import CAP, MONTHLY, STEP, Agent, Book, fund, raise_price, set_list
from tests.crash.decided_again import differences
from tests.crash.faults import SERVICES as ALL
from tests.crash.faults import Faults

pytestmark = pytest.mark.crash

FAULTS = int(os.environ.get("TORTURE_FAULTS", "40"))
PARTITIONS = os.environ.get("TORTURE_PARTITIONS", "4")
SEED = int(os.environ.get("TORTURE_SEED", "1"))
SERVICES = tuple(os.environ.get("TORTURE_SERVICES", ",".join(ALL)).split(","))
"""Which are killed and stopped: `pricer` alone for faults between answer and commit."""
CLIENTS = 8


async def torment(running: RunningStack, book: Book) -> Faults:
    """Load from several clients that retry, prices that change, and faults; then everything is sent again."""
    token = running.admin_token
    modes = [(f"torture-{number // 2}", ("live", "test")[number % 2]) for number in range(CLIENTS)]
    keys = [running.make_key(customer, test=mode == "test") for customer, mode in modes]
    status, _ = running.call("POST", "/api/admin/pricing", {"action_type": STEP, "base_rate_cents": 0})
    assert status == 201
    set_list(running)
    fund(running, {customer for customer, _ in modes})
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        stop = asyncio.Event()
        agents = [
            Agent(session, running.http, customer, mode, key, book, SEED * 1000 + number)
            for number, ((customer, mode), key) in enumerate(zip(modes, keys, strict=True))
        ]
        tasks = [asyncio.create_task(agent.run(stop)) for agent in agents]
        tasks.append(asyncio.create_task(raise_price(session, running.http, token, book, stop)))
        faults = Faults(running, random.Random(SEED), lambda: book.acknowledged, SERVICES)
        await faults.inject(FAULTS)
        stop.set()
        await asyncio.gather(*tasks)
        await asyncio.gather(*(agent.again() for agent in agents))
    return faults


class Row(NamedTuple):
    """An event of the ledger. ``at``: when it was accepted."""

    customer: str
    key: str
    event_id: int
    cents: Decimal
    at: str


def ledger_rows(running: RunningStack) -> list[Row]:
    rows = running.sql(
        "SELECT concat(customer_id, if(test, '/test', '/live')), idempotency_key, event_id, toString(total_cents),"
        " concat(replaceOne(toString(recorded_at, 'UTC'), ' ', 'T'), 'Z')"
        " FROM rev.entries WHERE kind = 'event' AND startsWith(customer_id, 'torture-') FORMAT TSV"
    )
    split = (line.split("\t") for line in rows.splitlines())
    return [Row(customer, key, int(event), Decimal(total), at) for customer, key, event, total, at in split]


def test_faults_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Every event whose price was answered is in the ledger once, at that price, whatever died meanwhile."""
    running = RunningStack(tmp_path / "data", {"REV_PARTITIONS": PARTITIONS})
    book = Book()
    try:
        running.wait_ready()
        faults = asyncio.run(torment(running, book))
        wait_until(
            lambda: len(ledger_rows(running)) >= len(book.prices), "the ledger holds every acknowledged event", 90
        )
        rows = ledger_rows(running)
        report(book, faults, len(rows))
        assert book.errors == []
        assert len(rows) == len(book.prices), "every acknowledged event is one row and there are no others"
        assert {(row.customer, row.key): (row.event_id, row.cents) for row in rows} == book.prices
        assert {row.event_id: row.at for row in rows if row.event_id in book.times} == book.times
        verify = subprocess.run([sys.executable, "-m", "tools.cli", "verify", "--data", str(running.data)], check=False)
        assert verify.returncode == 0, "rev verify agrees"
        assert differences(running, int(PARTITIONS), SEED) == [], "a second reading of the log decides the same"
        check_months(running)
    finally:
        assert running.stop() == 0, "rev up stops cleanly after all of it"


def check_months(running: RunningStack) -> None:
    """No month is above its cap by a pico-cent, and no grant is drawn for more than it holds."""
    capped = running.sql(
        "SELECT toString(max(spent)) FROM (SELECT sum(total_cents) AS spent FROM rev.entries"
        f" WHERE kind IN ('event', 'void') AND action = '{MONTHLY[2]}'"
        " GROUP BY customer_id, test, toYYYYMM(recorded_at))"
    )
    assert Decimal(capped.strip()) == Decimal(CAP), "traffic reaches the cap exactly"
    drawn = running.sql(
        "SELECT toString(max(drawn)) FROM (SELECT draw.1 AS grant, sum(draw.2) AS drawn FROM rev.entries"
        " ARRAY JOIN draws AS draw GROUP BY grant)"
    )
    assert 0 < Decimal(drawn.strip()) <= 1000


def report(book: Book, faults: Faults, rows: int) -> None:
    print(f"\n  faults: {dict(faults.done)}")
    print(f"  {len(book.prices)} events priced and acknowledged, {rows} rows in the ledger")
    print(f"  answers: {book.acknowledged} of 201, {book.accepted} of 202; {book.replays} repeats, and all at the end")
    print(f"  price changed {book.changes} times; refusals on the way: {book.refused}")
    for name, taken in faults.recovery.items():
        if taken:
            taken.sort()
            middle, worst = taken[len(taken) // 2], taken[-1]
            print(f"  after kill -9 of {name}: next price after {middle:.2f} s (median), {worst:.2f} s (worst)")
