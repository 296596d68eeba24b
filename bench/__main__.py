"""`make bench`: measures every figure of the README as a median of 3 and keeps it with the commit."""

import argparse
import functools
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import processes, scenarios
from bench.reporting import commit, console, keep, show
from bench.running_stack import RunningStack
from bench.scenarios import Figures


def median_of(runs: int, measure: Callable[[int], Figures]) -> Figures:
    """Return the median of each figure over some runs; ``measure`` gets the run's number."""
    taken = [measure(number) for number in range(runs)]
    return {name: statistics.median(run[name] for run in taken) for name in taken[0]}


def keys_for(running: RunningStack, count: int = 16) -> list[str]:
    """Return API keys of customers spread over all shards."""
    return [running.make_key(f"bench-{number}") for number in range(count)]


class Bench:
    """Benchmark run: runs the scenarios one after the other and keeps their figures."""

    def __init__(self, where: Path, runs: int, part: int) -> None:
        self._where, self._runs, self._part = where, runs, part
        self.taken: dict[str, Figures] = {}
        self.failed: dict[str, str] = {}
        """Why a scenario has no figures."""

    def keep(self, name: str, figures: Figures) -> None:
        self.taken[name] = figures
        show(name, figures)

    def median(self, name: str, measure: Callable[[int], Figures]) -> None:
        try:
            self.keep(name, median_of(self._runs, measure))
        except (RuntimeError, TimeoutError) as error:  # keep the other scenarios' figures
            self.failed[name] = str(error)[:500]
            console.print(f"{name} failed: {error}", style="red", markup=False)

    def cold_start(self) -> None:
        def cold(number: int) -> Figures:
            running, figures = scenarios.cold_start(self._where / f"cold{number}")
            running.stop()
            return figures

        self.median("cold start", cold)

    def under_load(self) -> None:
        """Measure throughput, latency, delay, memory and restarts on one `rev up`."""
        running, _ = scenarios.cold_start(self._where / "main")
        part = self._part
        try:
            keys = keys_for(running)
            scenarios.batch(running, keys, 200, 99)  # warm up
            self.keep("memory when idle, MiB", _total(processes.memory(running)))
            self.median("batches of 100", lambda n: scenarios.batch(running, keys, 4000 // part, n))
            # on a slow machine more connections would leave a shard over a second behind: then answers are 202
            keyed = functools.partial(scenarios.batch, running, keys, 2000 // part, keyed=True, connections=64)
            self.median("batches of 100, keyed", lambda n: keyed(10 + n))
            self.median(
                "single, price in the answer", lambda n: scenarios.single(running, keys, 20000 // part, n, False)
            )
            self.median("single, respond-async", lambda n: scenarios.single(running, keys, 30000 // part, n, True))
            for connections in (8, 32):
                measure = functools.partial(scenarios.batch, running, keys, 600 // part, connections=connections)
                self.median(f"batches of 100, connections: {connections}", lambda n, measure=measure: measure(20 + n))
            for rate, seconds in ((20, 10), (100, 10), (500, 20), (1000, 10)):
                measure = functools.partial(scenarios.latency, running, keys, rate, seconds / part)
                self.median(f"latency at {rate}/s", lambda n, measure=measure: measure(n))
            self.median("event to queryable", lambda n: scenarios.visibility(running, keys, 100 // part, n))
            self.keep("memory after load, MiB", _total(processes.memory(running)))
            for name in ("gateway", "pricer", "ledger", "clickhouse", "kafka", "controller"):
                measure = functools.partial(scenarios.restart, running, keys[0], name)
                self.median(f"kill -9 of {name} to priced", lambda _, measure=measure: measure())
        finally:
            running.stop()

    def growth(self, partitions: int) -> None:
        """Measure batch throughput with another number of shards."""
        running = RunningStack(self._where / f"p{partitions}", {"REV_PARTITIONS": str(partitions)})
        try:
            running.wait_ready()
            keys = keys_for(running)
            scenarios.batch(running, keys, 200, 99)
            count = 2000 // self._part
            self.median(f"batches of 100, partitions: {partitions}", lambda n: scenarios.batch(running, keys, count, n))
        finally:
            running.stop()


def _total(memory: Figures) -> Figures:
    return {**memory, "all": round(sum(memory.values()), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load; nothing is kept")
    args = parser.parse_args()
    asked = commit()
    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        bench = Bench(Path(where), args.runs, 10 if args.quick else 1)
        bench.cold_start()
        bench.under_load()
        for partitions in (1, 2, 4):
            bench.growth(partitions)
    if not args.quick:
        keep("", {"runs": args.runs, "figures": bench.taken, "failed": bench.failed}, asked)
    if bench.failed:
        raise SystemExit(f"without figures: {', '.join(bench.failed)}")


if __name__ == "__main__":
    main()
