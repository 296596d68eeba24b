"""Scenarios of the benchmark. Each returns a flat dictionary of figures from one run.

Rates are per second of wall time with the load generator on the same machine; times in ms.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

from bench import load, processes, traffic
from bench.running_stack import RunningStack, wait_until
from deploy.supervisor.backoff import Backoff

Figures = dict[str, float]
CONNECTIONS = 256
"""Connections, each with one request at a time: the agents of one machine's customers."""


def _rows(running: RunningStack) -> int:
    return int(running.sql("SELECT count() FROM rev.entries WHERE kind = 'event'"))


def _check(answers: list[load.LoadResponse], wanted: int) -> None:
    odd = [a for a in answers if a.status != wanted]
    if odd:
        raise RuntimeError(
            f"{len(odd)} of {len(answers)} answers were not {wanted}: {odd[0].status} {odd[0].body[:300]!r}"
        )


def batch(
    running: RunningStack, keys: list[str], count: int, seed: int, keyed: bool = False, connections: int = CONNECTIONS
) -> Figures:
    """Measure batches of 100, priced in the answer, until the last is queryable."""
    messages = traffic.batches(running.http, keys, count, 100, seed, keyed)
    before, rows, began = processes.cpu(running), _rows(running), time.perf_counter()
    answers = asyncio.run(load.closed_loop(running.http, iter(messages), connections))
    answered = time.perf_counter() - began
    _check(answers, 201)
    wait_until(lambda: _rows(running) >= rows + count * 100, "batch rows queryable", 120, 0.05)
    queryable = time.perf_counter() - began
    after = processes.cpu(running)
    events = count * 100
    took = [a.took * 1000 for a in answers]
    return {
        "events": events,
        "answered_per_s": round(events / answered),
        "queryable_per_s": round(events / queryable),
        "batch_p50_ms": round(load.quantile(took, 0.5), 2),
        "batch_p99_ms": round(load.quantile(took, 0.99), 2),
        **{f"cpu_us_per_event_{name}": round((after[name] - before[name]) / events * 1e6, 2) for name in before},
    }


def single(running: RunningStack, keys: list[str], count: int, seed: int, asynchronous: bool) -> Figures:
    """Measure single events as fast as CONNECTIONS go. ``asynchronous``: answered after the append."""
    headers = ("Prefer: respond-async",) if asynchronous else ()
    messages = traffic.singles(running.http, keys, count, seed, headers)
    before, rows, began = processes.cpu(running), _rows(running), time.perf_counter()
    answers = asyncio.run(load.closed_loop(running.http, iter(messages), CONNECTIONS))
    answered = time.perf_counter() - began
    _check(answers, 202 if asynchronous else 201)
    wait_until(lambda: _rows(running) >= rows + count, "single rows queryable", 120, 0.05)
    after = processes.cpu(running)
    took = [a.took * 1000 for a in answers]
    return {
        "per_s": round(count / answered),
        "p50_ms": round(load.quantile(took, 0.5), 2),
        "p99_ms": round(load.quantile(took, 0.99), 2),
        **{f"cpu_us_per_event_{name}": round((after[name] - before[name]) / count * 1e6, 1) for name in before},
    }


def latency(running: RunningStack, keys: list[str], rate: float, seconds: float, seed: int) -> Figures:
    """Measure single events with the price in the answer, on a fixed schedule."""
    messages = traffic.singles(running.http, keys, int(rate * seconds), seed)
    answers = asyncio.run(load.open_loop(running.http, messages.__getitem__, rate, seconds))
    _check(answers, 201)
    took = [a.took * 1000 for a in answers]
    return {f"p{int(q * 1000) / 10:g}_ms": round(load.quantile(took, q), 2) for q in (0.5, 0.9, 0.99, 0.999)}


def visibility(running: RunningStack, keys: list[str], count: int, seed: int) -> Figures:
    """Measure the time from the answer of one event to its row in ClickHouse, polled every few ms."""
    delays = []
    for number in range(count):
        body = {"agent_id": "probe", "action": "chat", "tokens": number, "trace_id": f"probe-{seed}-{number}"}
        status, answer = running.call("POST", "/v1/meter", body, keys[number % len(keys)])
        if status != 201:
            raise RuntimeError(f"{status} {answer}")
        where = f"event_id = {answer['event_id']}"
        query = f"SELECT count() FROM rev.entries WHERE {where}"
        delays.append(wait_until(lambda query=query: running.sql(query) == "1", "visible", 30, 0.005) * 1000)
    return {"p50_ms": round(load.quantile(delays, 0.5)), "p99_ms": round(load.quantile(delays, 0.99))}


def cold_start(where: Path) -> tuple[RunningStack, Figures]:
    """Measure the time from `rev up` in an empty directory to the first priced event."""
    running = RunningStack(where)
    running.wait_ready()
    ready = time.monotonic() - running.started
    key = running.make_key("bench-first")
    status, answer = running.call("POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key)
    if status != 201:
        raise RuntimeError(f"{status} {answer}")
    return running, {"ready_s": round(ready, 2), "first_priced_s": round(time.monotonic() - running.started, 2)}


def restart(running: RunningStack, key: str, name: str) -> Figures:
    """Measure the time from kill -9 of one process, when all have settled, to the next single event
    answered with its price.
    """
    before = running.wait_pid(name)
    wait_until(lambda: time.time() > max(running.run["since"].values()) + Backoff.settled, "all have settled")
    os.kill(before, signal.SIGKILL)
    began = time.monotonic()

    def priced() -> bool:
        try:
            return running.call("POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key)[0] == 201
        except OSError:
            return False

    wait_until(priced, f"priced after kill -9 of {name}", 60, 0.02)
    took = time.monotonic() - began
    running.wait_pid(name, other_than=before)
    return {f"{name}_s": round(took, 2)}
