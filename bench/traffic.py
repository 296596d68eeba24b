"""Requests that the benchmarks send: made-up agent traffic from a seeded generator."""

import json
import random
from collections.abc import Iterator

from bench.load import request

ACTIONS = ("chat", "completion", "tool_call", "embedding", "search")


def event(rng: random.Random, key: str | None = None) -> dict[str, object]:
    """Return one meter event of about the size that agents send."""
    made: dict[str, object] = {
        "agent_id": f"agent-{rng.randrange(20)}",
        "action": rng.choice(ACTIONS),
        "tokens_input": rng.randrange(7_500),
        "tokens_output": rng.randrange(1_900),
        "model": "gpt-4o",
    }
    if rng.random() < 0.3:
        made["outcome"] = "success"
    if key is not None:
        made["idempotency_key"] = key
    return made


def batches(url: str, keys: list[str], count: int, size: int, seed: int, keyed: bool = False) -> list[bytes]:
    """Return ``count`` prepared POST /v1/meter/batch of ``size`` events, spread over the API keys."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        events = [event(rng, f"b{seed}-{number}-{i}" if keyed else None) for i in range(size)]
        body = json.dumps({"events": events}, separators=(",", ":")).encode()
        made.append(request(url + "/v1/meter/batch", keys[number % len(keys)], body))
    return made


def singles(url: str, keys: list[str], count: int, seed: int, headers: tuple[str, ...] = ()) -> list[bytes]:
    """Return ``count`` prepared POST /v1/meter, spread over the API keys."""
    rng = random.Random(seed)
    return [
        request(url + "/v1/meter", keys[n % len(keys)], json.dumps(event(rng), separators=(",", ":")).encode(), headers)
        for n in range(count)
    ]


def repeated(messages: list[bytes], times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield from messages
