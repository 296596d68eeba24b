"""Bad requests as tables: what is sent, and how it must be refused.

Held against a gateway in memory here and against a running server in tests/integration/contract.
"""

import gzip
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from schemas.limits import DAY, TIMESTAMP_AHEAD
from schemas.objects import iso

WINDOW = 35 * DAY
"""The default REV_IDEMPOTENCY_WINDOW, ms."""
GOOD: dict[str, Any] = {"agent_id": "a", "action": "chat"}


class Bad(NamedTuple):
    """A request and what its refusal must be."""

    name: str
    status: int
    says: str
    body: Any = None
    path: str = "/v1/meter"
    headers: Mapping[str, str] = MappingProxyType({})


class AdminBad(NamedTuple):
    """A request of the administration that is a 400, and what its refusal must say."""

    method: str
    path: str
    body: Any
    says: str


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
KEYS, PRICES, CUSTOMERS = "/api/admin/api-keys", "/api/admin/pricing", "/api/admin/customers"
GZIP = {"Content_Encoding": "gzip"}

EVENTS = [
    Bad("empty body", 400, "empty", b""),
    Bad("blank body", 400, "empty", b"  \n"),
    Bad("malformed", 400, "not valid JSON", b"{agent_id}"),
    Bad("truncated", 400, "ends too early", b'{"agent_id": "a'),
    Bad("trailing text", 400, "not valid JSON", b'{"agent_id":"a","action":"chat"} x'),
    Bad("byte order mark twice", 400, "not valid JSON", b"\xef\xbb\xbf\xef\xbb\xbf{}"),
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
    Bad("action of 300", 400, "action must have 1 to 256", event(action="x" * 300)),
    Bad("action null byte", 400, "action must not contain control", event(action="a\x00")),
    Bad("action reserved", 400, "reserved", event(action="outcome_charge")),
    Bad("action without price", 400, "no price for action 'nope'", event(action="nope")),
    Bad("misspelt tokens", 400, "did you mean 'tokens_output'", event(tokens_ouput=5)),
    Bad("unknown field", 400, "unknown field 'zzzzzz'", event(zzzzzz=5)),
    Bad(
        "tokens a point",
        400,
        "tokens must be an integer from 0 to 1000000000000, not a number with a decimal point",
        raw('"tokens":2400.0'),
    ),
    Bad(
        "tokens an exponent",
        400,
        "tokens must be an integer from 0 to 1000000000000, not a number with",
        raw('"tokens":1e3'),
    ),
    Bad("tokens text", 400, "tokens must be an integer from 0 to 1000000000000, not a string", event(tokens="5")),
    Bad("tokens true", 400, "tokens must be an integer from 0 to 1000000000000, not true or false", event(tokens=True)),
    Bad("tokens negative", 400, "tokens must be an integer from 0 to 1000000000000", event(tokens=-1)),
    Bad("tokens too many", 400, "tokens must be an integer from 0 to 1000000000000", event(tokens=10**12 + 1)),
    Bad("tokens beyond 64 bits", 400, "tokens", event(tokens=10**30)),
    Bad("tokens of 5000 digits", 400, "tokens", raw('"tokens":' + "9" * 5000)),
    Bad("tokens NaN", 400, "not valid JSON", raw('"tokens":NaN')),
    Bad("tokens Infinity", 400, "not valid JSON", raw('"tokens":Infinity')),
    Bad("tokens 1e400", 400, "tokens", raw('"tokens":1e400')),
    Bad("split too many", 400, "together", event(tokens_in=10**12, tokens_out=1)),
    Bad(
        "total disagrees",
        400,
        "tokens must be the sum of tokens_in and tokens_out (3), not 4",
        event(tokens=4, tokens_in=1, tokens_out=2),
    ),
    Bad("input spellings", 400, "tokens_input and tokens_in", event(tokens_input=1, tokens_in=2)),
    Bad("output spellings", 400, "tokens_output and tokens_out", event(tokens_output=1, tokens_out=2)),
    Bad("outcome unknown", 400, "outcome must be one of", event(outcome="maybe")),
    Bad("outcome a boolean", 400, "outcome must be", event(outcome=True)),
    Bad(
        "expires_at without pending",
        400,
        "expires_at is allowed only with outcome pending",
        event(expires_at="2027-01-01T00:00:00Z"),
    ),
    Bad(
        "on_expiry without pending",
        400,
        "on_expiry is allowed only with outcome pending",
        event(outcome="success", on_expiry="failure"),
    ),
    Bad("expires_at naive", 400, "time zone", event(outcome="pending", expires_at="2027-01-01T00:00:00")),
    Bad("expires_at far", 400, "36500 days", event(outcome="pending", expires_at="9999-01-01T00:00:00Z")),
    Bad("on_expiry unknown", 400, "on_expiry must be one of", event(outcome="pending", on_expiry="x")),
    Bad("timestamp naive", 400, "timestamp must have a time zone", event(timestamp="2026-04-26T12:00:00")),
    Bad("timestamp a date", 400, "timestamp", event(timestamp="2026-04-26")),
    Bad("timestamp a number", 400, "timestamp must be a string", event(timestamp=1777204800)),
    Bad("timestamp impossible", 400, "timestamp is not a time", event(timestamp="2026-02-30T12:00:00Z")),
    Bad("metadata a list", 400, "metadata must be a JSON object", event(metadata=[])),
    Bad("metadata a string", 400, "metadata must be a JSON object", event(metadata="{}")),
    Bad("metadata too large", 400, "metadata must be at most", event(metadata={"x": "y" * 16384})),
    Bad("metadata 65 deep", 400, "metadata must be nested", raw('"metadata":' + deep(65))),
    Bad("metadata 100000 deep", 400, "nested", raw('"metadata":' + deep(100_000))),
    Bad("metadata 2700 deep", 400, "nested", raw('"metadata":' + deep(2700))),
    Bad("metadata 1e400", 400, "metadata", raw('"metadata":{"x":1e400}')),
    Bad("unknown field 100000 deep", 400, "", raw('"x":' + deep(100_000))),
    Bad("task_id of 300", 400, "task_id must have 1 to 256", event(task_id="x" * 300)),
    Bad("customer_id of 300", 400, "customer_id must have 1 to 256", event(customer_id="x" * 300)),
    Bad("task_id control", 400, "task_id", event(task_id="\x7f")),
    Bad("model of 300", 400, "model", event(model="m" * 300)),
    Bad("idempotency_key of 300", 400, "idempotency_key must have 1 to 256", event(idempotency_key="k" * 300)),
    Bad("idempotency_key empty", 400, "idempotency_key", event(idempotency_key="")),
    Bad("idempotency_key control", 400, "idempotency_key", event(idempotency_key="\t")),
    Bad(
        "two keys",
        400,
        "Idempotency-Key and idempotency_key must be equal",
        event(idempotency_key="a"),
        headers={"Idempotency_Key": "b"},
    ),
    Bad("header key of 300", 400, "Idempotency-Key", GOOD, headers={"Idempotency_Key": "k" * 300}),
    Bad("another customer", 403, "customer_id", event(customer_id="other")),
    Bad("another customer in the query", 403, "customer_id", GOOD, "/v1/meter?customer_id=other"),
    Bad(
        "customer differs",
        400,
        "customer_id must be the same in the body and in the query",
        event(customer_id="acme-corp"),
        "/v1/meter?customer_id=other",
    ),
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
    Bad("wrong path", 404, "this path does not exist", GOOD, "/v1/metre"),
]

