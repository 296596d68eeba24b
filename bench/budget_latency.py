"""`python -m bench.budget_latency`: what a hard budget and prepaid credit cost a single event.

One `rev up`; the sides take turns in changing order, so that a slow moment affects all. It keeps the medians of the
turns and their ratios to the side without.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from bench import scenarios
from bench.reporting import commit, keep, show
from bench.running_stack import RunningStack
from bench.scenarios import Figures

TURNS = 6
RATE, SECONDS = 100, 8
CUSTOMERS = 16
SIDES = ("without", "budget", "budget and credit")


def funded(running: RunningStack, side: str) -> list[str]:
    """Return keys of customers of one side; their limits are far away."""
    keys = []
    for number in range(CUSTOMERS):
        customer = f"{side.replace(' ', '-')}-{number}"
        keys.append(running.make_key(customer))
        budget = {"customer_id": customer, "scope": "all", "period": "month", "limit_cents": 10**9, "hard": True}
        grant = {"customer_id": customer, "amount_cents": 10**9, "reason": "bench"}
        made = {"budget": [("budgets", budget)], "budget and credit": [("budgets", budget), ("credits", grant)]}
        for path, body in made.get(side, []):
            status, answer = running.call("POST", f"/api/admin/{path}", body)
            if status != 201:
                raise RuntimeError(f"{status} {answer}")
    return keys


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.budget_latency", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    asked = commit()
    taken: dict[str, list[Figures]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        running, _ = scenarios.cold_start(Path(where) / "data")
        try:
            keys = {side: funded(running, side) for side in SIDES}
            for side in SIDES:
                scenarios.latency(running, keys[side], RATE, 3, 99)  # warm up
            for turn in range(args.turns):
                first = turn % len(SIDES)
                for side in (*SIDES[first:], *SIDES[:first]):
                    taken[side].append(scenarios.latency(running, keys[side], RATE, SECONDS, turn))
        finally:
            running.stop()
    medians = {side: {name: median(one[name] for one in runs) for name in runs[0]} for side, runs in taken.items()}
    plain = medians[SIDES[0]]
    ratios = {
        side: {name: round(value / plain[name], 3) for name, value in found.items()}
        for side, found in medians.items()
        if side != SIDES[0]
    }
    for side in SIDES:
        show(f"{side}, at {RATE}/s", medians[side])
    for side, found in ratios.items():
        show(f"{side} / {SIDES[0]}", found)
    if args.keep:
        keep("budgets", {"turns": args.turns, "rate": RATE, "medians": medians, "ratios": ratios}, asked)


if __name__ == "__main__":
    main()
