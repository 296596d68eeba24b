"""`python -m bench.imports`: measures rows per second of `rev import`, first and repeated, beside the server.

Everything runs on one machine. The time covers the whole command: start, both passes over the file,
sending until every row has its price.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench import processes
from bench.reporting import keep, show
from bench.running_stack import RunningStack, wait_until
from bench.scenarios import Figures

ROWS = 200_000
TURNS = 3


def usage(path: Path, rows: int, turn: int) -> Path:
    """Write a usage file like a gateway's log: time, model, agent and a split of tokens. ``turn``: makes it new."""
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86_400))
    with path.open("w") as file:
        file.write("timestamp,model,agent,prompt_tokens,completion_tokens,request_id\n")
        for n in range(rows):
            at = f"{day} {n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
            file.write(f"{at},gpt-{n % 5},agent-{n % 50},{n % 4000},{n % 700},req-{turn}-{n}\n")
    return path


def seconds(running: RunningStack, key: str, path: Path, *options: str) -> float:
    """Return the seconds that one import takes."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tools.cli", "import", str(path), "--url", running.http, "--key", key, *options]
    subprocess.run([*command, "--set", "action=completion"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure(running: RunningStack, where: Path, rows: int, turns: int) -> Figures:
    """Return medians of ``turns``, each with a customer and a file of its own, and the CPU of each process."""
    spent: dict[str, list[float]] = {"first": [], "repeated": [], "own_ids": []}
    used: dict[str, list[dict[str, float]]] = {kind: [] for kind in spent}

    def once(kind: str, customer: str, key: str, path: Path, *options: str) -> None:
        before, own = processes.cpu(running), _children()
        spent[kind].append(seconds(running, key, path, *options))
        _settle(running, customer, rows)
        after = {name: value - before[name] for name, value in processes.cpu(running).items() if name in before}
        used[kind].append({"rev import": _children() - own, **after})

    for turn in range(turns):
        path, customer = usage(where / "usage.csv", rows, turn), f"import-{turn}"
        key = running.make_key(customer)
        once("first", customer, key, path)
        once("repeated", customer, key, path)
        customer = f"import-ids-{turn}"
        once("own_ids", customer, running.make_key(customer), path, "--map", "idempotency_key=request_id")
    figures: Figures = {"rows": rows}
    for kind, times in spent.items():
        figures[f"{kind}_rows_per_s"] = round(rows / median(times))
        for name in used[kind][0]:
            figures[f"{kind}_{name}_cpu_us_per_row"] = round(median(u[name] for u in used[kind]) / rows * 1e6, 1)
    return figures


def _children() -> float:
    """Return the CPU seconds of the commands that ended so far."""
    times = os.times()
    return times.children_user + times.children_system


def _settle(running: RunningStack, customer: str, rows: int) -> None:
    counted = f"SELECT count() FROM rev.entries WHERE customer_id = '{customer}' AND kind = 'event'"
    wait_until(lambda: int(running.sql(counted)) == rows, "the ledger has all rows", 120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        running = RunningStack(Path(where) / "data")
        try:
            running.wait_ready()
            figures = measure(running, Path(where), args.rows, args.turns)
        finally:
            running.stop()
    show("imports", figures)
    if args.keep:
        keep("imports", {"figures": {"imports": figures}})


if __name__ == "__main__":
    main()