BATCHES = [
    Bad("no events", 400, "events is required", {}, BATCH),
    Bad("empty events", 400, "events is required", batch(), BATCH),
    Bad("events an object", 400, "events must be a list", {"events": {}}, BATCH),
    Bad("1,001 events", 400, "events must have 1 to 1000 items, not 1001", batch(*[GOOD] * 1001), BATCH),
    Bad("1,001 wrong events", 400, "events must have 1 to 1000 items, not 1001", batch(*[{}] * 1000, 1), BATCH),
    Bad("unknown beside events", 400, "did you mean 'events'", {"evnts": []}, BATCH),
    Bad("another customer", 403, "customer_id", {"events": [GOOD], "customer_id": "other"}, BATCH),
    Bad("another customer's event", 403, "customer_id", batch(event(customer_id="other")), BATCH),
    Bad("body too large", 413, "larger", b" " * (8 << 20) + b"{}", BATCH),
    Bad("truncated", 400, "ends too early", b'{"events":[{"agent_id":"a"', BATCH),
    Bad("lone surrogate", 400, "surrogate", b'{"events":[{"agent_id":"\\ud800"}]}', BATCH),
    Bad("gzip bomb", 413, "larger", gzip.compress(b" " * (20 << 20)), BATCH, GZIP),
]


