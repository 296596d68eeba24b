"""OTLP traces: which spans are counted, whose, with which tokens; partial success; privacy; what no request can do."""

import gzip
import json
from typing import Any

import pytest
from multidict import CIMultiDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ingest.dialects.genai_spans import FAILED, NO_CALL
from ingest.dialects.otlp import PROTOBUF, read_traces
from schemas.commands import Meter, decode
from streams.errors import NotRecorded
from tests.unit.ingest.dialects.golden import CAPTURES, TRACES

ENDED = 1_777_204_740_000_000_000
JSON = {"Content-Type": "application/json"}
BINARY = {"Content-Type": PROTOBUF}
CHAT = {"gen_ai.operation.name": "chat"}
Value = str | int | float | bool
PRIVATE = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt.0.content",
    "gen_ai.tool.call.arguments",
    "input.value",
    "traceloop.entity.input",
)


def export(*spans: dict[str, Any], **resource: Value) -> ExportTraceServiceRequest:
    """A request of spans: attributes, beside ``id``, ``parent``, ``ended``, ``error`` and ``trace``."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add()
    add(part.resource.attributes, {name.replace("_", "."): value for name, value in resource.items()})
    scope = part.scope_spans.add()
    for number, given in enumerate(spans, 1):
        attributes = dict(given)
        span = scope.spans.add()
        span.trace_id = attributes.pop("trace", b"\x0a" * 16)
        span.span_id = attributes.pop("id", number).to_bytes(8, "big")
        if "parent" in attributes:
            span.parent_span_id = attributes.pop("parent").to_bytes(8, "big")
        span.end_time_unix_nano = attributes.pop("ended", ENDED)
        span.status.code = 2 if attributes.pop("error", False) else 0
        add(span.attributes, attributes)
    return request


def add(to: Any, attributes: dict[str, Value]) -> None:
    for name, value in attributes.items():
        attribute = to.add()
        attribute.key = name
        kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(value)]
        setattr(attribute.value, kind, value)


def read(request: ExportTraceServiceRequest) -> Any:
    return read_traces(CIMultiDict(BINARY), request.SerializeToString())


def one(**attributes: Value) -> dict[str, Any]:
    """The fields of the only event of a chat span."""
    (event,) = read(export({**CHAT, **{name.replace("__", "."): value for name, value in attributes.items()}})).events
    fields: dict[str, Any] = event.fields
    return fields


async def sent(gateway: Any, request: ExportTraceServiceRequest, key: str) -> tuple[int, bytes]:
    """Status and body of the response to a request in protobuf."""
    headers = {**BINARY, "Authorization": f"Bearer {key}"}
    url = gateway.url + TRACES
    async with gateway.session.post(url, data=request.SerializeToString(), headers=headers) as response:
        return response.status, await response.read()


def metered(gateway: Any) -> list[Any]:
    commands = [decode(value) for value in gateway.log.values()]
    return [event for command in commands if isinstance(command, Meter) for event in command.events]


USAGE = "gen_ai.usage."
NEW, OLD, OI = USAGE, USAGE, "llm.token_count."


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({USAGE + "input_tokens": 10, USAGE + "output_tokens": 4}, {"tokens_input": 10, "tokens_output": 4}),
        ({USAGE + "prompt_tokens": 10, USAGE + "completion_tokens": 4}, {"tokens_input": 10, "tokens_output": 4}),
        (
            {
                USAGE + "input_tokens": 10,
                USAGE + "cache_read.input_tokens": 6,
                USAGE + "cache_creation.input_tokens": 3,
            },
            {"tokens_input": 1, "tokens_cache_read": 6, "tokens_cache_write": 3},
        ),
        # the sender counts the cache beside the input
        (
            {USAGE + "input_tokens": 10, USAGE + "cache_read_input_tokens": 600},
            {"tokens_input": 10, "tokens_cache_read": 600},
        ),
        (
            {USAGE + "output_tokens": 10, USAGE + "reasoning_tokens": 4},
            {"tokens_output": 6, "tokens_reasoning": 4},
        ),
        ({USAGE + "input_tokens": 10.0, USAGE + "reasoning_tokens": 0}, {"tokens_input": 10}),
        (
            {
                OI + "prompt": 10,
                OI + "completion": 9,
                OI + "prompt_details.cache_read": 2,
                OI + "prompt_details.cache_write": 1,
                OI + "completion_details.reasoning": 5,
            },
            {
                "tokens_input": 7,
                "tokens_output": 4,
                "tokens_cache_read": 2,
                "tokens_cache_write": 1,
                "tokens_reasoning": 5,
            },
        ),
    ],
)
def test_tokens_are_disjoint(attributes: dict[str, Value], tokens: dict[str, int]) -> None:
    (event,) = read(export({**CHAT, **attributes})).events
    assert {name: value for name, value in event.fields.items() if name.startswith("tokens")} == tokens


@pytest.mark.parametrize(
    ("attributes", "action"),
    [
        ({"gen_ai.operation.name": "text_completion"}, "text_completion"),
        ({"gen_ai.operation.name": "generate_content"}, "generate_content"),
        ({"gen_ai.operation.name": "execute_tool"}, "execute_tool"),
        ({"gen_ai.operation.name": "chat", "rev.action": "support.answer"}, "support.answer"),
        ({"gen_ai.operation.name": "rerank", USAGE + "input_tokens": 5}, "rerank"),
        ({"openinference.span.kind": "LLM"}, "chat"),
        ({"openinference.span.kind": "EMBEDDING"}, "embeddings"),
        ({"openinference.span.kind": "TOOL"}, "execute_tool"),
        ({"traceloop.span.kind": "tool"}, "execute_tool"),
        ({"llm.request.type": "chat", "gen_ai.system": "openai"}, "chat"),
        ({"llm.request.type": "embedding"}, "embeddings"),
        ({"gen_ai.system": "openai", "gen_ai.request.model": "m", USAGE + "prompt_tokens": 5}, "chat"),
        ({"gen_ai.operation.name": "invoke_agent", USAGE + "input_tokens": 5}, None),
        ({"gen_ai.operation.name": "rerank"}, None),
        ({"openinference.span.kind": "CHAIN", OI + "prompt": 5}, None),
        ({"openinference.span.kind": "AGENT", "gen_ai.operation.name": "chat"}, None),
        ({"traceloop.span.kind": "workflow", USAGE + "input_tokens": 5}, None),
        ({USAGE + "input_tokens": 5}, None),
        ({"http.request.method": "POST"}, None),
    ],
)
def test_calls_are_counted_and_what_is_around_them_is_not(attributes: dict[str, Value], action: str | None) -> None:
    mapped = read(export(attributes))
    assert [event.fields["action"] for event in mapped.events] == ([action] if action else [])
    assert mapped.ignored == ({} if action else {NO_CALL: 1})


def test_a_failed_call_is_counted_only_with_tokens() -> None:
    none = {**CHAT, "error": True, USAGE + "input_tokens": 0}
    mapped = read(export({**CHAT, "error": True}, none, {**CHAT, "error": True, USAGE + "input_tokens": 5}))
    assert [event.fields["tokens_input"] for event in mapped.events] == [5]
    assert mapped.ignored == {FAILED: 2}


def test_agent_and_customer_come_from_the_span_or_the_nearest_around_it() -> None:
    """Then from the resource; a user stands in for a customer. A circle of parents ends."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "rev.customer.id": "acme"}
    request = export(
        {**CHAT, "id": 1, "parent": 2},
        {"openinference.span.kind": "CHAIN", "id": 2, "parent": 3},
        {**agent, "id": 3},
        {**CHAT, "id": 4, "parent": 3, "gen_ai.agent.id": "own", "revenium.organization.name": "other"},
        {**CHAT, "id": 5, "parent": 6, "user.id": 7},
        {**CHAT, "id": 6, "parent": 5},
        {**CHAT, "id": 8, "parent": 3, "trace": b"\x0b" * 16},
        service_name="bot",
    )
    found = [(one.fields["agent_id"], one.fields.get("customer_id"), one.customer) for one in read(request).events]
    assert found == [
        ("planner", "acme", None),
        ("own", "other", None),
        ("bot", None, "7"),
        ("bot", None, "7"),
        ("bot", None, None),
    ]
    (event,) = read(export(CHAT)).events
    assert event.fields["agent_id"] == "otlp"


