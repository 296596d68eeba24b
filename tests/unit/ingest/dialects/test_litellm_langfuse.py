"""LiteLLM's generic callback and Langfuse's SDKs: keys, formats, token rules, and what comes of refusals."""

import base64
import json
from typing import Any

import pytest
from multidict import CIMultiDict

from ingest.dialects.litellm import read
from tests.unit.ingest.conftest import Gateway
from tests.unit.ingest.dialects.golden import CAPTURES, PROTOBUF
from tests.unit.ingest.dialects.test_otlp import one

CALL = json.loads((CAPTURES / "litellm.json").read_bytes())[0]
EVENTS = "/litellm/events"


def fields(**changes: Any) -> dict[str, Any]:
    """The fields of the only call of a body."""
    (event,) = read(CIMultiDict(), json.dumps([{**CALL, **changes}]).encode()).events
    assert event.error is None, event.error
    found: dict[str, Any] = event.fields
    return found


def usage(**counts: Any) -> dict[str, Any]:
    found = fields(metadata={"usage_object": counts})
    return {name: count for name, count in found.items() if name.startswith("tokens_")}


def test_lines_are_calls_too() -> None:
    lines = b"\n".join(json.dumps({**CALL, "litellm_call_id": f"c{number}"}).encode() for number in range(3))
    found = read(CIMultiDict(), lines + b"\n").events
    assert [event.fields["idempotency_key"] for event in found] == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    ("call_type", "action"),
    [("acompletion", "completion"), ("embedding", "embedding"), ("anthropic_messages", "anthropic_messages")],
)
def test_the_action_is_the_kind_of_call(call_type: str, action: str) -> None:
    assert fields(call_type=call_type)["action"] == action


def test_token_kinds_are_disjoint() -> None:
    whole = {"prompt_tokens": 100, "completion_tokens": 10}
    assert usage(**whole) == {"tokens_input": 100, "tokens_output": 10}
    cached = usage(**whole, cache_read_input_tokens=60, cache_creation_input_tokens=30)
    assert cached == {"tokens_input": 10, "tokens_output": 10, "tokens_cache_read": 60, "tokens_cache_write": 30}
    beside = usage(**whole, cache_read_input_tokens=600)
    assert beside == {"tokens_input": 100, "tokens_output": 10, "tokens_cache_read": 600}


async def test_the_end_user_is_a_customer_with_a_platform_key_alone(gateway: Gateway, key: str) -> None:
    sent = [{**CALL, "metadata": {"usage_object": {"prompt_tokens": 5}}, "end_user": "user-7"}]
    assert (await gateway.call("POST", EVENTS, sent, key)).json == {"ingested": 1, "duplicates": 0}
    platform = await gateway.make_key("*")
    assert (await gateway.call("POST", EVENTS, sent, platform)).json == {"ingested": 1, "duplicates": 0}
    gateway.settle()
    assert sorted(row.customer_id for row in gateway.ledger.rows if row.kind == "event") == ["acme-corp", "user-7"]


async def test_one_bad_call_does_not_lose_the_others(gateway: Gateway, key: str) -> None:
    calls = [{**CALL, "litellm_call_id": "good"}, {**CALL, "litellm_call_id": None, "id": None}, {"x": 1}, 7]
    answer = (await gateway.call("POST", EVENTS, calls, key)).json
    assert (answer["ingested"], [error["index"] for error in answer["errors"]]) == (1, [1, 2, 3])
    assert answer["errors"][0]["error"] == "litellm_call_id is required"
    assert answer["errors"][2]["error"].startswith("the call must be")


@pytest.mark.parametrize("body", [b"", b"[", b"nonsense", b"[{]"])
async def test_what_is_no_list_records_nothing(gateway: Gateway, key: str, body: bytes) -> None:
    answer = await gateway.call("POST", EVENTS, body, key)
    assert answer.status in (200, 400)
    gateway.settle()
    assert not [row for row in gateway.ledger.rows if row.kind == "event"]


async def test_langfuse_sends_the_key_as_a_password(gateway: Gateway) -> None:
    await gateway.call("POST", "/api/admin/pricing", {"action_type": "*", "base_rate_cents": 1}, "the-admin-token")
    key = await gateway.make_key("acme-corp")
    body = (CAPTURES / "langfuse.bin").read_bytes()
    basic = base64.b64encode(f"pk-lf-rev:{key}".encode()).decode()
    for authorization, status in ((f"Basic {basic}", 200), ("Basic !", 401), ("Basic eDp5", 401)):
        headers = {**PROTOBUF, "Authorization": authorization}
        assert gateway.session is not None
        url = f"{gateway.url}/langfuse/api/public/otel/v1/traces"
        async with gateway.session.post(url, data=body, headers=headers) as response:
            assert response.status == status
    gateway.settle()
    assert len([row for row in gateway.ledger.rows if row.kind == "event"]) == 3


def details(**counts: int) -> dict[str, Any]:
    found = one(
        **{"langfuse.observation.type": "generation", "langfuse.observation.usage_details": json.dumps(counts)},
    )
    return {name: count for name, count in found.items() if name.startswith("tokens_")}


def test_details_are_disjoint_unless_their_total_says_otherwise() -> None:
    apart = details(input=86, input_cached_tokens=1920, output=108, output_reasoning_tokens=192, total=2306)
    within = details(input=2006, input_cached_tokens=1920, output=300, output_reasoning_tokens=192, total=2306)
    assert apart == within
    assert apart == {"tokens_input": 86, "tokens_output": 108, "tokens_cache_read": 1920, "tokens_reasoning": 192}
