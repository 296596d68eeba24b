"""Revenium's token rules, its keys, and what is not counted or kept."""

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from ingest.dialects.revenium import FAILED, SKIPPED, read_completion
from ingest.problems import Invalid
from schemas.commands import Meter, decode
from tests.unit.ingest.dialects.golden import COMPLETION

PATH = "/meter/v2/ai/completions"
CALL = {"transactionId": "t", "model": "m", "provider": "OPENAI", "taskType": "chat"}


def completion(**more: Any) -> Any:
    return read_completion(CIMultiDict(), json.dumps({**CALL, **more}).encode())


def tokens(**more: Any) -> dict[str, int]:
    (event,) = completion(**more).events
    return {name.removeprefix("tokens_"): value for name, value in event.fields.items() if name.startswith("tokens_")}


def metered(gateway: Any) -> list[Meter]:
    return [command for value in gateway.log.values() if isinstance(command := decode(value), Meter)]


@pytest.mark.parametrize(
    ("provider", "model", "input"),
    [
        ("OPENAI", "gpt-4o", 40),
        ("OpenAI", "gpt-4o", 40),
        ("AZURE", "gpt-4o", 40),
        ("azure_openai", "gpt-4o", 40),
        ("GROQ", "llama", 40),
        ("XAI", "grok-4", 40),
        ("GEMINI", "gemini-2", 40),
        ("Google", "gemini-2", 40),
        ("ANTHROPIC", "claude-sonnet-4", 100),
        ("Google", "claude-sonnet-4", 100),
        ("AWS", "anthropic.claude", 100),
        ("Perplexity", "sonar", 100),
        (None, "m", 100),
    ],
)
def test_input_includes_cached_reads_by_provider(provider: str | None, model: str, input: int) -> None:
    found = tokens(
        provider=provider, model=model, inputTokenCount=100, cacheReadTokenCount=60, cacheCreationTokenCount=5
    )
    assert found == {"input": input, "cache_read": 60, "cache_write": 5}


def test_output_includes_reasoning() -> None:
    assert tokens(outputTokenCount=10, reasoningTokenCount=4) == {"output": 6, "reasoning": 4}
    assert tokens(outputTokenCount=10, reasoningTokenCount=0, inputTokenCount=0) == {"input": 0, "output": 10}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"inputTokenCount": 5, "cacheReadTokenCount": 6}, "cacheReadTokenCount must be at most inputTokenCount"),
        ({"outputTokenCount": 5, "reasoningTokenCount": 6}, "reasoningTokenCount must be at most outputTokenCount"),
        ({"inputTokenCount": "5"}, "inputTokenCount must be an integer"),
        ({"transactionId": None}, "transactionId is required"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        completion(**more)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"stopReason": "ERROR", "errorCode": 500}, FAILED),
        ({"errorCode": 429, "inputTokenCount": 0}, FAILED),
        ({"errorCode": 429, "inputTokenCount": 5}, None),
        ({"skipReason": "FREE_TIER", "inputTokenCount": 5}, SKIPPED),
    ],
)
def test_what_failed_without_tokens_or_was_skipped_is_not_counted(more: dict[str, Any], reason: str | None) -> None:
    mapped = completion(**more)
    assert len(mapped.events) == (reason is None)
    assert mapped.ignored == ({reason: 1} if reason else {})


async def test_keys_as_revenium_has_them(gateway: Any, key: str) -> None:
    """x-api-key, with the beginnings that its client requires; another header is a 401."""
    for number, secret in enumerate((key, f"rev_{key}", f"hak_{key}", f"rev_sk_{key}")):
        body = {**CALL, "transactionId": str(number)}
        answer = await gateway.call("POST", PATH, body, **{"x-api-key": secret})
        assert answer.status == 201, answer.text
    for headers in ({}, {"api-key": key}, {"x-api-key": "rev_nobody"}, {"x-api-key": "rev_rg_nobody"}):
        answer = await gateway.call("POST", PATH, CALL, **headers)
        assert (answer.status, answer.json["error"]) == (401, "unauthorized")
    assert len(metered(gateway)) == 4


async def test_a_repeat_is_charged_once_and_a_mismatch_is_not_to_be_repeated(gateway: Any, key: str) -> None:
    headers = {"x-api-key": f"rev_{key}", "Idempotency-Key": "k"}
    for _ in range(2):
        assert (await gateway.call("POST", PATH, CALL, **headers)).status == 201
    answer = await gateway.call("POST", PATH, {**CALL, "inputTokenCount": 5}, **headers)
    assert (answer.status, answer.json["error"]) == (409, "idempotency_key_mismatch")
    assert answer.headers["x-should-retry"] == "false" and "Retry-After" not in answer.headers
    gateway.settle()
    assert len([row for row in gateway.ledger.rows if row.kind == "event"]) == 1


async def test_prompts_and_personal_details_do_not_reach_the_log(gateway: Any, key: str) -> None:
    assert (await gateway.call("POST", PATH, COMPLETION, **{"x-api-key": f"rev_{key}"})).status == 201
    text = b"".join(gateway.log.values())
    assert b"chatcmpl-AAA111" in text and b"SECRET" not in text and b"example.com" not in text


async def test_a_subscriber_is_the_customer_with_a_platform_key_only(gateway: Any, key: str) -> None:
    platform = await gateway.make_key("*")
    body = {**CALL, "subscriber": {"id": "u-1"}}
    for secret in (key, platform):
        assert (await gateway.call("POST", PATH, body, **{"x-api-key": secret})).status == 201
    assert sorted(command.customer_id for command in metered(gateway)) == ["acme-corp", "u-1"]
    answer = await gateway.call("POST", PATH, {**CALL, "organizationName": "other"}, **{"x-api-key": key})
    assert (answer.status, answer.json["message"]) == (403, "organizationName must be the customer of this API key")
