"""Cost of the dialects' pure code: decode, map and check what clients send, in µs an event; no HTTP, no log.

``python -m bench.dialects [rounds]`` prints, for spans (protobuf and JSON), for Revenium's completions and for the same
events in POST /v1/meter/batch: µs to decode and map, µs to check as an event of POST /v1/meter, and what one core could
take of both. It is a microbenchmark: a request also costs HTTP, an append and its share of the pricer.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from multidict import CIMultiDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.dialects.dialect import MappedEvent
from ingest.dialects.otlp import PROTOBUF, read_traces
from ingest.dialects.revenium import read_completion
from ingest.validation import TimeBounds, decode_batch, decode_event, event_of, events_of
from schemas.objects import iso
from schemas.settings import MAX_WINDOW

NOW = 1_777_204_800_000
BATCH = 200
BOUNDS = TimeBounds(NOW, MAX_WINDOW)
CUSTOMER = "acme-corp"
Value = str | int
encode = msgspec.json.Encoder().encode


class Cost(NamedTuple):
    """µs an event: to decode and map, and to check."""

    mapped: float
    checked: float


def attributes_of(number: int) -> dict[str, Value]:
    """Return the attributes of a chat span as opentelemetry-instrumentation-genai-openai writes them."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": "0.2",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": f"chatcmpl-{number}",
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.agent.name": f"agent-{number % 7}",
        "gen_ai.conversation.id": f"conversation-{number % 50}",
        "gen_ai.usage.input_tokens": 2006 + number,
        "gen_ai.usage.cache_read.input_tokens": 1920,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.reasoning.output_tokens": 192,
        "server.address": "api.openai.com",
        "server.port": 443,
    }


def protobuf(first: int = 0, now: int = NOW) -> bytes:
    """Return a request of BATCH spans in protobuf, numbered from ``first``; ``now``: ms UTC."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add()
    _add(part.resource.attributes, {"service.name": "bot"})
    scope = part.scope_spans.add()
    for number in range(first, first + BATCH):
        span = scope.spans.add()
        span.name = "chat gpt-4o"
        span.trace_id, span.span_id = number.to_bytes(15, "big") + b"\1", number.to_bytes(7, "big") + b"\1"
        span.start_time_unix_nano, span.end_time_unix_nano = (now - 2000) * 10**6, (now - 1000) * 10**6
        _add(span.attributes, attributes_of(number))
    return request.SerializeToString()


def _add(to: Any, attributes: dict[str, Value]) -> None:
    for name, value in attributes.items():
        one = to.add()
        one.key = name
        if isinstance(value, int):
            one.value.int_value = value
        else:
            one.value.string_value = value


def in_json(first: int = 0, now: int = NOW) -> bytes:
    """Return the same request in JSON."""

    def written(attributes: dict[str, Value]) -> list[Any]:
        return [
            {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
            for name, value in attributes.items()
        ]

    spans = [
        {
            "traceId": (number.to_bytes(15, "big") + b"\1").hex(),
            "spanId": (number.to_bytes(7, "big") + b"\1").hex(),
            "name": "chat gpt-4o",
            "startTimeUnixNano": str((now - 2000) * 10**6),
            "endTimeUnixNano": str((now - 1000) * 10**6),
            "attributes": written(attributes_of(number)),
        }
        for number in range(first, first + BATCH)
    ]
    resource = {"attributes": written({"service.name": "bot"})}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()


def completion(number: int, now: int = NOW) -> bytes:
    """Return a completion as revenium-python-sdk sends it."""
    return json.dumps(
        {
            "transactionId": f"chatcmpl-{number}",
            "model": "gpt-4o",
            "provider": "OPENAI",
            "costType": "AI",
            "inputTokenCount": 2006 + number,
            "outputTokenCount": 300,
            "totalTokenCount": 2306 + number,
            "cacheReadTokenCount": 1920,
            "reasoningTokenCount": 192,
            "isStreamed": False,
            "requestTime": iso(now - 2000),
            "responseTime": iso(now - 1000),
            "completionStartTime": iso(now - 1500),
            "requestDuration": 1000,
            "stopReason": "END",
            "agent": f"agent-{number % 7}",
            "taskType": "chat",
            "traceId": f"trace-{number}",
        }
    ).encode()


def least(rounds: int, run: Callable[[], object]) -> float:
    """Return the least µs of CPU an event of some rounds."""
    found = []
    for _ in range(rounds):
        begun = time.process_time()
        run()
        found.append((time.process_time() - begun) * 1e6 / BATCH)
    return min(found)


def checks(events: Sequence[MappedEvent]) -> None:
    """Check mapped events as ingest.dialects.recording does."""
    for one in events:
        event_of(decode_event(encode(one.fields)), None, BOUNDS)


def spans(rounds: int, body: bytes, media_type: str) -> Cost:
    """Return the cost of a span."""
    headers = CIMultiDict({"Content-Type": media_type})
    events = read_traces(headers, body).events
    assert len(events) == BATCH
    return Cost(least(rounds, lambda: read_traces(headers, body)), least(rounds, lambda: checks(events)))


def completions(rounds: int) -> Cost:
    """Return the cost of a completion, each in a request of its own."""
    headers = CIMultiDict({"Content-Type": "application/json"})
    bodies = [completion(number) for number in range(BATCH)]
    events = [read_completion(headers, body).events[0] for body in bodies]
    return Cost(
        least(rounds, lambda: [read_completion(headers, body) for body in bodies]),
        least(rounds, lambda: checks(events)),
    )


def metered(body: bytes) -> list[dict[str, Any]]:
    """Return the events of POST /v1/meter that a request of spans in protobuf becomes."""
    return [one.fields for one in read_traces(CIMultiDict({"Content-Type": PROTOBUF}), body).events]


def batch(rounds: int) -> Cost:
    """Return the cost of the same events in POST /v1/meter/batch."""
    body = msgspec.json.encode({"events": metered(protobuf())})
    decoded = decode_batch(body).events or []
    return Cost(
        least(rounds, lambda: decode_batch(body)), least(rounds, lambda: events_of(decoded, CUSTOMER, None, BOUNDS))
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    rows = {
        "OTLP spans, protobuf": spans(rounds, protobuf(), PROTOBUF),
        "OTLP spans, JSON": spans(rounds, in_json(), "application/json"),
        "Revenium completions": completions(rounds),
        "/v1/meter/batch": batch(rounds),
    }
    print(f"{'µs an event':22}{'map':>8}{'check':>8}{'events/s a core':>18}")
    for name, cost in rows.items():
        print(f"{name:22}{cost.mapped:8.1f}{cost.checked:8.1f}{1e6 / sum(cost):18,.0f}")


if __name__ == "__main__":
    main()