def test_attributes_that_are_not_known_are_never_read() -> None:
    """Prompts, answers, arguments: in every place where instrumentations put them."""
    for name in ("otlp_genai.bin", "otlp_openinference.bin"):
        body = gzip.decompress((CAPTURES / name).read_bytes())
        assert (b"SECRET" in body) is (name == "otlp_openinference.bin")
        assert b"SECRET" not in repr(read_traces(CIMultiDict(BINARY), body)).encode()
    secret = dict.fromkeys(PRIVATE, "SECRET")
    assert "SECRET" not in repr(read(export({**CHAT, **secret})))


async def test_refused_spans_are_a_partial_success(gateway: Any, key: str) -> None:
    """The others are recorded; the response counts and names the refused, in protobuf and in JSON."""
    spans = [
        {**CHAT, USAGE + "input_tokens": 5},
        {"gen_ai.operation.name": "generate_content"},
        {**CHAT, "rev.customer.id": "somebody-else"},
        {**CHAT, "ended": 5},
        {**CHAT, "trace": b"\x00" * 16},
        {**CHAT, USAGE + "input_tokens": -5},
        {**CHAT, USAGE + "input_tokens": "many"},
    ]
    status, body = await sent(gateway, export(*spans), key)
    assert status == 200
    said = ExportTraceServiceResponse.FromString(body)
    assert said.partial_success.rejected_spans == 6
    assert said.partial_success.error_message.startswith("no price for action 'generate_content'; rev.customer.id must")
    assert [event.idempotency_key for event in metered(gateway)] == ["0a" * 16 + ":" + "00" * 7 + "01"]
    text = (CAPTURES / "otlp_genai.json").read_text().replace('"embeddings"', '"dance"')
    shown = (await gateway.call("POST", TRACES, text.encode(), key, **JSON)).json
    assert shown["partialSuccess"]["rejectedSpans"] == "2"
    assert "no price for action 'dance'" in shown["partialSuccess"]["errorMessage"]


