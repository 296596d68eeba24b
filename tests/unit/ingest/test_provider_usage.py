"""Usage objects as the providers document them, each bucket added up by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.problems import Invalid
from ingest.provider_usage import BUCKETS, PROVIDERS, SHAPES, SPELLINGS, UsageShape, quantities_of
from schemas.limits import MAX_TOKENS

CHAT = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 192,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
CHAT_BUCKETS = {"input": 86, "cache_read": 1920, "output": 108, "reasoning": 192}
CLAUDE = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 1400,
    "cache_read_input_tokens": 188086,
    "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 400},
    "output_tokens": 393,
    "output_tokens_details": {"thinking_tokens": 90},
    "server_tool_use": {"web_search_requests": 0},
    "service_tier": "standard",
    "inference_geo": None,
}
CLAUDE_BUCKETS = {"input": 21, "cache_read": 188086, "cache_write": 1400, "output": 303, "reasoning": 90}
GROK = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
    "completion_tokens_details": {
        "reasoning_tokens": 94,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
    "num_sources_used": 0,
    "cost_in_usd_ticks": 37756000,
}
GROK_BUCKETS = {"input": 26, "cache_read": 6, "output": 9, "reasoning": 94}
GEMINI = {
    "promptTokenCount": 4583,
    "cachedContentTokenCount": 2047,
    "candidatesTokenCount": 325,
    "thoughtsTokenCount": 874,
    "toolUsePromptTokenCount": 1829,
    "totalTokenCount": 7611,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2777}, {"modality": "IMAGE", "tokenCount": 1806}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 2047}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 325}],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 1829}],
    "trafficType": "ON_DEMAND",
}
GEMINI_BUCKETS = {"input": 4365, "cache_read": 2047, "output": 325, "reasoning": 874}


class Good(NamedTuple):
    """A usage object of a provider and the buckets that it means; ``alone``: so it does without the provider."""

    name: str
    provider: str
    usage: dict[str, Any]
    buckets: dict[str, int]
    alone: bool = True


GOOD = [
    Good("chat completion", "openai", CHAT, CHAT_BUCKETS),
    Good(
        "chat completion with audio and predictions",
        "openai",
        {
            "prompt_tokens": 120,
            "completion_tokens": 80,
            "total_tokens": 200,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 95},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 40,
                "accepted_prediction_tokens": 12,
                "rejected_prediction_tokens": 20,
            },
        },
        {"input": 120, "output": 80},
    ),
    Good(
        "chat completion of GPT-5.6, which bills writes",
        "openai",
        {
            "prompt_tokens": 2600,
            "completion_tokens": 300,
            "total_tokens": 2900,
            "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
        },
        {"input": 200, "cache_read": 2000, "cache_write": 400, "output": 300},
    ),
    Good(
        "chat completion whose details are null",
        "openai",
        {
            "prompt_tokens": 9,
            "completion_tokens": 12,
            "total_tokens": 21,
            "prompt_tokens_details": None,
            "completion_tokens_details": {"reasoning_tokens": None},
        },
        {"input": 9, "output": 12},
    ),
    Good("legacy completion", "openai", {"prompt_tokens": 5, "completion_tokens": 7}, {"input": 5, "output": 7}),
    Good("embeddings", "openai", {"prompt_tokens": 8, "total_tokens": 8}, {"input": 8}),
    Good("no tokens", "openai", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {}),
    Good(
        "response",
        "openai",
        {
            "input_tokens": 12033,
            "input_tokens_details": {"cached_tokens": 11904, "cache_write_tokens": 100},
            "output_tokens": 444,
            "output_tokens_details": {"reasoning_tokens": 320},
            "total_tokens": 12477,
        },
        {"input": 29, "cache_read": 11904, "cache_write": 100, "output": 124, "reasoning": 320},
    ),
    Good(
        "realtime response",
        "openai",
        {
            "total_tokens": 253,
            "input_tokens": 132,
            "output_tokens": 121,
            "input_token_details": {
                "text_tokens": 119,
                "audio_tokens": 13,
                "image_tokens": 0,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        },
        {"input": 68, "cache_read": 64, "output": 121},
    ),
    Good("chat completion of Azure", "Azure.AI.OpenAI", CHAT, CHAT_BUCKETS),
    Good("Grok on Azure", "azure", GROK, GROK_BUCKETS),
    Good("message", "anthropic", CLAUDE, CLAUDE_BUCKETS),
    Good(
        "message without details", "anthropic", {"input_tokens": 10, "output_tokens": 25}, {"input": 10, "output": 25}
    ),
    Good(
        "message without cache",
        "anthropic",
        {
            "input_tokens": 10,
            "output_tokens": 25,
            "cache_creation_input_tokens": None,
            "cache_read_input_tokens": None,
            "server_tool_use": None,
        },
        {"input": 10, "output": 25},
    ),
    Good("message on Bedrock", "bedrock", CLAUDE, CLAUDE_BUCKETS),
    Good("message on Vertex AI", "google_vertex", CLAUDE, CLAUDE_BUCKETS),
    Good("generated content", "google", GEMINI, GEMINI_BUCKETS),
    Good(
        "generated content without an answer",
        "gemini",
        {"promptTokenCount": 21, "thoughtsTokenCount": 60, "totalTokenCount": 81},
        {"input": 21, "reasoning": 60},
    ),
    Good(
        "Gemini Live",
        "vertex_ai",
        {"promptTokenCount": 30, "responseTokenCount": 12, "totalTokenCount": 42},
        {"input": 30, "output": 12},
    ),
    Good(
        "generated content as Python prints it",
        "google",
        {
            "cache_tokens_details": [{"modality": "TEXT", "token_count": 7}],
            "cached_content_token_count": 7,
            "candidates_token_count": 198,
            "candidates_tokens_details": None,
            "prompt_token_count": 20,
            "prompt_tokens_details": [{"modality": "TEXT", "token_count": 20}],
            "thoughts_token_count": 405,
            "tool_use_prompt_token_count": None,
            "tool_use_prompt_tokens_details": None,
            "total_token_count": 623,
            "traffic_type": None,
        },
        {"input": 13, "cache_read": 7, "output": 198, "reasoning": 405},
    ),
    Good(
        "Converse",
        "bedrock",
        {
            "inputTokens": 11,
            "outputTokens": 281,
            "totalTokens": 2692,
            "cacheReadInputTokens": 2000,
            "cacheReadInputTokenCount": 2000,
            "cacheWriteInputTokens": 400,
            "cacheWriteInputTokenCount": 400,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 300}, {"ttl": "5m", "inputTokens": 100}],
        },
        {"input": 11, "cache_read": 2000, "cache_write": 400, "output": 281},
    ),
    Good(
        "Nova, invoked",
        "bedrock",
        {
            "inputTokens": 4,
            "outputTokens": 38,
            "totalTokens": 50,
            "cacheReadInputTokenCount": 8,
            "cacheWriteInputTokenCount": 0,
        },
        {"input": 4, "cache_read": 8, "output": 38},
    ),
    Good(
        "Converse without cache",
        "aws.bedrock",
        {"inputTokens": 4, "outputTokens": 38, "totalTokens": 42, "serverToolUsage": {}},
        {"input": 4, "output": 38},
    ),
    Good(
        "Mistral",
        "mistral",
        {
            "prompt_tokens": 1013,
            "total_tokens": 1043,
            "completion_tokens": 30,
            "num_cached_tokens": 1008,
            "prompt_token_details": {"cached_tokens": 1008},
            "prompt_tokens_details": {"cached_tokens": 1008},
            "prompt_audio_seconds": None,
        },
        {"input": 5, "cache_read": 1008, "output": 30},
    ),
    Good(
        "Groq",
        "groq",
        {
            "queue_time": 0.026959759,
            "prompt_tokens": 4641,
            "prompt_time": 0.009995497,
            "completion_tokens": 1817,
            "completion_time": 5.57691751,
            "total_tokens": 6458,
            "total_time": 5.586913007,
            "prompt_tokens_details": {"cached_tokens": 4608},
            "completion_tokens_details": {"reasoning_tokens": 1500},
        },
        {"input": 33, "cache_read": 4608, "output": 317, "reasoning": 1500},
    ),
    Good("Grok", "xai", GROK, GROK_BUCKETS),
    Good("Grok without a total", "xai", {**GROK, "total_tokens": None}, GROK_BUCKETS),
    Good(
        "Grok that could be OpenAI's",
        "xai",
        {"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}},
        {"input": 32, "output": 9, "reasoning": 4},
        alone=False,
    ),
    Good(
        "response of Grok",
        "xai",
        {
            "input_tokens": 125,
            "output_tokens": 48,
            "total_tokens": 173,
            "input_tokens_details": {"cached_tokens": 98},
            "output_tokens_details": {"reasoning_tokens": 40},
        },
        {"input": 27, "cache_read": 98, "output": 8, "reasoning": 40},
    ),
    Good(
        "DeepSeek",
        "deepseek",
        {
            "prompt_tokens": 1210,
            "completion_tokens": 811,
            "total_tokens": 2021,
            "prompt_tokens_details": {"cached_tokens": 1152},
            "completion_tokens_details": {"reasoning_tokens": 511},
            "prompt_cache_hit_tokens": 1152,
            "prompt_cache_miss_tokens": 58,
        },
        {"input": 58, "cache_read": 1152, "output": 300, "reasoning": 511},
    ),
    Good(
        "DeepSeek of before",
        "deepseek",
        {
            "prompt_tokens": 10,
            "completion_tokens": 11,
            "total_tokens": 21,
            "prompt_cache_hit_tokens": 4,
            "prompt_cache_miss_tokens": 6,
        },
        {"input": 6, "cache_read": 4, "output": 11},
    ),
    Good(
        "Cohere",
        "cohere",
        {
            "billed_units": {"input_tokens": 6772, "output_tokens": 248},
            "tokens": {"input_tokens": 7596, "output_tokens": 645},
            "cached_tokens": 512,
        },
        {"input": 6772, "output": 248},
    ),
    Good(
        "embeddings of Cohere",
        "cohere",
        {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 9}},
        {"input": 9},
    ),
    Good(
        "OpenRouter, whose label is unknown",
        "openrouter",
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "cost": 0.95,
            "is_byok": False,
            "cost_details": {"upstream_inference_cost": 19},
        },
        {"input": 194, "output": 2},
    ),
]


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_the_buckets_of_a_usage_object(good: Good) -> None:
    """With its provider, and without it where the object alone says what it means."""
    assert quantities_of(good.provider, good.usage) == good.buckets
    assert quantities_of(good.provider.upper(), good.usage) == good.buckets
    if good.alone:
        assert quantities_of(None, good.usage) == good.buckets
        assert quantities_of("a-proxy-of-ours", good.usage) == good.buckets
    else:
        with pytest.raises(Invalid):
            quantities_of(None, good.usage)


def test_a_usage_object_is_not_changed() -> None:
    before = json.dumps(CHAT)
    quantities_of("openai", CHAT)
    assert json.dumps(CHAT) == before


def chat(prompt: Any = 10, completion: Any = 5, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


class Refused(NamedTuple):
    """A usage object that is a 400, and how its message begins."""

    name: str
    provider: str | None
    usage: dict[str, Any]
    says: str


WHOLE = "usage.prompt_tokens must be an integer from 0 to 1000000000000, not "
UNCOUNTED = "; if it costs money, give it in quantities, and leave it out of usage"
REFUSED = [
    Refused("a text", "openai", chat("10"), f"{WHOLE}a string"),
    Refused("a boolean", "openai", chat(True), f"{WHOLE}true or false"),
    Refused("a fraction", "openai", chat(1.5), f"{WHOLE}a fraction"),
    Refused("a point", "openai", chat(10.0), f"{WHOLE}a fraction"),
    Refused("negative", "openai", chat(-1), WHOLE + "-1"),
    Refused("too large", None, chat(10**12 + 1), WHOLE + "1000000000001"),
    Refused("very large", None, chat(10**100), WHOLE + "1000000"),
    Refused("too large a sum", None, chat(10**12, 1), "usage must be at most 1000000000000 tokens, not 1000000000001"),
    Refused(
        "a text as total",
        "openai",
        chat(total_tokens="15"),
        "usage.total_tokens must be an integer from 0 to 1000000000000, not a string",
    ),
    Refused(
        "a nested text",
        "openai",
        chat(prompt_tokens_details={"cached_tokens": "4"}),
        "usage.prompt_tokens_details.cached_tokens must be an integer from 0 to 1000000000000, not a string",
    ),
    Refused(
        "cached above prompt",
        "openai",
        chat(prompt_tokens_details={"cached_tokens": 11}),
        "usage.prompt_tokens_details.cached_tokens must be at most usage.prompt_tokens, which includes it: 11 is"
        " above 10",
    ),
    Refused(
        "cached and written above prompt",
        "openai",
        chat(prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": 5}),
        "usage.prompt_tokens_details.cached_tokens and usage.prompt_tokens_details.cache_write_tokens must be at most"
        " usage.prompt_tokens together, which includes them",
    ),
    Refused(
        "audio above prompt",
        "openai",
        chat(prompt_tokens_details={"audio_tokens": 11}),
        "usage.prompt_tokens_details.audio_tokens must be at most usage.prompt_tokens, which includes it: 11 is"
        " above 10",
    ),
    Refused(
        "reasoning above completion",
        "groq",
        chat(completion_tokens_details={"reasoning_tokens": 6}),
        "usage.completion_tokens_details.reasoning_tokens must be at most usage.completion_tokens, which includes it:"
        " 6 is above 5",
    ),
    Refused(
        "thinking above output",
        "anthropic",
        {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}},
        "usage.output_tokens_details.thinking_tokens must be at most usage.output_tokens, which includes it: 3 is"
        " above 2",
    ),
    Refused(
        "cached above the prompt of Gemini",
        "google",
        {"promptTokenCount": 1, "cachedContentTokenCount": 2},
        "usage.cachedContentTokenCount must be at most usage.promptTokenCount, which includes it: 2 is above 1",
    ),
    Refused(
        "another total",
        "openai",
        chat(total_tokens=16),
        "usage.total_tokens is 16, but the tokens of OpenAI chat completions add up to 15",
    ),
    Refused(
        "reasoning of Grok as OpenAI's",
        "openai",
        {**GROK, "completion_tokens": 95, "total_tokens": 221},
        "usage.total_tokens is 221, but the tokens of OpenAI chat completions add up to 127",
    ),
    Refused(
        "Gemini in OpenAI's form, thoughts left out",
        "google",
        chat(20, 198, total_tokens=623),
        "usage.total_tokens is 623, but the tokens of OpenAI chat completions add up to 218",
    ),
    Refused(
        "another total of Gemini",
        "google",
        {**GEMINI, "totalTokenCount": 5782},
        "usage.totalTokenCount is 5782, but the tokens of Gemini usageMetadata add up to 7611",
    ),
    Refused(
        "Converse whose total leaves out the cache",
        "bedrock",
        {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 7, "totalTokens": 15},
        "usage.totalTokens is 15, but the tokens of Bedrock Converse add up to 22",
    ),
    Refused(
        "embeddings with another total",
        "openai",
        {"prompt_tokens": 8, "total_tokens": 9},
        "usage.total_tokens is 9, but the tokens of OpenAI embeddings add up to 8",
    ),
    Refused(
        "lifetimes that do not add up",
        "anthropic",
        {**CLAUDE, "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 399}},
        "usage.cache_creation_input_tokens is 1400, but usage.cache_creation.ephemeral_5m_input_tokens and"
        " usage.cache_creation.ephemeral_1h_input_tokens add up to 1399",
    ),
    Refused(
        "a lifetime without the whole",
        None,
        {"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 5}},
        "usage.cache_creation.ephemeral_5m_input_tokens must be at most usage.cache_creation_input_tokens, which"
        " includes it: 5 is above 0",
    ),
    Refused(
        "hits and misses that do not add up",
        "deepseek",
        chat(prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=5),
        "usage.prompt_tokens is 10, but usage.prompt_tokens_details.cached_tokens and usage.prompt_cache_miss_tokens"
        " add up to 9",
    ),
    Refused(
        "two spellings that differ",
        "mistral",
        chat(num_cached_tokens=4, prompt_tokens_details={"cached_tokens": 5}),
        "usage.prompt_tokens_details.cached_tokens must equal the other spellings of"
        " usage.prompt_tokens_details.cached_tokens",
    ),
    Refused(
        "a number as details",
        "openai",
        chat(prompt_tokens_details=4),
        "usage.prompt_tokens_details must be a JSON object",
    ),
    Refused(
        "false as details",
        None,
        chat(prompt_tokens_details=False),
        "usage.prompt_tokens_details must be a JSON object",
    ),
    Refused(
        "a list as details",
        "openai",
        chat(prompt_tokens_details=[{"cached_tokens": 4}]),
        "usage.prompt_tokens_details.0.cached_tokens is no field of OpenAI chat completions that Rev counts"
        f"{UNCOUNTED}",
    ),
    Refused(
        "web searches",
        "anthropic",
        {**CLAUDE, "server_tool_use": {"web_search_requests": 3}},
        f"usage.server_tool_use.web_search_requests is no field of Anthropic Messages that Rev counts{UNCOUNTED}",
    ),
    Refused(
        "web searches without a provider",
        None,
        {**CLAUDE, "server_tool_use": {"web_search_requests": 3}},
        f"usage.server_tool_use.web_search_requests is no field of Anthropic Messages that Rev counts{UNCOUNTED}",
    ),
    Refused(
        "an iteration that compacts",
        "anthropic",
        {**CLAUDE, "iterations": [{"type": "compaction", "input_tokens": 180000, "output_tokens": 3500}]},
        f"usage.iterations.0.input_tokens is no field of Anthropic Messages that Rev counts{UNCOUNTED}",
    ),
    Refused(
        "sources",
        "xai",
        {**GROK, "num_sources_used": 5},
        f"usage.num_sources_used is no field of xAI chat completions that Rev counts{UNCOUNTED}",
    ),
    Refused(
        "seconds of audio",
        "mistral",
        chat(prompt_audio_seconds=203),
        f"usage.prompt_audio_seconds is no field of Mistral chat completions that Rev counts{UNCOUNTED}",
    ),
    Refused(
        "searches",
        "cohere",
        {"billed_units": {"input_tokens": 1, "search_units": 0.5}},
        f"usage.billed_units.search_units is no field of Cohere billed_units that Rev counts{UNCOUNTED}",
    ),
    Refused(
        "a name with a point is not a path",
        "openai",
        chat(**{"prompt_tokens_details.cached_tokens": 4}),
        "usage.prompt_tokens_details.cached_tokens is no field of OpenAI chat completions that Rev counts",
    ),
    Refused(
        "cache of Anthropic as OpenAI's",
        "openai",
        {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 7},
        "usage.cache_read_input_tokens is no field of OpenAI Responses that Rev counts",
    ),
    Refused(
        "details of OpenAI as Anthropic's",
        "anthropic",
        {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 7}},
        "usage.input_tokens_details.cached_tokens is no field of Anthropic Messages that Rev counts",
    ),
    Refused(
        "nothing",
        "anthropic",
        {},
        "usage is no usage object of anthropic that Rev knows; expected input_tokens and output_tokens"
        " (Anthropic Messages)",
    ),
    Refused(
        "only null",
        "Cohere",
        {"billed_units": None},
        "usage is no usage object of Cohere that Rev knows; expected billed_units.input_tokens (Cohere billed_units);"
        " or prompt_tokens and completion_tokens (OpenAI chat completions)",
    ),
    Refused(
        "the end of a stream",
        "anthropic",
        {"output_tokens": 15},
        "usage is no usage object of anthropic that Rev knows; expected input_tokens and output_tokens",
    ),
    Refused(
        "another provider's",
        "anthropic",
        CHAT,
        "usage is no usage object of anthropic that Rev knows; expected input_tokens and output_tokens (Anthropic"
        " Messages). It looks like OpenAI chat completions, whose provider is 'openai'",
    ),
    Refused(
        "Gemini as OpenAI's",
        "openai",
        GEMINI,
        "usage is no usage object of openai that Rev knows; expected prompt_tokens and completion_tokens (OpenAI chat"
        " completions); or input_tokens and output_tokens (OpenAI Responses); or prompt_tokens and total_tokens (OpenAI"
        " embeddings). It looks like Gemini usageMetadata, whose provider is 'google'",
    ),
    Refused("the whole response", None, {"usage": CHAT}, "usage is no usage object that Rev knows; expected"),
    Refused(
        "reasoning without a total or a provider",
        None,
        chat(completion_tokens_details={"reasoning_tokens": 3}),
        "usage means something else for each provider: give 'openai' or 'xai' as provider",
    ),
    Refused(
        "reasoning without a total on a cloud that hosts both",
        "azure",
        chat(completion_tokens_details={"reasoning_tokens": 3}),
        "usage means something else for each provider: give 'openai' or 'xai' as provider",
    ),
]


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.name)
def test_a_refusal_names_the_field_or_what_was_expected(bad: Refused) -> None:
    with pytest.raises(Invalid) as refused:
        quantities_of(bad.provider, bad.usage)
    assert refused.value.status == 400
    assert refused.value.error.startswith(bad.says), refused.value.error
    assert len(refused.value.error) < 700


def test_an_unknown_shape_lists_every_shape() -> None:
    with pytest.raises(Invalid) as refused:
        quantities_of(None, {"tokens": 5})
    for needs in {shape.needs for shape in SHAPES}:
        assert " and ".join(needs) in refused.value.error


@pytest.mark.parametrize("value", [None, 0, 0.0, False, True, "", "3", {}, [], [0], {"a": {"b": None}}])
def test_an_unknown_field_without_a_number_is_ignored(value: Any) -> None:
    assert quantities_of("openai", {**CHAT, "new_field": value}) == CHAT_BUCKETS
    details = {**CHAT["prompt_tokens_details"], "new_field": value}
    assert quantities_of("openai", {**CHAT, "prompt_tokens_details": details}) == CHAT_BUCKETS


@pytest.mark.parametrize("value", [1, -1, 0.5, [0, 1], {"a": {"b": 2}}])
def test_an_unknown_field_with_a_number_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match=r"^usage\.new_field"):
        quantities_of("openai", {**CHAT, "new_field": value})


@pytest.mark.parametrize(
    ("label", "provider"),
    [
        ("OpenAI", "openai"),
        ("azure-openai", "azure"),
        ("Azure OpenAI", "azure"),
        ("vertex_ai", "google"),
        ("google.generative-ai", "google"),
        ("gcp.vertex_ai", "google"),
        ("Amazon Bedrock", "bedrock"),
        ("mistral_ai", "mistral"),
        ("x_ai", "xai"),
        ("xAI", "xai"),
        ("DeepSeek", "deepseek"),
    ],
)
def test_spellings_of_a_provider(label: str, provider: str) -> None:
    """A label that Rev knows is held to that provider's shapes."""
    expected = refusal(provider, {}).replace(f" of {provider} ", " of … ")
    assert refusal(label, {}).replace(f" of {label} ", " of … ") == expected
    assert "usage object of" in expected


