"""`python -m bench.webhooks`: measures signed deliveries per second, beside black holes, and after a long backlog.

Everything runs on one machine: the product, the load, and the receiver (bench/receiver.py, in a
process of its own). A delay is from the event's accepted time to its arrival at the receiver.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench import load, processes, reporting, traffic
from bench.reporting import show
from bench.running_stack import RunningStack, wait_until
from bench.scenarios import Figures


class ReceiverProcess:
    """The receiver process and what it received."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "bench.receiver"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def stats(self, name: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/stats/{name}", timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def mode(self, name: str, mode: str) -> None:
        request = urllib.request.Request(f"{self.url}/mode/{name}/{mode}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Site:
    """A `rev up` with a receiver."""

    def __init__(self, where: Path) -> None:
        self.receiver = ReceiverProcess()
        self.running = RunningStack(where, {"REV_WEBHOOK_ALLOW_PRIVATE": "1"})
        self.running.wait_ready()

    def customers(self, prefix: str, count: int) -> dict[str, str]:
        """Create customers that each have a key and one endpoint; return name to key."""
        made = {}
        for number in range(count):
            name = f"{prefix}-{number}"
            made[name] = self.running.make_key(name)
            wanted = {"url": f"{self.receiver.url}/{name}", "events": ["meter.created"]}
            status, answer = self.running.call("POST", "/v1/webhooks", wanted, made[name])
            if status != 201:
                raise RuntimeError(f"no endpoint: {status} {answer}")
        return made

    def metric(self, name: str, how: Any = sum) -> float:
        """Return a metric of the notifier, summed over its labels; 0 if there is none."""
        address = self.running.run["addresses"]["notifier"]
        with urllib.request.urlopen(address + "/metrics", timeout=30) as answer:
            found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(how(map(float, found))) if found else 0.0

    def send(self, keys: list[str], batches: int, size: int, seed: int) -> None:
        messages = traffic.batches(self.running.http, keys, batches, size, seed)
        answers = asyncio.run(load.closed_loop(self.running.http, iter(messages), 8))
        odd = [answer for answer in answers if answer.status not in (201, 202)]
        if odd:
            raise RuntimeError(f"a batch was not taken: {odd[0].status} {odd[0].body[:300]!r}")

    def stop(self) -> None:
        self.running.stop()
        self.receiver.stop()


def throughput(site: Site, count: int, seed: int) -> Figures:
    """Measure ``count`` events of eight endpoints, all there at once, delivered as fast as possible."""
    customers = site.customers(f"fast{seed}", 8)
    cpu, began = processes.cpu(site.running), time.time()
    site.send(list(customers.values()), count // 100, 100, seed)

    def came() -> int:
        return sum(int(site.receiver.stats(name)["accepted"]) for name in customers)

    wait_until(lambda: came() >= count, "all are delivered", 600, 0.2)
    stats = [site.receiver.stats(name) for name in customers]
    last = max(one["last"] for one in stats)
    after = processes.cpu(site.running)
    return {
        "deliveries": came(),
        "repeated": came() - sum(one["events"] for one in stats),
        "per_s": round(count / (last - min(one["first"] for one in stats))),
        "from_first_request_per_s": round(count / (last - began)),
        "cpu_us_per_delivery_notifier": round((after["notifier"] - cpu["notifier"]) / count * 1e6, 1),
        "notifier_mib": round(processes.memory_mib(site.running.pid("notifier")), 1),
    }


def delays(site: Site, customers: dict[str, str], names: list[str], rate: int, seconds: int, seed: int) -> Figures:
    """Meter ``rate`` events a second for each customer, priced; return the delays at the named endpoints."""
    before = {name: len(site.receiver.stats(name)["delays"]) for name in names}
    total = rate * len(customers)
    messages = traffic.singles(site.running.http, list(customers.values()), total * seconds, seed)
    answers = asyncio.run(load.open_loop(site.running.http, messages.__getitem__, total, seconds))
    odd = [answer for answer in answers if answer.status not in (201, 202)]
    if odd:
        raise RuntimeError(f"{len(odd)} of {len(answers)} were not taken: {odd[0].status} {odd[0].body[:300]!r}")
    each = rate * seconds

    def came() -> bool:
        return all(len(site.receiver.stats(name)["delays"]) - before[name] >= each for name in names)

    wait_until(came, "the healthy ones have everything", 120, 0.2)
    took = [delay for name in names for delay in site.receiver.stats(name)["delays"][before[name] :]]
    return {f"p{int(q * 1000) / 10:g}_ms": round(load.quantile(took, q), 1) for q in (0.5, 0.9, 0.99)}


def black_holes(site: Site, endpoints: int, rate: int, seconds: int) -> Figures:
    """Measure the same traffic twice: to healthy endpoints alone, and with a tenth that never answers."""
    customers = site.customers("hole", endpoints)
    names = list(customers)
    healthy = names[max(1, endpoints // 10) :]
    calm = delays(site, customers, healthy, rate, seconds, 1)
    for name in names[: len(names) - len(healthy)]:
        site.receiver.mode(name, "hole")
    beside = delays(site, customers, healthy, rate, seconds, 2)
    return {
        "endpoints": endpoints,
        "black_holes": endpoints - len(healthy),
        "per_s_each": rate,
        **{f"calm_{name}": value for name, value in calm.items()},
        **{f"beside_{name}": value for name, value in beside.items()},
        "p99_ratio": round(beside["p99_ms"] / calm["p99_ms"], 2),
    }


def backlog(site: Site, count: int, seconds: int) -> Figures:
    """Measure one endpoint that is down while ``count`` events come in and then returns, and the others meanwhile."""
    (slow,) = site.customers("slow", 1).items()
    others = site.customers("other", 4)
    calm = delays(site, others, list(others), 25, seconds, 3)
    site.receiver.mode(slow[0], "503")
    before = processes.memory_mib(site.running.pid("notifier"))
    site.send([slow[1]], count // 1000, 1000, 4)
    wait_until(lambda: site.metric("rev_notifier_tail_lag_records") == 0, "all is matched", 600, 0.5)
    beside = delays(site, others, list(others), 25, seconds, 5)
    shown = {
        "waiting": site.metric("rev_notifier_waiting"),
        "lag_records": site.metric("rev_notifier_endpoint_lag_records", max),
        "age_s": round(site.metric("rev_notifier_endpoint_age_seconds", max), 1),
    }
    full = processes.memory_mib(site.running.pid("notifier"))
    site.receiver.mode(slow[0], "200")
    back = time.time()
    wait_until(lambda: site.receiver.stats(slow[0])["accepted"] > 2000, "it is noticed", 180, 0.2)
    site_delays = delays(site, others, list(others), 25, seconds, 6)
    wait_until(lambda: site.receiver.stats(slow[0])["events"] >= count, "it has caught up", 3600, 1)
    stats = site.receiver.stats(slow[0])
    return {
        "events": count,
        "delivered": stats["events"],
        "repeated": stats["accepted"] - stats["events"],
        **shown,
        "notifier_mib_before": round(before, 1),
        "notifier_mib_with_backlog": round(full, 1),
        "notifier_mib_after": round(processes.memory_mib(site.running.pid("notifier")), 1),
        "noticed_after_s": round(stats["first"] - back, 1),
        "catch_up_per_s": round(count / (stats["last"] - stats["first"])),
        **{f"others_calm_{name}": value for name, value in calm.items()},
        **{f"others_beside_backlog_{name}": value for name, value in beside.items()},
        **{f"others_beside_catch_up_{name}": value for name, value in site_delays.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--part", type=int, default=1, help="only so small a part of the load (1: all of it)")
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    parser.add_argument("--rate", type=int, default=50, help="deliveries a second of each endpoint beside black holes")
    parser.add_argument("--only", choices=("throughput", "holes", "backlog"))
    args = parser.parse_args()
    taken: dict[str, Figures] = {}

    def keep(name: str, figures: Figures) -> None:
        taken[name] = figures
        show(name, figures)

    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        site = Site(Path(where) / "webhooks")
        seconds = max(5, 20 // args.part)
        try:
            if args.only in (None, "throughput"):
                throughput(site, 2000, 0)  # warm up
                keep("signed deliveries", throughput(site, 60_000 // args.part, 1))
            if args.only in (None, "holes"):
                keep("black holes", black_holes(site, 10, args.rate, seconds))
            if args.only in (None, "backlog"):
                keep("a backlog", backlog(site, 1_000_000 // args.part, seconds))
        finally:
            site.stop()
    if args.keep:
        reporting.keep("webhooks", {"figures": taken})


if __name__ == "__main__":
    main()