def clocked(now: int, slack: int = 0) -> list[Bad]:
    """Rows that depend on the gateway's clock: ``now`` in ms, and by how many ms at most it is ahead."""
    late, old = now + TIMESTAMP_AHEAD + 1 + slack, now - WINDOW - 1
    return [
        Bad("expires_at past", 400, "future", event(outcome="pending", expires_at=iso(now))),
        Bad("timestamp ahead", 400, "5 minutes", event(timestamp=iso(late))),
        Bad("timestamp too old", 400, "timestamp must be at most 35 days in the past", event(timestamp=iso(old))),
    ]


EVENT_VOID, OUTCOME_VOID = "/api/admin/events/1/void", "/api/admin/outcomes/oc_1/void"
ADMINS = [
    AdminBad("POST", EVENT_VOID, {}, "reason is required"),
    AdminBad("POST", EVENT_VOID, {"reason": ""}, "reason must have 1 to 1000"),
    AdminBad("POST", OUTCOME_VOID, {"reason": "x" * 1001}, "reason must have 1 to 1000"),
    AdminBad("POST", OUTCOME_VOID, {"reson": "x"}, "did you mean 'reason'"),
    AdminBad("POST", EVENT_VOID + "?customer_id=x", {"reason": "x"}, "unknown query parameter"),
    AdminBad("POST", KEYS, {}, "customer_id is required"),
    AdminBad("POST", KEYS, {"customer_id": "_x"}, "reserved"),
    AdminBad("POST", KEYS, {"customer_id": "x" * 300}, "customer_id"),
    AdminBad("POST", KEYS, {"customer_id": "x", "customer_nam": "y"}, "did you mean 'customer_name'"),
    AdminBad("POST", KEYS, {"customer_id": "x", "customer_name": "a\nb"}, "customer_name"),
    AdminBad("POST", KEYS, {"customer_id": "x", "signup": {}}, "signup.email"),
    AdminBad(
        "POST", KEYS, {"customer_id": "x", "signup": {"email": "a", "utm_source": "cafe\u0301"}}, "signup.utm_source"
    ),
    AdminBad("POST", KEYS, {"customer_id": "x", "signup": {"email": "a", "utm_medium": " b"}}, "signup.utm_medium"),
    AdminBad("POST", KEYS, {"customer_id": "x", "signup": {"email": "a", "utm_term": "b"}}, "utm_term"),
    AdminBad("POST", KEYS, {"customer_id": "x", "test": 1}, "test must be true or false"),
    AdminBad("POST", KEYS + "?x=1", {"customer_id": "x"}, "unknown query parameter"),
    AdminBad("POST", KEYS, b"{", "not valid JSON"),
    AdminBad("POST", PRICES, {"base_rate_cents": 1}, "action_type is required"),
    AdminBad("POST", PRICES, {"action_type": "outcome_charge"}, "reserved"),
    AdminBad("POST", PRICES, {"action_type": "a", "customer_id": "*"}, "reserved"),
    AdminBad(
        "POST", PRICES, b'{"action_type":"a","base_rate_cents":0.1234567890123}', "base_rate_cents must have at most 12"
    ),
    AdminBad("POST", PRICES, b'{"action_type":"a","token_rate_cents":-1}', "token_rate_cents"),
    AdminBad("POST", PRICES, b'{"action_type":"a","outcome_bonus_cents":1000000001}', "outcome_bonus_cents"),
    AdminBad("POST", PRICES, b'{"action_type":"a","base_rate_cents":NaN}', "not valid JSON"),
    AdminBad("POST", PRICES, b'{"action_type":"a","base_rate_cents":"NaN"}', "base_rate_cents"),
    AdminBad("POST", PRICES, b'{"action_type":"a","base_rate_cents":1e400}', "base_rate_cents"),
    AdminBad("POST", PRICES, {"action_type": "a", "effective_at": "2026-04-26T12:00:00Z"}, "effective_at must be in"),
    AdminBad("POST", PRICES, {"action_type": "a", "effective_at": "tomorrow"}, "effective_at must be an ISO 8601 time"),
    AdminBad(
        "POST", PRICES, {"action_type": "a", "effective_at": "2026-05-01T00:00:00"}, "effective_at must have a time"
    ),
    AdminBad("POST", PRICES, {"action_type": "a", "effective_at": 1}, "effective_at"),
    AdminBad("POST", PRICES, {"action_type": "a", "tiers": {"x": []}}, "tiers.x must have 1 to 32 steps"),
    AdminBad("POST", PRICES, {"action_type": "a", "tiers": {"x": [{"rate": 1}]}}, "tiers.x[0].up_to is required"),
    AdminBad("POST", PRICES, {"action_type": "a", "tiers": {"x": [{"up_to": None}]}}, "tiers.x[0].rate is required"),
    AdminBad(
        "POST", PRICES, {"action_type": "a", "tiers": {"x": [{"up_to": 5, "rate": 1}]}}, "tiers.x must end with a step"
    ),
    AdminBad(
        "POST", PRICES, {"action_type": "a", "tiers": {"x": [{"up_to": "1e9999", "rate": 1}]}}, "tiers.x[0].up_to must"
    ),
    AdminBad(
        "POST",
        PRICES,
        {"action_type": "a", "tiers": {"x": [{"up_to": 5, "rate": 1}, {"up_to": 5, "rate": 1}]}},
        "tiers.x must end",
    ),
    AdminBad(
        "POST",
        PRICES,
        {
            "action_type": "a",
            "tiers": {"x": [{"up_to": 5, "rate": 1}, {"up_to": 4, "rate": 1}, {"up_to": None, "rate": 1}]},
        },
        "tiers.x[1].up_to must be above 5",
    ),
    AdminBad(
        "POST",
        PRICES,
        b'{"action_type":"a","tiers":{"x":[{"up_to":null,"rate":0.1234567890123}]}}',
        "tiers.x[0].rate must",
    ),
    AdminBad(
        "POST", PRICES, {"action_type": "a", "tiers": {"x": [{"up_to": None, "rate": 1, "to": 2}]}}, "tiers.x[0]: "
    ),
    AdminBad("POST", PRICES, {"action_type": "a", "tier_mode": "steps"}, "tier_mode must be one of graduated"),
    AdminBad("POST", PRICES, {"action_type": "a", "tier_mode": "volume"}, "tier_mode must not be volume without tiers"),
    AdminBad(
        "POST",
        PRICES,
        {"action_type": "a", "tiers": {"x": [{"up_to": None, "rate": 1}]}, "tier_mode": "volume", "cap_cents": 1},
        "cap_cents must not be given together with tier_mode volume",
    ),
    AdminBad("POST", PRICES, {"action_type": "a", "cap_cents": -1}, "cap_cents must"),
    AdminBad("POST", PRICES, {"action_type": "a", "cap_cents": True}, "cap_cents must"),
    AdminBad("POST", PRICES, b'{"action_type":"a","minimum_cents":0.1234567890123}', "minimum_cents must"),
    AdminBad("POST", PRICES, {"action_type": "a", "minimum_cents": 10**12 + 1}, "minimum_cents must"),
    AdminBad(
        "POST",
        PRICES,
        {"action_type": "a", "minimum_cents": 2, "cap_cents": 1},
        "cap_cents must be at least minimum_cents",
    ),
    AdminBad(
        "POST",
        PRICES,
        {"action_type": "a", "rates": {"cap": 1}, "cap_cents": 1},
        "cap_cents must not be given together with a rate",
    ),
    AdminBad("POST", PRICES, {"action_type": "a", "tiers": 5}, "tiers must be a JSON object"),
    AdminBad("GET", PRICES + "?history=2", None, "history"),
    AdminBad("GET", PRICES + "?limit=0", None, "limit"),
    AdminBad("GET", KEYS + "?limit=1001", None, "limit"),
    AdminBad("GET", KEYS + "?cursor=x", None, "cursor"),
    AdminBad("GET", KEYS + "?cursor=bnVsbA", None, "cursor"),
    AdminBad("PATCH", CUSTOMERS + "/_x", {"name": "x"}, "reserved"),
    AdminBad("PATCH", CUSTOMERS + "/x", {"external_ids": {"a": 1}}, "external_ids"),
    AdminBad("PATCH", CUSTOMERS + "/x", {"external_ids": {"a": "\n"}}, "external_ids"),
]

CREDENTIALS = [
    "",
    "Bearer",
    "Bearer ",
    "Basic cmc6eA==",
    "Bearer sk_123",
    "Bearer rg_unknown",
    "rg_unknown",
    "Bearer rg_\u00e9",
]
"""Authorization headers without a known key."""