async def test_a_span_that_is_sent_again_is_charged_once(gateway: Any, key: str) -> None:
    """Alone, with others, and twice in one request; another body under its ids is a rejected span."""
    span = {**CHAT, "id": 1, USAGE + "input_tokens": 5}
    for request in (export(span), export(span, {**CHAT, "id": 2}), export(span, span)):
        answer = await gateway.call("POST", TRACES, request.SerializeToString(), key, **BINARY)
        assert (answer.status, answer.text) == (200, "")
    other = export({**span, USAGE + "input_tokens": 6}, {**CHAT, "id": 3})
    _, body = await sent(gateway, other, key)
    assert ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans == 1
    gateway.settle()
    rows = [row for row in gateway.ledger.rows if row.kind == "event"]
    assert sorted(row.idempotency_key[-1] for row in rows) == ["1", "2", "3"]
    assert [row.tokens for row in rows if row.idempotency_key.endswith("1")] == [5]


@pytest.mark.parametrize("headers", [BINARY, JSON], ids=["protobuf", "JSON"])
async def test_a_body_that_is_none_is_a_400_in_the_clients_encoding(
    gateway: Any, key: str, headers: dict[str, str]
) -> None:
    """Cut off at every length, bytes of no kind, and a gzip bomb; nothing is recorded."""
    name = "otlp_genai.json" if headers is JSON else "otlp_genai.bin"
    whole = (CAPTURES / name).read_bytes()
    body = whole if headers is JSON else gzip.decompress(whole)
    bad = [body[:length] for length in range(1, len(body), 97)] + [b"\xff" * 50, b'{"resourceSpans":7}']
    for sent in bad:
        answer = await gateway.call("POST", TRACES, sent, key, **headers)
        assert answer.status == 400, sent
        assert answer.headers["Content-Type"] == headers["Content-Type"]
        assert "the body" in answer.text or "must be" in answer.text
    bomb = gzip.compress(b"\x0a" * 50_000_000)
    assert (await gateway.call("POST", TRACES, bomb, key, Content_Encoding="gzip", **headers)).status == 413
    assert metered(gateway) == []


