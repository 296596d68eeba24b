"""Outcome load under faults on a `rev up`, at any size: the same trial is `make torture`'s and CI's."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench.running_stack import RunningStack, wait_until
from schemas.topics import partition_of
from tests.crash.faults import Faults
from tests.crash.outcome_clients import Client
from tests.crash.promises import GRACE, QUERY, SHARDS, Book, Judged, judge, parse

SERVICES = ("expirer", "pricer", "gateway", "kafka")
SECONDS = ("pricer", "expirer")
PREFIX = "promise-"
VOIDS = 4
"""Voids that are asked for at once: each looks for its entry in the ledger."""
SKEWED = Path(__file__).parent / "skewed_expirer"


class Size(NamedTuple):
    """``outcomes`` at least, by ``clients`` customers, while ``faults`` are injected."""

    outcomes: int
    faults: int
    clients: int
    seed: int = 1


def skewed(skew: str) -> dict[str, str]:
    """Environment with SHARDS partitions in which the wall clock of the expirer alone is off (skewed_expirer/)."""
    path = f"{SKEWED}:{os.environ.get('PYTHONPATH', '')}"
    return {"PYTHONPATH": path, "REV_TEST_SKEW": skew, "REV_PARTITIONS": str(SHARDS)}


def trial(running: RunningStack, size: Size, grace: int = GRACE) -> Judged:
    """Load and faults; then what the ledger has against what was answered, and `rev verify`."""
    running.wait_ready()
    book = Book()
    faults = asyncio.run(_torment(running, book, size))
    last = max(promise.expires_at for promise in book.promises if promise.plan in ("leave", "race"))
    wait_until(lambda: time.time() * 1000 > last, "the last one's time has come")
    open_ones = f"SELECT count() FROM rev.outcomes WHERE startsWith(customer_id, '{PREFIX}') AND status = 'pending'"
    answered = sum(promise.outcome_id is not None for promise in book.promises)
    all_of_them = f"SELECT count() >= {answered} FROM rev.outcomes WHERE startsWith(customer_id, '{PREFIX}')"
    voids = sum(len(promise.voids) for promise in book.promises)
    all_voids = (
        f"SELECT count() >= {voids} FROM rev.entries WHERE startsWith(customer_id, '{PREFIX}') AND kind = 'void'"
    )
    wait_until(
        lambda: [running.sql(query) for query in (all_of_them, open_ones, all_voids)] == ["1", "0", "1"],
        "every outcome is in the ledger, and ended, and every void is there",
        every=0.5,
    )
    judged = judge(book, parse(running.sql(QUERY.format(prefix=PREFIX))), faults.outages, grace)
    _report(book, faults, judged)
    for error in judged.errors:
        print(f"  WRONG {error}")
    for began, ended in faults.outages if judged.errors else ():
        print(f"  outage from {began * 1000:.0f} to {ended * 1000:.0f}")
    return judged


def verified(running: RunningStack) -> int:
    """Exit code of `rev verify` over everything."""
    command = [sys.executable, "-m", "tools.cli", "verify", "--data", str(running.data)]
    return subprocess.run(command, check=False).returncode


async def _torment(running: RunningStack, book: Book, size: Size) -> Faults:
    customers = [f"{PREFIX}{number}" for number in range(size.clients)]
    keys = [running.make_key(customer) for customer in customers]
    used = {partition_of(customer.encode(), SHARDS) for customer in customers}
    rng = random.Random(size.seed)
    faults = Faults(
        running,
        rng,
        lambda: book.acknowledged,
        services=SERVICES,
        seconds=SECONDS,
        ready=("pricer", "expirer"),
        shards=lambda: tuple(book.by_shard[shard] for shard in sorted(used)),
    )
    over = asyncio.Event()

    def enough() -> bool:
        return over.is_set() and len(book.promises) >= size.outcomes

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        voids = asyncio.Semaphore(VOIDS)
        clients = [
            Client(session, running.http, customer, key, running.admin_token, book, voids, size.seed * 1000 + number)
            for number, (customer, key) in enumerate(zip(customers, keys, strict=True))
        ]
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.run(enough))
            await faults.inject(size.faults)
            over.set()
    return faults


def _report(book: Book, faults: Faults, judged: Judged) -> None:
    late = sorted(judged.late)
    print(f"\n  faults: {dict(faults.done)}")
    print(f"  {len(book.promises)} outcomes: {judged.verdicts}; {book.repeats} repeats; {book.acknowledged} answers")
    print(f"  never answered: {sum(p.outcome_id is None for p in book.promises)}; on the way: {book.refused}")
    if late:
        print(f"  late by, outages taken off: {late[len(late) // 2]} ms (median), {late[-1]} ms (worst)")
    for name, taken in faults.recovery.items():
        if taken:
            taken.sort()
            print(
                f"  after kill -9 of {name}: next answer after {taken[len(taken) // 2]:.2f} s, worst {taken[-1]:.2f} s"
            )
