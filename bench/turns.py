"""`python -m bench.turns OTHER`: measures this checkout and another one in turns, so that a slow day affects both.

Each turn starts a `rev up` of one checkout with that checkout's own code, under this Python. It keeps the
medians of both sides and their ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench import scenarios
from bench.__main__ import RESULTS, console, show
from bench.scenarios import Figures

HERE = Path(__file__).parents[1]
TURNS = 3
SIDE = """
import inspect, json, tempfile
from pathlib import Path
from bench import scenarios
from bench.__main__ import keys_for

with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
    running, _ = scenarios.cold_start(Path(where) / "data")
    try:
        keys = keys_for(running)
        scenarios.batch(running, keys, 300, 99)  # warm up
        found = {}
        for rate, seconds in ((100, 8), (500, 12)):
            for name, value in scenarios.latency(running, keys, rate, seconds, rate).items():
                found[f"{rate}/s {name}"] = value
        found["single_per_s"] = scenarios.single(running, keys, 6000, 4, False)["per_s"]
        scenarios.CONNECTIONS = 8  # of a checkout that takes no argument
        few = {"connections": 8} if "connections" in inspect.signature(scenarios.batch).parameters else {}
        found["batches over 8, answered_per_s"] = scenarios.batch(running, keys, 600, 5, **few)["answered_per_s"]
        print(json.dumps(found))
    finally:
        running.stop()
"""


def side(checkout: Path) -> Figures:
    """Measure one turn of a checkout."""
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-c", SIDE], cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{checkout}: {done.stderr[-2000:]}")
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def commit_of(checkout: Path) -> str:
    """Return the short hash of the commit that is checked out there."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description=__doc__)
    parser.add_argument("other", type=Path, help="a checkout of what is compared with")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    sides = {commit_of(checkout): checkout for checkout in (args.other.resolve(), HERE)}
    taken: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(args.turns):
        for name, checkout in sides.items():
            taken[name].append(side(checkout))
            console.print(f"turn {turn + 1}, {name}: {taken[name][-1]}")
    old, new = ({key: median(one[key] for one in runs) for key in runs[0]} for runs in taken.values())
    ratios = {key: round(new[key] / old[key], 3) for key in new}
    for title, figures in zip([*sides, "ratios"], [old, new, ratios], strict=True):
        show(title, figures)
    if args.keep:
        names = list(sides)
        kept = RESULTS / f"{time.strftime('%Y-%m-%d')}-{names[1]}-turns.json"
        figures = {"before": names[0], "after": names[1], "machine": scenarios.machine(), "turns": args.turns}
        kept.write_text(json.dumps({**figures, names[0]: old, names[1]: new, "ratios": ratios}, indent=1) + "\n")
        console.print(f"kept in {kept.name}")


if __name__ == "__main__":
    main()
