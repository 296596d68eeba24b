"""Whatever is sent: a 4xx that names what is wrong, in one shape, and nothing in the log."""

import gzip
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

GOOD: dict[str, Any] = {"agent_id": "a", "action": "chat"}
ADMIN = "the-admin-token"


class Bad(NamedTuple):
    """A request and what its refusal must be."""

    name: str
    status: int
    says: str
    body: Any = None
    path: str = "/v1/meter"
    headers: Mapping[str, str] = MappingProxyType({})


def event(**more: Any) -> dict[str, Any]:
    return {**GOOD, **more}


def raw(text: str) -> bytes:
    """A good event with more JSON text at its end."""
    return b'{"agent_id":"a","action":"chat",' + text.encode() + b"}"


def batch(*events: Any) -> dict[str, Any]:
    return {"events": list(events)}


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


BATCH = "/v1/meter/batch"
GZIP = {"Content_Encoding": "gzip"}

EVENTS = [
    Bad("empty body", 400, "empty", b""),
    Bad("blank body", 400, "empty", b"  \n"),
    Bad("malformed", 400, "not valid JSON", b"{agent_id}"),
    Bad("truncated", 400, "ends too early", b'{"agent_id": "a'),
    Bad("trailing text", 400, "not valid JSON", b'{"agent_id":"a","action":"chat"} x'),
    Bad("byte order mark", 400, "not valid JSON", b"\xef\xbb\xbf{}"),
    Bad("not UTF-8", 400, "UTF-8", b'{"agent_id":"\xff","action":"chat"}'),
    Bad("encoded surrogate", 400, "UTF-8", b'{"agent_id":"\xed\xa0\x80","action":"chat"}'),
    Bad("lone surrogate", 400, "surrogate", b'{"agent_id":"\\ud800","action":"chat"}'),
    Bad("lone surrogate in metadata", 400, "surrogate", raw(r'"metadata":{"x":"\udc00"}')),
    Bad("metadata not UTF-8", 400, "metadata", b'{"agent_id":"a","action":"chat","metadata":{"x":"\xff"}}'),
    Bad("a list", 400, "JSON object", b"[]"),
    Bad("a string", 400, "JSON object", b'"x"'),
    Bad("null", 400, "JSON object", b"null"),
    Bad("agent_id absent", 400, "agent_id is required", {"action": "chat"}),
    Bad("agent_id null", 400, "agent_id is required", event(agent_id=None)),
    Bad("agent_id a number", 400, "agent_id must be a string", event(agent_id=1)),
    Bad("agent_id empty", 400, "agent_id must have 1 to 256", event(agent_id="")),
    Bad("agent_id of 300", 400, "agent_id must have 1 to 256", event(agent_id="x" * 300)),
    Bad("agent_id control", 400, "agent_id must not contain control", event(agent_id="a\nb")),
    Bad("agent_id C1 control", 400, "agent_id must not contain control", event(agent_id="a\x85b")),
    Bad("action absent", 400, "action is required", {"agent_id": "a"}),
    Bad("action null byte", 400, "action must not contain control", event(action="a\x00")),
    Bad("action reserved", 400, "reserved", event(action="outcome_charge")),
    Bad("action without price", 400, "no price for action 'nope'", event(action="nope")),
    Bad("misspelt tokens", 400, "did you mean 'tokens_output'", event(tokens_ouput=5)),
    Bad("unknown field", 400, "unknown field 'zzzzzz'", event(zzzzzz=5)),
    Bad("tokens a point", 400, "tokens must be a whole number", raw('"tokens":2400.0')),
    Bad("tokens an exponent", 400, "tokens must be a whole number", raw('"tokens":1e3')),
    Bad("tokens text", 400, "tokens must be a whole number", event(tokens="5")),
    Bad("tokens true", 400, "tokens must be a whole number", event(tokens=True)),
    Bad("tokens negative", 400, "tokens must be at least 0", event(tokens=-1)),
    Bad("tokens too many", 400, "tokens must be at most", event(tokens=10**12 + 1)),
    Bad("tokens beyond 64 bits", 400, "tokens", event(tokens=10**30)),
    Bad("tokens of 5000 digits", 400, "tokens", raw('"tokens":' + "9" * 5000)),
    Bad("tokens NaN", 400, "not valid JSON", raw('"tokens":NaN')),
    Bad("tokens Infinity", 400, "not valid JSON", raw('"tokens":Infinity')),
    Bad("tokens 1e400", 400, "tokens", raw('"tokens":1e400')),
    Bad("split too many", 400, "together", event(tokens_in=10**12, tokens_out=1)),
    Bad("total disagrees", 400, "add up to 3", event(tokens=4, tokens_in=1, tokens_out=2)),
    Bad("input spellings", 400, "tokens_input and tokens_in", event(tokens_input=1, tokens_in=2)),
    Bad("output spellings", 400, "tokens_output and tokens_out", event(tokens_output=1, tokens_out=2)),
    Bad("outcome unknown", 400, "outcome must be one of", event(outcome="maybe")),
    Bad("outcome a boolean", 400, "outcome must be", event(outcome=True)),
    Bad("expires_at without pending", 400, "expires_at is only", event(expires_at="2027-01-01T00:00:00Z")),
    Bad("on_expiry without pending", 400, "on_expiry is only", event(outcome="success", on_expiry="failure")),
    Bad("expires_at past", 400, "future", event(outcome="pending", expires_at="2026-04-26T12:00:00Z")),
    Bad("expires_at naive", 400, "time zone", event(outcome="pending", expires_at="2027-01-01T00:00:00")),
    Bad("expires_at far", 400, "100 years", event(outcome="pending", expires_at="9999-01-01T00:00:00Z")),
    Bad("on_expiry unknown", 400, "on_expiry must be one of", event(outcome="pending", on_expiry="x")),
    Bad("timestamp naive", 400, "timestamp must have a time zone", event(timestamp="2026-04-26T12:00:00")),
    Bad("timestamp a date", 400, "timestamp", event(timestamp="2026-04-26")),
    Bad("timestamp a number", 400, "timestamp must be a string", event(timestamp=1777204800)),
    Bad("timestamp impossible", 400, "timestamp is not a time", event(timestamp="2026-02-30T12:00:00Z")),
    Bad("timestamp ahead", 400, "5 minutes", event(timestamp="2026-04-26T12:05:00.001Z")),
    Bad("timestamp too old", 400, "too far back", event(timestamp="2026-03-22T11:59:59.999Z")),
    Bad("metadata a list", 400, "metadata must be a JSON object", event(metadata=[])),
    Bad("metadata a string", 400, "metadata must be a JSON object", event(metadata="{}")),
    Bad("metadata too large", 400, "metadata must be at most", event(metadata={"x": "y" * 16384})),
    Bad("metadata 65 deep", 400, "metadata must be nested", raw('"metadata":' + deep(65))),
    Bad("metadata 100000 deep", 400, "nested", raw('"metadata":' + deep(100_000))),
    Bad("metadata 2700 deep", 400, "nested", raw('"metadata":' + deep(2700))),
    Bad("metadata 1e400", 400, "metadata", raw('"metadata":{"x":1e400}')),
    Bad("unknown field 100000 deep", 400, "", raw('"x":' + deep(100_000))),
    Bad("task_id control", 400, "task_id", event(task_id="\x7f")),
    Bad("model of 300", 400, "model", event(model="m" * 300)),
    Bad("idempotency_key empty", 400, "idempotency_key", event(idempotency_key="")),
    Bad("idempotency_key control", 400, "idempotency_key", event(idempotency_key="\t")),
    Bad("two keys", 400, "differ", event(idempotency_key="a"), headers={"Idempotency_Key": "b"}),
    Bad("header key of 300", 400, "Idempotency-Key", GOOD, headers={"Idempotency_Key": "k" * 300}),
    Bad("another customer", 403, "customer_id", event(customer_id="other")),
    Bad("another customer in the query", 403, "customer_id", GOOD, "/v1/meter?customer_id=other"),
    Bad("customer differs", 400, "differ", event(customer_id="acme-corp"), "/v1/meter?customer_id=other"),
    Bad("unknown parameter", 400, "unknown query parameter 'custmer_id'", GOOD, "/v1/meter?custmer_id=x"),
    Bad("parameter twice", 400, "twice", GOOD, "/v1/meter?customer_id=acme-corp&customer_id=acme-corp"),
    Bad("body too large", 413, "larger", b" " * (1 << 20) + b"{}"),
    Bad("media type", 415, "Content-Type", GOOD, headers={"Content_Type": "text/plain"}),
    Bad("form", 415, "Content-Type", b"a=1", headers={"Content_Type": "application/x-www-form-urlencoded"}),
    Bad("encoding", 415, "Content-Encoding", GOOD, headers={"Content_Encoding": "br"}),
    Bad("gzip that is none", 400, "gzip", b"{}", headers=GZIP),
    Bad("gzip truncated", 400, "gzip", gzip.compress(json.dumps(GOOD).encode())[:-9], headers=GZIP),
    Bad("gzip bomb", 413, "larger", gzip.compress(b" " * (50 << 20)), headers=GZIP),
    Bad("gzip bomb in members", 413, "larger", gzip.compress(b" " * (1 << 19)) * 5, headers=GZIP),
    Bad("wrong method", 405, "method", GOOD, "/v1/meter/batch?x=1", {"method": "PUT"}),
    Bad("wrong path", 404, "nothing", GOOD, "/v1/metre"),
]