def refusal(provider: str, usage: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as refused:
        quantities_of(provider, usage)
    return refused.value.error


class Buckets(NamedTuple):
    """Tokens by bucket, as a model for the properties."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int


def chat_of(of: Buckets) -> dict[str, Any]:
    return {
        "prompt_tokens": of.input + of.cache_read + of.cache_write,
        "completion_tokens": of.output + of.reasoning,
        "total_tokens": sum(of),
        "prompt_tokens_details": {"cached_tokens": of.cache_read, "cache_write_tokens": of.cache_write},
        "completion_tokens_details": {"reasoning_tokens": of.reasoning},
    }


def xai_of(of: Buckets) -> dict[str, Any]:
    return {
        "prompt_tokens": of.input + of.cache_read,
        "completion_tokens": of.output,
        "total_tokens": of.input + of.cache_read + of.output + of.reasoning,
        "prompt_tokens_details": {"cached_tokens": of.cache_read},
        "completion_tokens_details": {"reasoning_tokens": of.reasoning},
    }


def mistral_of(of: Buckets) -> dict[str, Any]:
    return {**chat_of(of._replace(cache_write=0)), "num_cached_tokens": of.cache_read}


def deepseek_of(of: Buckets) -> dict[str, Any]:
    hit = {"prompt_cache_hit_tokens": of.cache_read, "prompt_cache_miss_tokens": of.input}
    return {**chat_of(of._replace(cache_write=0)), **hit, "prompt_tokens_details": None}


def embeddings_of(of: Buckets) -> dict[str, Any]:
    return {"prompt_tokens": of.input, "total_tokens": of.input}


def responses_of(of: Buckets) -> dict[str, Any]:
    return {
        "input_tokens": of.input + of.cache_read + of.cache_write,
        "input_tokens_details": {"cached_tokens": of.cache_read, "cache_write_tokens": of.cache_write},
        "output_tokens": of.output + of.reasoning,
        "output_tokens_details": {"reasoning_tokens": of.reasoning},
        "total_tokens": sum(of),
    }


def anthropic_of(of: Buckets) -> dict[str, Any]:
    return {
        "input_tokens": of.input,
        "cache_read_input_tokens": of.cache_read,
        "cache_creation_input_tokens": of.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": of.cache_write // 3,
            "ephemeral_1h_input_tokens": of.cache_write - of.cache_write // 3,
        },
        "output_tokens": of.output + of.reasoning,
        "output_tokens_details": {"thinking_tokens": of.reasoning},
    }


def gemini_of(of: Buckets) -> dict[str, Any]:
    return {
        "promptTokenCount": of.input - of.input // 3 + of.cache_read,
        "toolUsePromptTokenCount": of.input // 3,
        "cachedContentTokenCount": of.cache_read,
        "candidatesTokenCount": of.output,
        "thoughtsTokenCount": of.reasoning,
        "totalTokenCount": sum(of) - of.cache_write,
    }


def gemini_python_of(of: Buckets) -> dict[str, Any]:
    return {
        "prompt_token_count": of.input + of.cache_read,
        "cached_content_token_count": of.cache_read,
        "candidates_token_count": of.output,
        "thoughts_token_count": of.reasoning,
        "total_token_count": sum(of) - of.cache_write,
    }


def converse_of(of: Buckets) -> dict[str, Any]:
    return {
        "inputTokens": of.input,
        "cacheReadInputTokens": of.cache_read,
        "cacheWriteInputTokens": of.cache_write,
        "outputTokens": of.output,
        "totalTokens": sum(of) - of.reasoning,
    }


def cohere_of(of: Buckets) -> dict[str, Any]:
    return {"billed_units": {"input_tokens": of.input, "output_tokens": of.output}}


class Model(NamedTuple):
    """How a shape says ``buckets``, and which of them it can say."""

    make: Callable[[Buckets], dict[str, Any]]
    buckets: tuple[str, ...]


CACHED_CHAT = ("input", "cache_read", "output", "reasoning")
MODELS = {
    "OpenAI chat completions": Model(chat_of, BUCKETS),
    "OpenAI Responses": Model(responses_of, BUCKETS),
    "OpenAI embeddings": Model(embeddings_of, ("input",)),
    "Anthropic Messages": Model(anthropic_of, BUCKETS),
    "Gemini usageMetadata": Model(gemini_of, CACHED_CHAT),
    "Gemini usage_metadata": Model(gemini_python_of, CACHED_CHAT),
    "Bedrock Converse": Model(converse_of, ("input", "cache_read", "cache_write", "output")),
    "Mistral chat completions": Model(mistral_of, CACHED_CHAT),
    "xAI chat completions": Model(xai_of, CACHED_CHAT),
    "DeepSeek chat completions": Model(deepseek_of, CACHED_CHAT),
    "Cohere billed_units": Model(cohere_of, ("input", "output")),
}
tokens = st.integers(0, 100) | st.integers(0, MAX_TOKENS // 5)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@each_shape
@given(of=st.builds(Buckets, tokens, tokens, tokens, tokens, tokens))
def test_what_a_provider_says_of_buckets_gives_those_buckets(shape: UsageShape, of: Buckets) -> None:
    """Each token is in one bucket: they are what the object was made of, and add up to the provider's total."""
    model = MODELS[shape.name]
    usage = model.make(of)
    wanted = {name: count for name, count in of._asdict().items() if name in model.buckets and count}
    assert quantities_of(shape.provider, usage) == wanted
    assert quantities_of(None, usage) == wanted
    if shape.total is not None:
        assert usage[shape.total] == sum(wanted.values())


@pytest.mark.parametrize("shape", [each for each in SHAPES if each.total], ids=lambda shape: shape.name)
@given(data=st.data(), of=st.builds(Buckets, tokens, tokens, tokens, tokens, tokens))
def test_a_wrong_total_is_refused(shape: UsageShape, data: st.DataObject, of: Buckets) -> None:
    """Counts that the provider's own total contradicts are never charged."""
    usage = MODELS[shape.name].make(of)
    wrong = data.draw(st.integers(0, MAX_TOKENS).filter(lambda total: total != usage[shape.total]))
    with pytest.raises(Invalid) as refused:
        quantities_of(shape.provider, {**usage, shape.total: wrong})
    assert refused.value.error.startswith(f"usage.{shape.total} is {wrong}, but ")


FIELDS = sorted({name for shape in SHAPES for path in shape.fields for name in path} | {"cost", "x"})
values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 20) | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.none() | st.sampled_from(sorted(PROVIDERS)) | st.text(max_size=5),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=8),
)
def test_any_object_is_quantities_or_invalid(provider: str | None, usage: dict[str, Any]) -> None:
    """No other exception, and never a quantity that is not a count of tokens."""
    try:
        quantities = quantities_of(provider, usage)
    except Invalid as refused:
        assert refused.error.startswith("usage")
    else:
        assert quantities.keys() <= set(BUCKETS)
        assert all(type(count) is int and count > 0 for count in quantities.values())
        assert sum(quantities.values()) <= MAX_TOKENS


