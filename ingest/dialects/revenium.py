"""Revenium's metering: completions, images, audio, video, tool calls, events and API requests. Pure.

Token counts follow Revenium's own rule: for the providers in INCLUDED, whose models are not Claude, inputTokenCount
includes what was read from a cache; what was written to one is beside it. outputTokenCount includes reasoning. Prompts,
answers, error texts, e-mail addresses and the sender's own costs are not read.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ingest.dialects.dialect import (
    ClientResponse,
    Dialect,
    DialectRoute,
    Headers,
    MappedBody,
    MappedEvent,
    Recorded,
    bearer,
    decoded,
    without_prefix,
)
from ingest.dialects.properties import fields_of, object_of
from ingest.plain_names import is_plain
from ingest.problems import Invalid, Problem
from schemas.limits import MAX_NAME
from schemas.objects import iso

AGENT = "revenium"
"""The agent of a call that names none."""
API_ACTION = "api.request"
INCLUDED = frozenset({"openai", "groq", "xai", "azure", "gemini", "google"})
"""Providers whose input includes cached reads, by the first word of the name in lower case."""
NOT_INCLUDED = "claude"
"""Part of the name of models whose input never includes them, whoever runs the model."""
FAILED = "failed without token counts"
SKIPPED = "billing was skipped, says the sender"
HALF = "the request of the same transaction is counted"
_WORD = re.compile(r"[a-z]+")


class _Person(msgspec.Struct, rename="camel"):
    id: str | None = None


class _Call(msgspec.Struct, rename="camel"):
    """What all bodies have in common; what is not named is ignored."""

    transaction_id: str | None = None
    agent: str | None = None
    organization_name: str | None = None
    organization_id: str | None = None
    subscriber: _Person | None = None
    subscriber_id: str | None = None
    trace_id: str | None = None
    agentic_job_id: str | None = None
    product_name: str | None = None
    environment: str | None = None
    parent_transaction_id: str | None = None
    subscription_id: str | None = None


class AiCall(_Call, rename="camel"):
    """The body of a path below ai/."""

    model: str | None = None
    provider: str | None = None
    request_time: str | None = None
    task_type: str | None = None
    operation_type: str | None = None
    stop_reason: str | None = None
    error_code: int | None = None
    billing_skipped: bool | None = None
    skip_reason: str | None = None
    input_token_count: int | None = None
    output_token_count: int | None = None
    cache_read_token_count: int | None = None
    cache_creation_token_count: int | None = None
    reasoning_token_count: int | None = None
    requested_image_count: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    actual_image_count: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    duration_seconds: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ToolCall(_Call, rename="camel"):
    """The body of tool/events."""

    tool_id: str | None = None
    operation: str | None = None
    success: bool | None = None
    timestamp: str | None = None
    usage_metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class SourceEvent(_Call, rename="camel"):
    """The body of events and of apis/requests."""

    source_id: str | None = None
    source_type: str | None = None
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


KEPT = (
    "product_name",
    "environment",
    "parent_transaction_id",
    "subscription_id",
    "operation_type",
    "stop_reason",
    "operation",
)
"""Fields that are kept as metadata."""
_decode_ai = msgspec.json.Decoder(AiCall).decode
_decode_tool = msgspec.json.Decoder(ToolCall).decode
_decode_source = msgspec.json.Decoder(SourceEvent).decode
_encode = msgspec.json.Encoder().encode


def read_completion(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST ai/completions."""
    call: AiCall = decoded(body, _decode_ai, AiCall)
    tokens = _tokens(call)
    ignored = SKIPPED if _skipped(call) else FAILED if _failed(call) and not any(tokens.values()) else None
    return _mapped(headers, call, {**_ai_fields(call, "COMPLETION"), **tokens}, ignored)


