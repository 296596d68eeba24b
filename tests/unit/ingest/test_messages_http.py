"""What a refusal says: the field that was meant, the limit that was broken, what to do instead."""

import gzip
import json
from typing import Any

import pytest

from ingest.hints import hint
from schemas.limits import DAY
from schemas.objects import iso

ADMIN = "the-admin-token"
EVENT = {"agent_id": "a", "action": "completion"}
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("tokens_input", "input_tokens prompt_tokens inputTokenCount promptTokenCount ContextTokens tokensInput"),
        ("tokens_output", "output_tokens completion_tokens outputTokenCount candidatesTokenCount GeneratedTokens"),
        ("tokens", "total_tokens totalTokenCount totalTokens token_count tokenz"),
        ("customer_id", "customer customerId user_id userId subject external_customer_id tenant-id organizationName"),
        ("agent_id", "agent agentId agent_name agentid AGENT_ID"),
        ("action", "event event_type eventName type operation action_type code Action"),
        ("timestamp", "time ts created_at occurredAt event_time requestTime date"),
        ("metadata", "properties data attributes meta tags meta_data"),
        ("idempotency_key", "id transaction_id transactionId event_id idempotencyKey Idempotency-Key"),
        ("trace_id", "traceId trace trace-id"),
        ("model", "model_name modelId"),
        ("provider", "vendor gen_ai_system system"),
        ("expires_at", "expiresAt expires deadline"),
    ],
)
async def test_the_field_that_was_meant_is_named(gateway: Any, key: str, field: str, names: str) -> None:
    """Names of providers and of other meters, and our own in another spelling; nothing is recorded."""
    for name in names.replace("gen_ai_system", "").split():
        answer = await gateway.call("POST", "/v1/meter", {**EVENT, name: 1}, key)
        assert answer.status == 400
        assert answer.json["error"] == f"unknown field {name!r}; did you mean {field!r}?"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cache_read_input_tokens", "'tokens_cache_read'? Leave these tokens out of tokens_input"),
        ("cached_tokens", "'tokens_cache_read'? Leave these tokens out of tokens_input"),
        ("cacheCreationTokenCount", "'tokens_cache_write'? Leave these tokens out of tokens_input"),
        ("reasoning_tokens", "'tokens_reasoning'? Leave these tokens out of tokens_output"),
        ("usageMetadata", "'usage'?"),
    ],
)
async def test_a_providers_count_says_where_it_belongs(gateway: Any, key: str, name: str, says: str) -> None:
    """Cached and reasoning tokens that are in another count too would be charged twice; the hint says so."""
    error = (await gateway.call("POST", "/v1/meter", {**EVENT, name: 1}, key)).json["error"]
    assert error.startswith(f"unknown field {name!r}; did you mean {says}")


def test_a_hint_is_of_the_body_at_hand() -> None:
    """No body is told a field that it does not have."""
    assert hint("prompt_tokens", ("url", "events")) == ""
    assert hint("cached_tokens", ("url", "events")) == ""
    assert hint("event_types", ("url", "events")) == "; did you mean 'events'?"


@pytest.mark.parametrize(
    ("method", "path", "body", "limit"),
    [
        ("POST", "/v1/meter", {**EVENT, "agent_id": "x" * 257}, "256"),
        ("POST", "/v1/meter", {**EVENT, "model": ""}, "256"),
        ("POST", "/v1/meter", {**EVENT, "metadata": {"x": "y" * 20_000}}, "16384"),
        ("POST", "/v1/webhooks", {"url": "https://example.com/" + "x" * 3000, "events": ["*"]}, "2048"),
        ("POST", "/v1/events/lookup", {"idempotency_keys": ["x" * 257]}, "256"),
        ("POST", "/v1/events/lookup", {"idempotency_keys": [""]}, "256"),
        ("POST", "/v1/meter/batch", {"events": [EVENT], "import_id": "x" * 65}, "64"),
        ("POST", "/api/admin/events/1/void", {"reason": "x" * 1001}, "1000"),
        ("POST", "/api/admin/events/1/void", {"reason": ""}, "1000"),
        ("POST", "/api/admin/api-keys", {"customer_id": "x" * 257}, "256"),
        ("PATCH", "/api/admin/customers/acme-corp", {"external_ids": {"x" * 257: "y"}}, "256"),
    ],
)
async def test_a_length_names_its_own_limit(
    gateway: Any, key: str, method: str, path: str, body: Any, limit: str
) -> None:
    """And no other field's."""
    answer = await gateway.call(method, path, body, ADMIN if path.startswith("/api") else key)
    assert answer.status == 400
    numbers = {"256", "16384", "2048", "64", "1000"} & set(answer.json["error"].replace(",", " ").split())
    assert numbers == {limit}, answer.text


@pytest.mark.parametrize("packed", [False, True])
async def test_a_byte_order_mark_is_no_part_of_a_body(gateway: Any, key: str, packed: bool) -> None:
    """As .NET and PowerShell write JSON, gzipped or not, one event or many."""
    for path, body in (("/v1/meter", EVENT), ("/v1/meter/batch", {"events": [EVENT]})):
        sent = MARK + json.dumps(body).encode()
        headers = {"Content_Encoding": "gzip"} if packed else {}
        answer = await gateway.call("POST", path, gzip.compress(sent) if packed else sent, key, **headers)
        assert answer.status == 201, answer.text


@pytest.mark.parametrize("offset", ["+24:00", "-24:00", "+99:99", "+2400", "+24", "+12:60"])
async def test_an_offset_that_is_none_is_said_to_be(gateway: Any, key: str, offset: str) -> None:
    """In whatever form."""
    answer = await gateway.call("POST", "/v1/meter", {**EVENT, "timestamp": f"2026-04-26T12:00:00{offset}"}, key)
    assert (answer.status, answer.json["error"]) == (
        400,
        f"timestamp must have an offset from -23:59 to +23:59, not {offset}",
    )


async def test_a_time_out_of_bounds_says_what_to_do(gateway: Any, key: str) -> None:
    """How far back is allowed and where an older time belongs; of one ahead, what time it is here."""
    old = await gateway.call("POST", "/v1/meter", {**EVENT, "timestamp": iso(gateway.now - 36 * DAY)}, key)
    assert old.json["error"] == (
        "timestamp must be at most 35 days in the past; leave it out to count the event when it is accepted, and keep"
        " the time in metadata"
    )
    ahead = await gateway.call("POST", "/v1/meter", {**EVENT, "timestamp": iso(gateway.now + DAY)}, key)
    assert ahead.json["error"] == (
        "timestamp must be at most 5 minutes in the future; the gateway's time is 2026-04-26T12:00:00.000Z"
    )
