"""`python -m bench.handovers`: measures how late outcomes expire while a second expirer joins and leaves the group.

Outcomes fall due all the time, one every EVERY ms. Each cycle starts a second expirer, waits until the two share the
partitions, sends it a signal, and waits until the first one has every partition again.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import load, scenarios
from bench.expiry import append, opened, registers
from bench.reporting import console, machine, show
from bench.running_stack import RunningStack, wait_until
from bench.scenarios import Figures
from deploy.children import spawn
from deploy.ports import choose

PARTITIONS = 4
EVERY = 10
"""ms between two outcomes' times."""
AHEAD = 3.0
"""Seconds from registering the first outcome of a cycle to its time."""
SPAN = 30
"""Seconds over which the outcomes of a cycle fall due."""
LATE = 1000
"""ms after its time from which an expiry counts as late (docs/operations.md)."""
AFTER = 1.0
"""Seconds after a hand-over that still belong to it."""


class Window(NamedTuple):
    """What happened between two times, in ms UTC, both included."""

    what: str
    began: int
    ended: int


class Second:
    """A second expirer beside the stack's own."""

    def __init__(self, running: RunningStack) -> None:
        run = running.run
        port = choose(random.Random(), set())
        self.address = f"http://127.0.0.1:{port}"
        env = {**os.environ, "REV_KAFKA": run["kafka"], "REV_ORDINAL": "1", "REV_METRICS_PORT": str(port)}
        env |= {"REV_DATA": str(running.data), "REV_PARTITIONS": str(PARTITIONS)}
        with (running.data / "logs" / "expirer-1.log").open("ab") as log:
            self.process: subprocess.Popen[bytes] = spawn(
                [sys.executable, "-m", "tools.cli", "expirer"], env=env, stderr=log
            )


def owned(address: str) -> int:
    """Return how many partitions an expirer reminds for; 0 unless it is ready."""
    try:
        with urllib.request.urlopen(address + "/readyz", timeout=5):
            pass
        with urllib.request.urlopen(address + "/metrics", timeout=5) as answer:
            return sum(line.startswith(b"rev_expirer_open{") for line in answer)
    except OSError:
        return 0


def cycle(running: RunningStack, number: int, sign: signal.Signals) -> list[Window]:
    """Let a second expirer join and leave once, while outcomes fall due."""
    first = running.run["addresses"]["expirer"]
    began = _now() + int(AHEAD * 1000)
    times = range(began, began + SPAN * 1000, EVERY)
    asyncio.run(append(running, registers(len(times), f"cycle-{number}", times)))
    wait_until(lambda: _now() > began, "the first one is due", SPAN)
    windows = []

    def measured(what: str, until: Callable[[], bool]) -> None:
        start = _now()
        wait_until(until, what, SPAN, 0.05)
        time.sleep(AFTER)
        windows.append(Window(what, start, _now()))
        time.sleep(LATE / 1000 / 2)  # what is due at its end must not wait for the next hand-over

    second = Second(running)
    half = PARTITIONS // 2
    measured("join", lambda: owned(second.address) == half and owned(first) == half)
    second.process.send_signal(sign)
    measured("leave", lambda: second.process.poll() is not None and owned(first) == PARTITIONS)
    assert windows[-1].ended < times[-1], "outcomes fell due until the end"
    return windows


def late(running: RunningStack, window: Window) -> list[float]:
    """Return the ms from expires_at to the accepted time of every outcome whose time lies in the window."""
    rows = running.sql(
        "SELECT toUnixTimestamp64Milli(assumeNotNull(expires_at)) AS due, toUnixTimestamp64Milli(recorded_at) - due "
        "FROM rev.entries WHERE verdict = 'expired' AND kind IN ('charge', 'waived') "
        f"AND due BETWEEN {window.began} AND {window.ended}"
    )
    found = [float(row.split("\t")[1]) for row in rows.splitlines()]
    wanted = (window.ended - window.began) // EVERY
    assert len(found) >= wanted, f"{len(found)} of {wanted} in {window}"
    return found


def figures(running: RunningStack, windows: Sequence[Window]) -> Figures:
    """Summarize the windows of one kind."""
    each = [late(running, window) for window in windows]
    every = [one for some in each for one in some]
    return {
        "handovers": len(windows),
        "outcomes": len(every),
        "p50_ms": load.quantile(every, 0.5),
        "p99_ms": load.quantile(every, 0.99),
        "most_ms": max(every),
        "late": sum(one > LATE for one in every),
        "median_handover_most_ms": load.quantile([max(some) for some in each], 0.5),
        "median_handover_s": round(load.quantile([(w.ended - w.began) / 1000 - AFTER for w in windows], 0.5), 2),
    }


def _now() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.handovers", description=__doc__)
    parser.add_argument("--open", type=int, default=100_000, help="open outcomes that a new owner reads (100000)")
    parser.add_argument("--cycles", type=int, default=20, help="joins, and as many leaves (20)")
    parser.add_argument("--kill", action="store_true", help="end the second expirer with SIGKILL, not SIGTERM")
    args = parser.parse_args()
    sign = signal.SIGKILL if args.kill else signal.SIGTERM
    os.environ["REV_PARTITIONS"] = str(PARTITIONS)
    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        running, _ = scenarios.cold_start(Path(where) / "handovers")
        try:
            if args.open:
                show("open outcomes", opened(running, args.open))
            windows = []
            for number in range(args.cycles):
                windows += cycle(running, number, sign)
                console.print(json.dumps([(w.what, w.ended - w.began) for w in windows[-2:]]))
            time.sleep(SPAN)
            for what in ("join", "leave"):
                show(f"{what}, {sign.name}", figures(running, [w for w in windows if w.what == what]))
            console.print(json.dumps(machine()))
        finally:
            running.stop()


if __name__ == "__main__":
    main()