BATCHES = [
    Bad("no events", 400, "events is required", {}, BATCH),
    Bad("empty events", 400, "events is required", batch(), BATCH),
    Bad("events an object", 400, "events must be a list", {"events": {}}, BATCH),
    Bad("1,001 events", 400, "at most 1000", batch(*[GOOD] * 1001), BATCH),
    Bad("1,001 wrong events", 400, "at most 1000", batch(*[{}] * 1000, 1), BATCH),
    Bad("unknown beside events", 400, "did you mean 'events'", {"evnts": []}, BATCH),
    Bad("another customer", 403, "customer_id", {"events": [GOOD], "customer_id": "other"}, BATCH),
    Bad("another customer's event", 403, "customer_id", batch(event(customer_id="other")), BATCH),
    Bad("body too large", 413, "larger", b" " * (8 << 20) + b"{}", BATCH),
    Bad("record too large", 413, "together", batch(*[event(metadata={"x": "y" * 8000})] * 500), BATCH),
    Bad("truncated", 400, "ends too early", b'{"events":[{"agent_id":"a"', BATCH),
    Bad("lone surrogate", 400, "surrogate", b'{"events":[{"agent_id":"\\ud800"}]}', BATCH),
    Bad("gzip bomb", 413, "larger", gzip.compress(b" " * (20 << 20)), BATCH, GZIP),
]


