"""`python -m bench.expiry`: measures a million open outcomes, a restart, and 10,000 that fall due in one second.

The outcomes are registered by commands appended to rev.raw in bulk, so they are as real as if they had
come over HTTP: the pricer opens and closes every one, the ledger has it.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from aiokafka import AIOKafkaProducer

from bench import load, processes, reporting, scenarios, traffic
from bench.__main__ import keys_for
from bench.reporting import show
from bench.running_stack import RunningStack, wait_until
from bench.scenarios import Figures
from schemas import commands
from schemas.limits import DAY
from schemas.topics import RAW

CUSTOMERS = 500
RATE = 100
"""Single meter events per second from other customers while the 10,000 fall due."""
AHEAD = 12.0
"""Seconds until they fall due; by then they have been registered."""


def registers(count: int, prefix: str, expires_at: Iterable[int]) -> list[tuple[bytes, bytes]]:
    """Return the key and value of ``count`` commands; each task belongs to one of CUSTOMERS."""
    made = []
    for number, at in zip(range(count), expires_at, strict=False):
        customer = f"customer-{number % CUSTOMERS}"
        command = commands.Register(
            customer, 1, f"{prefix}-{number}", "agent", at, 35 * DAY, price_on_success="4900", price_on_failure="25"
        )
        made.append((customer.encode(), commands.encode(command)))
    return made


async def append(running: RunningStack, records: list[tuple[bytes, bytes]]) -> None:
    """Append all records in large batches."""
    producer = AIOKafkaProducer(
        bootstrap_servers=running.run["kafka"], enable_idempotence=True, linger_ms=20, max_batch_size=1 << 20
    )
    await producer.start()
    try:
        waits = []
        for key, value in records:
            waits.append(await producer.send(RAW, value, key))
        await asyncio.gather(*waits)
    finally:
        await producer.stop()


def metric(running: RunningStack, name: str) -> float:
    """Return the sum of an expirer's metric over its labels; 0 while it does not answer."""
    try:
        with urllib.request.urlopen(running.run["addresses"]["expirer"] + "/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def ready(running: RunningStack) -> bool:
    try:
        with urllib.request.urlopen(running.run["addresses"]["expirer"] + "/readyz", timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def opened(running: RunningStack, count: int) -> Figures:
    """Register ``count`` outcomes that expire in 30 to 60 days; wait until the expirer holds them all."""
    now, rng = time.time_ns() // 1_000_000, random.Random(7)
    began = time.monotonic()
    for start in range(0, count, 50_000):
        some = min(50_000, count - start)
        times = [now + 30 * DAY + rng.randrange(30 * DAY) for _ in range(some)]
        asyncio.run(append(running, registers(some, f"far-{start}", times)))
    wait_until(lambda: metric(running, "rev_expirer_open") >= count, "every outcome is open", 1800, 0.5)
    took = time.monotonic() - began
    pid = running.pid("expirer")
    return {
        "open": count,
        "registered_per_s": round(count / took),
        "expirer_mib": round(processes.memory_mib(pid), 1),
        "expirer_peak_mib": processes.peak_mib(pid),
    }


def restarted(running: RunningStack, count: int) -> Figures:
    """Kill the expirer with -9; wait until it has read everything and is ready."""
    before = running.wait_pid("expirer")
    os.kill(before, signal.SIGKILL)
    began = time.monotonic()
    pid = running.wait_pid("expirer", other_than=before)
    wait_until(lambda: ready(running), "the expirer is ready", 300, 0.05)
    took = time.monotonic() - began
    wait_until(lambda: metric(running, "rev_expirer_open") >= count, "it says so", 10, 0.1)
    lines = map(json.loads, (running.data / "logs" / "expirer.log").read_text().splitlines())
    rebuilt = [float(line["seconds"]) for line in lines if line["event"] == "timers_rebuilt"]
    return {
        "kill_to_ready_s": round(took, 2),
        "of_which_reading_s": max(rebuilt[-4:]),
        "expirer_mib": round(processes.memory_mib(pid), 1),
        "expirer_peak_mib": processes.peak_mib(pid),
    }


def lateness(running: RunningStack, prefix: str) -> Figures:
    """Measure the ms from expires_at to the accepted time of the closing entry, from the ledger."""
    late = "toUnixTimestamp64Milli(recorded_at) - toUnixTimestamp64Milli(assumeNotNull(expires_at))"
    names = ("least_ms", "p50_ms", "p99_ms", "most_ms")
    parts = f"min({late}), quantileExact(0.5)({late}), quantileExact(0.99)({late}), max({late})"
    row = running.sql(
        f"SELECT count(), uniqExact(outcome_id), {parts} FROM rev.entries "
        f"WHERE verdict = 'expired' AND kind IN ('charge', 'waived') AND task_id LIKE '{prefix}-%'"
    ).split("\t")
    return {"closings": int(row[0]), "outcomes": int(row[1])} | dict(zip(names, map(float, row[2:]), strict=True))


def closed(running: RunningStack, prefix: str, count: int) -> float:
    """Return the seconds until ``count`` outcomes have expired in the ledger."""
    return wait_until(lambda: lateness(running, prefix)["outcomes"] >= count, f"{prefix} are closed", 120, 0.1)


def one_by_one(running: RunningStack, count: int) -> Figures:
    """Measure outcomes that fall due one after the other over ten seconds, beside all the open ones."""
    now, rng = time.time_ns() // 1_000_000, random.Random(8)
    times = [now + 3000 + rng.randrange(10_000) for _ in range(count)]
    asyncio.run(append(running, registers(count, "one", times)))
    closed(running, "one", count)
    return lateness(running, "one")


def metered(running: RunningStack, keys: list[str], seed: int, seconds: int = 6) -> Figures:
    """Measure the latency of single meter events at RATE, and how many were not answered with a price in time."""
    messages = traffic.singles(running.http, keys, RATE * seconds, seed)
    answers = asyncio.run(load.open_loop(running.http, messages.__getitem__, RATE, seconds))
    took = [answer.took * 1000 for answer in answers]
    return {
        "p50_ms": round(load.quantile(took, 0.5), 2),
        "p99_ms": round(load.quantile(took, 0.99), 2),
        "most_ms": round(max(took), 2),
        "not_201": sum(answer.status != 201 for answer in answers),
    }


def at_once(running: RunningStack, keys: list[str], count: int) -> Figures:
    """Measure ``count`` outcomes that fall due in the same millisecond, beside single meter events of others."""
    calm = metered(running, keys, 1)
    due = time.time_ns() // 1_000_000 + int(AHEAD * 1000)
    name = f"same-{due}"
    asyncio.run(append(running, registers(count, name, [due] * count)))
    wait_until(lambda: time.time() > due / 1000 - 1, "it is about time", 60)
    meanwhile = metered(running, keys, 2)
    closed(running, name, count)
    return {
        **lateness(running, name),
        "reminders": metric(running, "rev_expirer_reminders_total"),
        **{f"meter_calm_{name}": value for name, value in calm.items()},
        **{f"meter_meanwhile_{name}": value for name, value in meanwhile.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.expiry", description=__doc__)
    parser.add_argument("--open", type=int, default=1_000_000, help="open outcomes (1000000)")
    parser.add_argument("--due", type=int, default=10_000, help="outcomes that fall due at once (10000)")
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    taken: dict[str, Figures] = {}

    def keep(name: str, figures: Figures) -> None:
        taken[name] = figures
        show(name, figures)

    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        running, _ = scenarios.cold_start(Path(where) / "expiry")
        try:
            keys = keys_for(running)
            keep("open outcomes", opened(running, args.open))
            keep("kill -9 of the expirer", restarted(running, args.open))
            keep("falling due one by one", one_by_one(running, 1000))
            keep("falling due at once", at_once(running, keys, args.due))
        finally:
            running.stop()
    if args.keep:
        reporting.keep("expiry", {"figures": taken})


if __name__ == "__main__":
    main()