async def test_a_status_is_one_of_google_rpc(gateway: Any, key: str) -> None:
    """Its code and message can be read back from the wire; 503 is what exporters repeat."""
    body = export(CHAT).SerializeToString()
    answer = await gateway.call("POST", TRACES, body, "rg_nobody", **BINARY)
    assert answer.status == 401
    assert answer.text == "\x08\x10\x12\x21the API key is unknown or revoked"
    gateway.log.error = NotRecorded("down")
    answer = await gateway.call("POST", TRACES, body, key, **BINARY)
    assert (answer.status, answer.headers["Retry-After"], answer.text.encode()[:2]) == (503, "1", b"\x08\x0e")
    answer = await gateway.call("POST", TRACES, (CAPTURES / "otlp_genai.json").read_bytes(), key, **JSON)
    assert (answer.status, answer.json["code"]) == (503, 14)
    gateway.log.error = None
    assert (await gateway.call("POST", TRACES, body, key, **{"Content-Type": "text/plain"})).status == 415


async def test_ten_thousand_spans_are_recorded_and_more_are_refused(gateway: Any, key: str) -> None:
    """Spans that are not counted do not count here either."""
    spans = [{**CHAT, "id": number} for number in range(1, 10_001)] + [{"http.route": "/", "id": 20_000}]
    answer = await gateway.call("POST", TRACES, export(*spans).SerializeToString(), key, **BINARY)
    assert (answer.status, answer.text) == (200, "")
    assert len({event.idempotency_key for event in metered(gateway)}) == 10_000
    more = export(*spans, {**CHAT, "id": 30_000})
    assert (await gateway.call("POST", TRACES, more.SerializeToString(), key, **BINARY)).status == 413


async def test_metrics_and_logs_are_accepted_and_nothing_is_counted(gateway: Any, key: str) -> None:
    for path in ("/otlp/v1/metrics", "/otlp/v1/logs"):
        for headers, empty in ((BINARY, ""), (JSON, "{}")):
            answer = await gateway.call("POST", path, b"\x0a\x00", key, **headers)
            assert (answer.status, answer.text) == (200, empty)
            assert answer.headers["Content-Type"] == headers["Content-Type"]
        assert (await gateway.call("POST", path, b"", None, **BINARY)).status == 401
    assert metered(gateway) == []


async def test_the_key_may_be_in_x_api_key(gateway: Any, key: str) -> None:
    headers = {**BINARY, "x-api-key": key}
    assert (await gateway.call("POST", TRACES, export(CHAT).SerializeToString(), **headers)).status == 200
    assert len(metered(gateway)) == 1


async def test_a_user_is_the_customer_with_a_platform_key_only(gateway: Any, key: str) -> None:
    body = export({**CHAT, "user.id": "u-1"}).SerializeToString()
    platform = await gateway.make_key("*")
    for secret in (key, platform):
        assert (await gateway.call("POST", TRACES, body, secret, **BINARY)).text == ""
    commands = [command for value in gateway.log.values() if isinstance(command := decode(value), Meter)]
    assert sorted(command.customer_id for command in commands) == ["acme-corp", "u-1"]


def test_json_is_read_as_protobufs_json_writes_it() -> None:
    """64-bit integers as text or numbers, ids in either case, unknown fields."""
    document = json.loads((CAPTURES / "otlp_genai.json").read_text())
    before = read_traces(CIMultiDict(JSON), json.dumps(document).encode())
    for part in document["resourceSpans"]:
        for scope in part["scopeSpans"]:
            for span in scope["spans"]:
                span["traceId"] = span["traceId"].upper()
                span["endTimeUnixNano"] = int(span["endTimeUnixNano"])
                span["colour"] = {"red": [1]}
    assert read_traces(CIMultiDict(JSON), json.dumps(document).encode()).events == before.events