def read_images(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST ai/images: the images that were made, else those that were asked for."""
    call: AiCall = decoded(body, _decode_ai, AiCall)
    made = call.actual_image_count if _given(call.actual_image_count) else call.requested_image_count
    return _media(headers, call, "IMAGE", "images", made)


def read_audio(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST ai/audio."""
    call: AiCall = decoded(body, _decode_ai, AiCall)
    return _media(headers, call, "AUDIO", "audio_seconds", call.duration_seconds)


def read_video(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST ai/video."""
    call: AiCall = decoded(body, _decode_ai, AiCall)
    return _media(headers, call, "VIDEO", "video_seconds", call.duration_seconds)


def read_tool(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST tool/events; whether the call succeeded is its outcome."""
    call: ToolCall = decoded(body, _decode_tool, ToolCall)
    if not call.tool_id:
        raise Invalid("toolId is required")
    fields = fields_of(object_of("usageMetadata", call.usage_metadata), "usageMetadata")
    fields["metadata"] = _metadata(call)
    fields["action"] = call.tool_id
    if call.timestamp is not None:
        fields["timestamp"] = call.timestamp
    if call.success is not None:
        fields["outcome"] = "success" if call.success else "failure"
    return _mapped(headers, call, fields)


def read_event(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST events; its action is the source."""
    event: SourceEvent = decoded(body, _decode_source, SourceEvent)
    action = event.source_id or event.source_type
    if not action:
        raise Invalid("sourceType is required")
    return _mapped(headers, event, {**fields_of(object_of("payload", event.payload), "payload"), "action": action})


def read_api_request(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST apis/requests."""
    event: SourceEvent = decoded(body, _decode_source, SourceEvent)
    return _mapped(headers, event, {"agent_id": event.source_id or AGENT, "action": API_ACTION})


def read_api_response(headers: Headers, body: bytes) -> MappedBody:
    """Return no event: apis/responses is the other half of a request that is counted already."""
    event: SourceEvent = decoded(body, _decode_source, SourceEvent)
    return _mapped(headers, event, {}, HALF)


def _ai_fields(call: AiCall, action: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "action": call.task_type or call.operation_type or action,
        "metadata": _metadata(call),
    }
    for name, value in (
        ("model", call.model),
        ("provider", call.provider and call.provider.lower()),
        ("timestamp", call.request_time),
    ):
        if value:
            fields[name] = value
    return fields


def _media(headers: Headers, call: AiCall, action: str, quantity: str, count: Any) -> MappedBody:
    fields = {**_ai_fields(call, action), **_tokens(call)}
    if _given(count):
        fields["quantities"] = {quantity: count}
    ignored = SKIPPED if _skipped(call) else FAILED if _failed(call) else None
    return _mapped(headers, call, fields, ignored)


def _mapped(headers: Headers, call: _Call, fields: dict[str, Any], ignored: str | None = None) -> MappedBody:
    if not call.transaction_id:
        raise Invalid("transactionId is required")
    fields = {
        "agent_id": AGENT,
        **fields,
        "idempotency_key": headers.get("Idempotency-Key") or call.transaction_id,
    }
    for name, value in (
        ("agent_id", call.agent),
        ("customer_id", call.organization_name or call.organization_id),
        ("trace_id", call.trace_id),
        ("task_id", call.agentic_job_id),
    ):
        if value:
            fields[name] = value
    person = call.subscriber_id or (call.subscriber and call.subscriber.id) or None
    transaction = call.transaction_id

    def respond(recorded: Recorded) -> ClientResponse:
        shown = {
            "id": transaction,
            "label": transaction,
            "resourceType": "metering",
            "signature": "",
            "created": iso(recorded.now),
        }
        return ClientResponse(201, _encode(shown))

    return MappedBody([] if ignored else [MappedEvent(fields, person)], respond, {ignored: 1} if ignored else {})


def _tokens(call: AiCall) -> dict[str, int]:
    """Return the token kinds of a call, disjoint. Raises Invalid for a part that is larger than its whole."""
    given = {
        "tokens_input": call.input_token_count,
        "tokens_output": call.output_token_count,
        "tokens_cache_read": call.cache_read_token_count or None,
        "tokens_cache_write": call.cache_creation_token_count or None,
        "tokens_reasoning": call.reasoning_token_count or None,
    }
    found = {name: count for name, count in given.items() if count is not None}
    if includes_cached(call.provider, call.model) and "tokens_cache_read" in found:
        _take_out(found, "tokens_input", "tokens_cache_read", "cacheReadTokenCount must be at most inputTokenCount")
    if "tokens_reasoning" in found:
        _take_out(found, "tokens_output", "tokens_reasoning", "reasoningTokenCount must be at most outputTokenCount")
    return found


def includes_cached(provider: str | None, model: str | None) -> bool:
    """True if a provider's inputTokenCount includes what was read from a cache."""
    word = _WORD.search((provider or "").lower())
    return word is not None and word[0] in INCLUDED and NOT_INCLUDED not in (model or "").lower()


def _take_out(found: dict[str, int], whole: str, part: str, error: str) -> None:
    if found[part] > found.get(whole, 0):
        raise Invalid(f"{error}, which includes it")
    found[whole] -= found[part]


def _failed(call: AiCall) -> bool:
    return call.error_code is not None or call.stop_reason == "ERROR"


def _skipped(call: AiCall) -> bool:
    return bool(call.billing_skipped) or call.skip_reason is not None


def _given(value: Any) -> bool:
    return value is not msgspec.UNSET and bytes(value) != b"null"


def _metadata(call: _Call) -> Mapping[str, str]:
    found = {}
    for name in KEPT:
        value = getattr(call, name, None)
        if isinstance(value, str) and 0 < len(value) <= MAX_NAME and is_plain(value):
            found[name] = value
    return found


def _secret(headers: Headers) -> str | None:
    return without_prefix(headers.get("x-api-key") or bearer(headers))


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return Revenium's error. Its clients repeat every 409 unless they are told not to; this conflict stays one."""
    code = "idempotency_key_mismatch" if problem.status == 409 else problem.code
    shown = {"status": problem.status, "error": code, "message": problem.error}
    again = "true" if problem.status in (429, 503) else "false"
    return ClientResponse(problem.status, _encode(shown), headers={"x-should-retry": again})


_CREATED = (201,)
REVENIUM = Dialect(
    name="revenium",
    product="Revenium (metering)",
    set_up="REVENIUM_METERING_BASE_URL={url} REVENIUM_METERING_API_KEY=rev_rg_…",
    key_header="x-api-key: rev_rg_…",
    secret=_secret,
    refusal=_refusal,
    routes=tuple(
        DialectRoute(f"/meter/v2/{path}", summary, read, statuses=_CREATED)
        for path, summary, read in (
            ("ai/completions", "Record a completion that a Revenium client sends.", read_completion),
            ("ai/images", "Record images that a Revenium client sends.", read_images),
            ("ai/audio", "Record audio that a Revenium client sends.", read_audio),
            ("ai/video", "Record a video that a Revenium client sends.", read_video),
            ("tool/events", "Record a tool call that a Revenium client sends.", read_tool),
            ("events", "Record an event that a Revenium client sends.", read_event),
            ("apis/requests", "Record an API request that a Revenium client sends.", read_api_request),
            ("apis/responses", "Accept the response to an API request; the request counts.", read_api_response),
        )
    ),
    names={
        "agent_id": "agent",
        "action": "taskType",
        "customer_id": "organizationName",
        "timestamp": "requestTime",
        "idempotency_key": "transactionId",
        "trace_id": "traceId",
        "task_id": "agenticJobId",
        "tokens_input": "inputTokenCount",
        "tokens_output": "outputTokenCount",
        "tokens_cache_read": "cacheReadTokenCount",
        "tokens_cache_write": "cacheCreationTokenCount",
        "tokens_reasoning": "reasoningTokenCount",
    },
)