@given(st.binary(max_size=60))
def test_any_decoded_json_object_is_quantities_or_invalid(body: bytes) -> None:
    try:
        usage = msgspec.json.decode(b'{"prompt_tokens": 1, "completion_tokens": 2, "x": ' + body + b"}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    try:
        assert quantities_of(None, usage) == {"input": 1, "output": 2}
    except Invalid as refused:
        assert refused.error.startswith("usage")


def test_a_deep_object_is_no_recursion() -> None:
    usage: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 2}
    inner = usage
    for _ in range(2000):
        inner["x"] = inner = {}
    assert quantities_of(None, usage) == {"input": 1, "output": 2}


def test_spellings_are_told_apart() -> None:
    spelled = [name for key, others in SPELLINGS.items() for name in (key, *others)]
    assert len(spelled) == len(set(spelled))
    assert SPELLINGS.keys() == PROVIDERS.keys()
    assert all(name == name.lower().replace("-", "_") for name in spelled)
    assert {shape.name for shapes in PROVIDERS.values() for shape in shapes} == {shape.name for shape in SHAPES}


@each_shape
def test_a_shape_is_well_formed(shape: UsageShape) -> None:
    """Every count is within one that has a bucket and is within nothing, so that one subtraction is enough."""
    fields = {count.field: count for count in shape.counts}
    assert len(fields) == len(shape.counts)
    assert set(shape.needs) <= {*fields, shape.total}
    assert {count.bucket for count in shape.counts} <= {None, *BUCKETS}
    for count in shape.counts:
        assert count.within is not None or count.bucket is not None
        if count.within is not None:
            assert fields[count.within].within is None and fields[count.within].bucket is not None


def section() -> str:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    return text[text.index("## Usage objects") : text.index("\n## Outcomes")]


def cell(shape: UsageShape, bucket: str) -> str:
    """How docs/api.md says what goes into a bucket."""
    parts = []
    for count in shape.counts:
        if count.bucket == bucket:
            split = any(inner.within == count.field and inner.bucket for inner in shape.counts)
            names = " or ".join(f"`{name}`" for name in (count.field, *count.also))
            parts.append(f"{'rest of ' if split else ''}{names}")
    return " + ".join(parts) or "–"


@each_shape
def test_the_document_shows_every_shape(shape: UsageShape) -> None:
    cells = [cell(shape, bucket) for bucket in BUCKETS]
    total = "–" if shape.total is None else f"`{shape.total}`"
    assert f"| {' | '.join([shape.name, *cells, total])} |" in section()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_document_shows_every_provider(provider: str) -> None:
    names = ", ".join(f"`{name}`" for name in (provider, *SPELLINGS[provider]))
    assert f"| {names} | {', '.join(shape.name for shape in PROVIDERS[provider])} |" in section()
