"""LiteLLM's generic callback: a list of StandardLoggingPayload, as JSON or a line each. Pure.

A payload is an attempt at a call; ``litellm_call_id`` is its own. prompt_tokens include what was read from or written
to a cache, whatever the provider, and completion_tokens include reasoning. Messages and responses are not read.
"""

from collections import Counter
from http import HTTPStatus
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
    Refusals,
    bearer,
    decoded,
    each_of,
    renamed,
)
from ingest.dialects.moments import iso_text
from ingest.plain_names import is_plain
from ingest.problems import Invalid, Problem
from schemas.limits import MAX_NAME

AGENT = "litellm"
"""The agent of a call when neither its metadata nor its key names one."""
CALLS = frozenset(
    {
        *("completion", "text_completion", "responses", "embedding", "rerank", "moderation"),
        *("image_generation", "image_edit", "transcription", "speech"),
    }
)
"""Kinds of calls; LiteLLM writes an ``a`` before those of its asynchronous functions."""
FAILED = "failed without token counts"


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Named(msgspec.Struct):
    """What the sender put into a request's metadata."""

    customer_id: str | None = None
    agent_id: str | None = None
    action: str | None = None


class _Metadata(msgspec.Struct):
    usage_object: _Usage | None = None
    requester_metadata: _Named | None = None
    spend_logs_metadata: _Named | None = None
    user_api_key_alias: str | None = None
    user_api_key_end_user_id: str | None = None


class LoggedCall(msgspec.Struct):
    """One payload; what is not named here is ignored."""

    id: str | None = None
    litellm_call_id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    call_type: str | None = None
    status: str | None = None
    custom_llm_provider: str | None = None
    model: str | None = None
    model_group: str | None = None
    endTime: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """Seconds with a fraction."""
    end_user: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    metadata: _Metadata | None = None


KEPT = ("id", "session_id", "model_group")
_decode_call = msgspec.json.Decoder(LoggedCall).decode
_decode_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(headers: Headers, body: bytes) -> MappedBody:
    """Return the calls of a body: a JSON array, or a payload in each line."""
    if body.lstrip()[:1] == b"[":
        raws = decoded(body, _decode_many, list)
    else:
        raws = [msgspec.Raw(line) for line in body.splitlines() if line.strip()]
        if not raws:
            raise Invalid("the body must be a list of calls")
    ignored: Counter[str] = Counter()

    def one(raw: msgspec.Raw) -> MappedEvent | None:
        call: LoggedCall = decoded(raw, _decode_call, LoggedCall)
        tokens = _tokens(call)
        if call.status == "failure" and not any(tokens.values()):
            ignored[FAILED] += 1
            return None
        return _event(call, tokens)

    return MappedBody(each_of(raws, one, "call"), _counts, ignored)


def _event(call: LoggedCall, tokens: dict[str, int]) -> MappedEvent:
    key = call.litellm_call_id or call.id
    if not key:
        raise Invalid("litellm_call_id is required")
    if not call.call_type:
        raise Invalid("call_type is required")
    metadata = call.metadata or _Metadata()
    named = [one for one in (metadata.requester_metadata, metadata.spend_logs_metadata) if one is not None]
    kind = call.call_type
    if kind[:1] == "a" and kind[1:] in CALLS:
        kind = kind[1:]
    fields: dict[str, Any] = {
        "agent_id": _first(named, "agent_id") or metadata.user_api_key_alias or AGENT,
        "action": _first(named, "action") or kind,
        "idempotency_key": key,
        **tokens,
    }
    for name, value in (
        ("customer_id", _first(named, "customer_id")),
        ("model", call.model),
        ("provider", call.custom_llm_provider),
        ("trace_id", call.trace_id),
    ):
        if value:
            fields[name] = value
    if call.endTime is not msgspec.UNSET and bytes(call.endTime) != b"null":
        fields["timestamp"] = iso_text("endTime", bytes(call.endTime).decode("utf-8", "replace").strip('"'))
    kept = {name: text for name in KEPT if (text := getattr(call, name)) and len(text) <= MAX_NAME and is_plain(text)}
    if kept:
        fields["metadata"] = kept
    return MappedEvent(fields, call.end_user or metadata.user_api_key_end_user_id)


def _first(named: list[_Named], name: str) -> str | None:
    return next((value for one in named if (value := getattr(one, name))), None)


def _tokens(call: LoggedCall) -> dict[str, int]:
    """Return the token kinds of a call, disjoint. A part that is larger than its whole is beside it."""
    usage = (call.metadata and call.metadata.usage_object) or _Usage()
    prompt, answer = usage.prompt_tokens_details or _Details(), usage.completion_tokens_details or _Details()
    given = {
        "tokens_input": call.prompt_tokens if usage.prompt_tokens is None else usage.prompt_tokens,
        "tokens_output": call.completion_tokens if usage.completion_tokens is None else usage.completion_tokens,
        "tokens_cache_read": usage.cache_read_input_tokens or prompt.cached_tokens or None,
        "tokens_cache_write": usage.cache_creation_input_tokens or prompt.cache_creation_tokens or None,
        "tokens_reasoning": answer.reasoning_tokens or None,
    }
    found = {name: count for name, count in given.items() if count is not None}
    for whole, parts in (
        ("tokens_input", ("tokens_cache_read", "tokens_cache_write")),
        ("tokens_output", ("tokens_reasoning",)),
    ):
        inside = sum(found.get(part, 0) for part in parts)
        if min(found.values(), default=0) >= 0 and inside <= found.get(whole, -1):
            found[whole] -= inside
    return found


def _counts(recorded: Recorded) -> ClientResponse:
    shown: dict[str, Any] = {"ingested": recorded.charged, "duplicates": recorded.replayed}
    if recorded.refused:
        shown["errors"] = [{"index": one.index, "error": renamed(one.error, NAMES)} for one in recorded.refused]
    return ClientResponse(200, _encode(shown))


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return the error. LiteLLM repeats 5xx alone, if it is told to repeat, so what may succeed later is a 503."""
    status = 503 if problem.status == 429 else problem.status
    shown = {"error": {"code": problem.code, "status": HTTPStatus(status).phrase, "message": problem.error}}
    return ClientResponse(status, _encode(shown))


NAMES = {
    "agent_id": "metadata.requester_metadata.agent_id",
    "action": "call_type",
    "customer_id": "metadata.requester_metadata.customer_id",
    "idempotency_key": "litellm_call_id",
    "provider": "custom_llm_provider",
    "timestamp": "endTime",
    "tokens_input": "prompt_tokens",
    "tokens_output": "completion_tokens",
}
LITELLM = Dialect(
    name="litellm",
    product="LiteLLM (generic callback)",
    set_up="GENERIC_LOGGER_ENDPOINT={url}/litellm/events GENERIC_LOGGER_HEADERS='Authorization=Bearer rg_…'",
    key_header="Authorization: Bearer rg_…",
    secret=bearer,
    refusal=_refusal,
    routes=(DialectRoute("/litellm/events", "Record the calls that LiteLLM's callback sends.", read, Refusals.EACH),),
    names=NAMES,
)
