"""`python -m bench.turns OTHER`: measures this checkout and another one in turns, so that a slow minute affects both.

Both checkouts run a `rev up` each, with their own code under this Python, from the first turn to the last. In a turn
one works and the other one is idle; which of them begins changes from turn to turn. It keeps the medians of both
sides, and the median of the turns' ratios: what a turn compares is a few seconds apart.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles

from bench.reporting import commit, console, keep, show
from bench.scenarios import Figures

HERE = Path(__file__).parents[1]
TURNS = 7
SIDE = """
import inspect, json, sys, tempfile
from pathlib import Path
from bench import processes, scenarios
from bench.__main__ import keys_for

MANY = scenarios.CONNECTIONS

def cpu():
    return sum(processes.cpu(running).values())

def used(figures):
    return round(sum(value for name, value in figures.items() if name.startswith("cpu_us_per_event_")), 1)

def batches(connections, count, seed):
    if "connections" in inspect.signature(scenarios.batch).parameters:
        return scenarios.batch(running, keys, count, seed, connections=connections)
    scenarios.CONNECTIONS = connections  # an older checkout takes no argument
    try:
        return scenarios.batch(running, keys, count, seed)
    finally:
        scenarios.CONNECTIONS = MANY

def measured(seed):
    found = {}
    for rate, seconds in ((100, 5), (500, 6)):
        before = cpu()
        for name, value in scenarios.latency(running, keys, rate, seconds, seed + rate).items():
            found[f"{rate}/s {name}"] = value
        found[f"{rate}/s cpu_us_per_event"] = round((cpu() - before) / (rate * seconds) * 1e6, 1)
    single = scenarios.single(running, keys, 4000, seed + 1, False)
    few, many = batches(8, 400, seed + 2), batches(MANY, 600, seed + 3)
    return {
        **found,
        "single_per_s": single["per_s"],
        "single cpu_us_per_event": used(single),
        "batches over 8, answered_per_s": few["answered_per_s"],
        "batches over 8, cpu_us_per_event": used(few),
        "batches over 256, queryable_per_s": many["queryable_per_s"],
        "batches over 256, cpu_us_per_event": used(many),
        "memory_mib": sum(processes.memory(running).values()),
    }

with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
    running, _ = scenarios.cold_start(Path(where) / "data")
    try:
        keys = keys_for(running)
        batches(8, 300, 99)  # warm up
        scenarios.single(running, keys, 1000, 98, False)
        print("ready", flush=True)
        for turn in sys.stdin:
            print(json.dumps(measured(int(turn))), flush=True)
    finally:
        running.stop()
"""
SEEDS = 1000
"""Between the seeds of two turns; a seed makes the keys of the events."""


class Side:
    """A checkout with its `rev up`."""

    def __init__(self, checkout: Path, process: subprocess.Popen[str]) -> None:
        self._checkout, self._process = checkout, process

    def ready(self) -> None:
        """Wait until its `rev up` has warmed up. Raises RuntimeError if it has failed."""
        self._line()

    def turn(self, number: int) -> Figures:
        """Measure one turn. Raises RuntimeError if it has failed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number * SEEDS}\n")
        self._process.stdin.flush()
        found: Figures = json.loads(self._line())
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._checkout}: ended, see above")
        return line


@contextmanager
def started(checkout: Path) -> Iterator[Side]:
    """Yield a checkout's side; its `rev up` is over afterwards."""
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", SIDE], cwd=checkout, env=env, stdin=pipe, stdout=pipe, text=True
    ) as process:
        yield Side(checkout, process)
        # its input ends here, and so does it


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description=__doc__)
    parser.add_argument("other", type=Path, help="a checkout of what is compared with")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    sides = {commit(checkout): checkout for checkout in (args.other.resolve(), HERE)}
    taken: dict[str, list[Figures]] = {name: [] for name in sides}
    with ExitStack() as opened:
        running = []
        for name, checkout in sides.items():
            side = opened.enter_context(started(checkout))
            side.ready()
            running.append((name, side))
        for turn in range(1, args.turns + 1):
            for name, side in running:
                taken[name].append(side.turn(turn))
                console.print(f"turn {turn}, {name}: {taken[name][-1]}")
            running.reverse()
    before, after = taken.values()
    old, new = ({key: median(one[key] for one in runs) for key in runs[0]} for runs in (before, after))
    ratios: dict[str, list[float]] = {}
    for key in new:
        pairs = [one[key] / other[key] for one, other in zip(after, before, strict=True)]
        lower, middle, upper = quantiles(pairs, n=4) if len(pairs) > 1 else pairs * 3
        ratios[key] = [round(ratio, 3) for ratio in (lower, middle, upper)]
    for name, figures in zip(sides, (old, new), strict=True):
        show(name, figures)
    show("ratio of a turn: median", {key: middle for key, (_, middle, _) in ratios.items()})
    if args.keep:
        before_commit, after_commit = sides
        found = {before_commit: old, after_commit: new, "ratios: quartiles of turns": ratios}
        keep(f"turns-{before_commit}", {"before": before_commit, "turns": args.turns, **found}, after_commit)


if __name__ == "__main__":
    main()
