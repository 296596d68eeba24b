"""Throughput of the dialects on a running stack, beside POST /v1/meter with the same events, and where the CPU goes.

``python -m bench.dialects_stack [--events 60000] [--keep]`` starts one `rev up` and sends the same spans as OTLP in
protobuf and in JSON and as POST /v1/meter/batch, BATCH to a request, then the same completions as Revenium's client
sends them and as POST /v1/meter, one to a request. Every response waits for its price. The load generator is on the
same machine.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from multidict import CIMultiDict

from bench import load, processes, scenarios
from bench.__main__ import keys_for
from bench.dialects import BATCH, completion, in_json, metered, protobuf
from bench.reporting import keep, show
from bench.running_stack import RunningStack, wait_until
from bench.scenarios import Figures
from ingest.dialects.otlp import PROTOBUF
from ingest.dialects.revenium import read_completion

CONNECTIONS = {BATCH: 32, 1: 256}
"""By events of a request."""
REPEATED = (429, 503)
"""Statuses of responses after which the clients send again."""
PREFIXES = ("gateway", "pricer", "ledger", "kafka", "clickhouse")
"""Processes whose CPU is kept."""
JSON = CIMultiDict({"Content-Type": "application/json"})


def message(running: RunningStack, path: str, key: str, body: bytes, media_type: str = "application/json") -> bytes:
    """Return the bytes of one POST of a client."""
    made = load.request(running.http + path, key, body, (f"x-api-key: {key}",))
    return made.replace(b"Content-Type: application/json", b"Content-Type: " + media_type.encode(), 1)


async def sent(url: str, messages: list[bytes], connections: int) -> list[load.LoadResponse]:
    """Send all requests, each connection the next one when its last is answered; repeat what clients repeat."""
    waiting = iter(messages)
    answers: list[load.LoadResponse] = []

    async def worker() -> None:
        connection = await load.connect(url)
        for one in waiting:
            answer = await connection.ask(one)
            while answer.status in REPEATED:
                answers.append(answer)
                answer = await connection.ask(one)
            answers.append(answer)
        connection.close()

    await asyncio.gather(*(worker() for _ in range(connections)))
    return answers


def measure(running: RunningStack, messages: list[bytes], each: int) -> Figures:
    """Send requests of ``each`` events as fast as the connections go, until all rows are queryable."""

    def rows() -> int:
        return int(running.sql("SELECT count() FROM rev.entries WHERE kind = 'event'"))

    count = len(messages) * each
    before, had, began = processes.cpu(running), rows(), time.perf_counter()
    answers = asyncio.run(sent(running.http, messages, CONNECTIONS[each]))
    answered = time.perf_counter() - began
    odd = [one for one in answers if one.status not in (200, 201, *REPEATED)]
    odd += [one for one in answers if b"rejectedSpans" in one.body]
    if odd:
        raise RuntimeError(f"{len(odd)} of {len(answers)} responses: {[one.body[:300] for one in odd[:2]]}")
    wait_until(lambda: rows() >= had + count, "rows queryable", 120, 0.05)
    queryable = time.perf_counter() - began
    after = processes.cpu(running)
    cpu = {
        prefix: sum(after[name] - before.get(name, 0.0) for name in after if name.startswith(prefix))
        for prefix in PREFIXES
    }
    took = [one.took * 1000 for one in answers]
    return {
        "events": count,
        "answered_per_s": round(count / answered),
        "queryable_per_s": round(count / queryable),
        "p50_ms": round(load.quantile(took, 0.5), 1),
        "p99_ms": round(load.quantile(took, 0.99), 1),
        "repeated": sum(one.status in REPEATED for one in answers),
        "bytes_per_event": round(sum(map(len, messages)) / count),
        **{f"cpu_us_per_event_{name}": round(seconds / count * 1e6, 1) for name, seconds in cpu.items()},
    }


def batch_of(body: bytes) -> bytes:
    """Return the body of POST /v1/meter/batch with the events of a request of spans."""
    return msgspec.json.encode({"events": metered(body)})


def event_of(body: bytes) -> bytes:
    """Return the body of POST /v1/meter with the event of a completion."""
    return msgspec.json.encode(read_completion(JSON, body).events[0].fields)


def kinds_of(running: RunningStack, now: int) -> dict[str, tuple[int, Callable[[int, str], bytes]]]:
    """Return what is sent: by name, the events of a request, and its bytes by the number of its first event and key."""

    def batch(first: int, key: str) -> bytes:
        return message(running, "/v1/meter/batch", key, batch_of(protobuf(first, now)))

    def binary(first: int, key: str) -> bytes:
        return message(running, "/otlp/v1/traces", key, protobuf(first, now), PROTOBUF)

    def as_json(first: int, key: str) -> bytes:
        return message(running, "/otlp/v1/traces", key, in_json(first, now))

    def single(first: int, key: str) -> bytes:
        return message(running, "/v1/meter", key, event_of(completion(first, now)))

    def completed(first: int, key: str) -> bytes:
        return message(running, "/meter/v2/ai/completions", key, completion(first, now))

    return {
        "/v1/meter/batch": (BATCH, batch),
        "OTLP spans, protobuf": (BATCH, binary),
        "OTLP spans, JSON": (BATCH, as_json),
        "/v1/meter": (1, single),
        "Revenium completions": (1, completed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dialects_stack", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results")
    args = parser.parse_args()
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="rev-bench-") as where:
        running = RunningStack(Path(where) / "main")
        try:
            running.wait_ready()
            keys = keys_for(running)
            scenarios.batch(running, keys, 200, 99)  # warm up
            kinds = kinds_of(running, int(time.time() * 1000))
            for place, (name, (each, make)) in enumerate(kinds.items()):
                count = args.events // each if each > 1 else args.events // 6
                # ids of their own, or they would be repeats
                start = place * 10_000_000
                messages = [make(start + number * each, keys[number % len(keys)]) for number in range(count)]
                figures[name] = measure(running, messages, each)
                show(name, figures[name])
        finally:
            running.stop()
    if args.keep:
        keep("dialects", {"figures": figures})


if __name__ == "__main__":
    main()