@pytest.mark.parametrize("bad", EVENTS + BATCHES, ids=lambda bad: f"{bad.path[:15]} {bad.name}")
async def test_bad_input_is_refused_and_named_and_nothing_is_appended(gateway: Any, key: str, bad: Bad) -> None:
    """The status, the words that name the field, the one shape of errors, and an untouched log."""
    before = len(gateway.log.values())
    headers = dict(bad.headers)
    answer = await gateway.call(headers.pop("method", "POST"), bad.path, bad.body, key, **headers)
    assert answer.status == bad.status, answer.text
    assert bad.says in answer.json["error"]
    assert answer.json["code"] and answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert len(gateway.log.values()) == before


async def test_a_batch_says_all_that_is_wrong_with_it(gateway: Any, key: str) -> None:
    """Errors by index, whether the decoder or the rules found them; nothing is recorded."""
    before = len(gateway.log.values())
    wrong = batch(GOOD, {"action": "chat"}, event(action="outcome_charge"), GOOD)
    answer = await gateway.call("POST", BATCH, wrong, key)
    assert [error["index"] for error in answer.json["errors"]] == [1, 2]
    typed = await gateway.call("POST", BATCH, batch(event(tokens=-1), GOOD, event(tokns=1), 7), key)
    assert [error["index"] for error in typed.json["errors"]] == [0, 2, 3]
    assert "did you mean 'tokens'" in typed.json["errors"][1]["error"]
    unpriced = await gateway.call("POST", BATCH, batch(event(action="x"), GOOD), key)
    assert unpriced.json["errors"] == [{"index": 0, "error": "no price for action 'x'"}]
    assert {answer.status, typed.status, unpriced.status} == {400}
    assert len(gateway.log.values()) == before


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic cmc6eA==", "Bearer sk_123", "Bearer rg_unknown", "rg_unknown", "Bearer rg_\u00e9"],
)
async def test_without_a_known_key_401_comes_before_anything_else(gateway: Any, header: str) -> None:
    """Even with a wrong body, type and parameter."""
    answer = await gateway.call("POST", "/v1/meter?x=1", b"{", None, Authorization=header, Content_Type="text/plain")
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_no_header_at_all_is_401(gateway: Any) -> None:
    """An absent Authorization header."""
    assert (await gateway.call("POST", "/v1/meter", GOOD)).status == 401


async def test_a_revoked_key_is_401(gateway: Any, key: str) -> None:
    """From the answer of the revocation on."""
    assert (await gateway.call("DELETE", "/api/admin/api-keys/1", None, ADMIN)).status == 200
    assert (await gateway.call("POST", "/v1/meter", GOOD, key)).status == 401


async def test_a_platform_key_must_name_a_customer_that_can_be_one(gateway: Any) -> None:
    """No customer, a reserved one, one that begins with an underscore."""
    platform = await gateway.make_key("*")
    before = len(gateway.log.values())
    for customer, says in [(None, "required"), ("*", "reserved"), ("_config", "reserved"), ("a\n", "control")]:
        answer = await gateway.call("POST", "/v1/meter", event(customer_id=customer), platform)
        assert answer.status == 400 and says in answer.json["error"]
    assert len(gateway.log.values()) == before


async def test_a_view_that_nobody_confirmed_lets_no_key_in(gateway: Any, key: str) -> None:
    """After 1 s without a fetch: 503 not_recorded, and /readyz says why."""
    gateway.log.age = 1.5
    answer = await gateway.call("POST", "/v1/meter", GOOD, key)
    assert (answer.status, answer.json["code"]) == (503, "not_recorded")
    ready = await gateway.call("GET", "/readyz")
    assert ready.status == 503 and "config" in ready.json["reasons"][0]


async def test_an_unexpected_error_is_a_500_that_is_counted(gateway: Any, key: str) -> None:
    """The shape stays, the words give nothing away."""
    gateway.log.error = RuntimeError("secret detail")
    answer = await gateway.call("POST", "/v1/meter", GOOD, key)
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert "secret" not in answer.text
    figures = (await gateway.call("GET", "/metrics")).text
    line = next(line for line in figures.splitlines() if line.startswith("rev_ingest_unexpected_errors_total"))
    assert float(line.split()[1]) >= 1
