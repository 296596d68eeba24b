"""Spans of the GenAI semantic conventions, old and new, and of OpenInference, as meter events. Pure.

Calls of models, embeddings and tools are counted; spans around them (agents, workflows, chains), which repeat the
tokens of what is within, are not. A failed call without token counts is not counted either.
"""

from collections import Counter
from typing import Any

import msgspec

from ingest.dialects.otlp_spans import Attributes, TraceSpan
from ingest.plain_names import is_plain
from schemas.limits import MAX_NAME
from schemas.objects import iso

AGENT = "otlp"
"""The agent of a span when neither it, nor its ancestors, nor its resource names one."""
DEPTH = 64
"""Ancestors of a span that are looked at."""

OPERATION = "gen_ai.operation.name"
KIND = "openinference.span.kind"
TRACELOOP = "traceloop.span.kind"
REQUEST_TYPE = "llm.request.type"
LANGFUSE = "langfuse.observation.type"
USAGE = "langfuse.observation.usage_details"
"""Counts by kind as a JSON object; kinds that are not named in it are not in the others."""
ACTION = "rev.action"
CHAT, EMBEDDINGS, TOOL = "chat", "embeddings", "execute_tool"
COUNTED = frozenset({CHAT, "text_completion", "generate_content", EMBEDDINGS, TOOL})
"""Operations that are counted also without tokens; another one is counted if it has any."""
AROUND = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "create_workflow", "plan"})
"""Operations that repeat the tokens of the calls within them."""
KINDS = {"LLM": CHAT, "EMBEDDING": EMBEDDINGS, "TOOL": TOOL}
"""The operations of OpenInference's span kinds; the other kinds are not counted."""
OBSERVATIONS = {"generation": CHAT, "embedding": EMBEDDINGS, "tool": TOOL}
"""The operations of Langfuse's types of observations; the other types are not counted."""
DETAILS = {
    "tokens_input": ("input", "input_tokens", "prompt_tokens"),
    "tokens_output": ("output", "output_tokens", "completion_tokens"),
    "tokens_cache_read": ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read"),
    "tokens_cache_write": ("cache_creation_input_tokens", "input_cache_creation"),
    "tokens_reasoning": ("output_reasoning_tokens", "reasoning_tokens", "output_reasoning"),
}
"""Langfuse's kinds of usage."""
REQUEST_TYPES = {"chat": CHAT, "completion": "text_completion", "embedding": EMBEDDINGS}

OF_TRACE = "langfuse.trace.metadata."
"""Attributes that begin so are JSON."""
AGENTS = ("rev.agent.id", "gen_ai.agent.id", "gen_ai.agent.name", "agent.name", f"{OF_TRACE}agent_id")
CUSTOMERS = ("rev.customer.id", "revenium.organization.name", "external_customer_id", f"{OF_TRACE}customer_id")
USERS = ("user.id", "enduser.id")
MODELS = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "embedding.model_name",
    "llm.request.model",
    "langfuse.observation.model.name",
)
PROVIDERS = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens")
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
KEPT = {
    "gen_ai.response.model": "response_model",
    "gen_ai.conversation.id": "conversation_id",
    "session.id": "session_id",
    "gen_ai.tool.name": "tool",
    "tool.name": "tool",
}
"""Attributes that are kept as metadata, under these names."""
SERVICE = "service.name"
WANTED = frozenset(
    {
        *(OPERATION, KIND, TRACELOOP, REQUEST_TYPE, ACTION, SERVICE, LANGFUSE, USAGE),
        *(*AGENTS, *CUSTOMERS, *USERS, *MODELS, *PROVIDERS),
        *(*INPUT, *OUTPUT, *CACHE_READ, *CACHE_WRITE, *REASONING, *KEPT),
    }
)
"""The attributes that are read; nothing else of a span is."""
SLOTS = {
    "agent_id": AGENTS,
    "customer_id": CUSTOMERS,
    "user": USERS,
    "model": MODELS,
    "provider": PROVIDERS,
    "tokens_input": INPUT,
    "tokens_output": OUTPUT,
    "tokens_cache_read": CACHE_READ,
    "tokens_cache_write": CACHE_WRITE,
    "tokens_reasoning": REASONING,
}
"""What a span says, each by the names that it may have, the first of which counts."""
_PLACES = {name: (slot, rank) for slot, names in SLOTS.items() for rank, name in enumerate(names)}
_COUNTS = ("tokens_input", "tokens_output", "tokens_cache_read", "tokens_cache_write", "tokens_reasoning")
_ALWAYS = ("tokens_input", "tokens_output")
"""Counts that are given also if they are 0."""
NO_CALL = "not a call of a model, an embedding or a tool"
FAILED = "failed without token counts"

Found = dict[str, Any]
_decode_counts = msgspec.json.Decoder(dict[str, Any]).decode


class SpanEvents:
    """The meter events of the spans of one request.

    ``ignored`` counts the spans that are not counted, by reason. Agent and customer of a span may be named by an
    ancestor, as long as that is in the same request.
    """

    def __init__(self, spans: list[TraceSpan]) -> None:
        self.ignored: Counter[str] = Counter()
        self._spans = {(span.trace, span.id): span for span in spans}

    def fields(self, span: TraceSpan) -> tuple[Found, str | None] | None:
        """Return the fields of POST /v1/meter and the user, who may stand in for a customer; None if not counted."""
        said = _said(span.attributes)
        tokens = _tokens(said) or _details(span.attributes.get(USAGE))
        operation = operation_of(span, said, bool(tokens))
        if operation is None:
            self.ignored[NO_CALL] += 1
            return None
        if span.failed and not any(tokens.values()):
            self.ignored[FAILED] += 1
            return None
        agent, customer, user = (
            said[slot] if slot in said else self._around(span, slot) for slot in ("agent_id", "customer_id", "user")
        )
        if customer is None:
            customer = _first(span.resource, CUSTOMERS)
        fields: Found = {
            "agent_id": str(agent or span.resource.get(SERVICE) or AGENT),
            "action": str(span.attributes.get(ACTION) or operation),
            "idempotency_key": f"{span.trace}:{span.id}",
            "trace_id": span.trace,
            "metadata": {"span_id": span.id, **_kept(span)},
            **tokens,
        }
        if customer is not None:
            fields["customer_id"] = str(customer)
        if "model" in said:
            fields["model"] = str(said["model"])
        if "provider" in said:
            fields["provider"] = str(said["provider"])
        if span.ended:
            fields["timestamp"] = iso(span.ended // 1_000_000)
        # some senders have numbers as ids
        return fields, None if user is None else str(user)

    def _around(self, span: TraceSpan, slot: str) -> str | int | None:
        """Return what the span's nearest ancestor in the request says that says it."""
        at = span
        for _ in range(DEPTH):
            above = self._spans.get((at.trace, at.parent))
            if above is None:
                return None
            said = _said(above.attributes)
            if slot in said:
                found: str | int = said[slot]
                return found
            at = above
        return None


def operation_of(span: TraceSpan, said: Found, has_tokens: bool) -> str | None:
    """Return the operation of a span that is counted, in the words of the newest conventions; else None."""
    attributes = span.attributes
    kind = attributes.get(KIND)
    if kind is not None and kind not in KINDS:
        return None
    operation = attributes.get(OPERATION) or KINDS.get(str(kind))
    observation = attributes.get(LANGFUSE) if operation is None else None
    if observation is not None:
        return OBSERVATIONS.get(str(observation))
    if operation is None:
        around = attributes.get(TRACELOOP)
        if around is not None:
            return TOOL if around == "tool" else None
        request_type = attributes.get(REQUEST_TYPE)
        if request_type is not None:
            operation = REQUEST_TYPES.get(str(request_type), str(request_type))
        elif has_tokens and said.get("provider") and said.get("model"):
            # before gen_ai.operation.name there was only chat
            operation = CHAT
    if operation is None or operation in AROUND or not (operation in COUNTED or has_tokens):
        return None
    return str(operation)


def _said(attributes: Attributes) -> Found:
    """Return what the attributes say, by SLOTS; empty texts say nothing."""
    said: Found = {}
    ranks: dict[str, int] = {}
    for name, value in attributes.items():
        place = _PLACES.get(name)
        if place is not None and value != "":
            slot, rank = place
            if name.startswith(OF_TRACE):
                value = _plain(value)
            if rank <= ranks.get(slot, rank):
                said[slot], ranks[slot] = value, rank
    return said


def _tokens(said: Found) -> dict[str, int | str]:
    """Return the token kinds of a span, disjoint; empty without any count.

    By the conventions input includes what was read from or written to a cache, and output includes reasoning. A part
    that is larger than its whole shows that the sender counts it beside the whole.
    """
    given: dict[str, int | str] = {
        name: said[name] for name in _COUNTS if name in said and (said[name] != 0 or name in _ALWAYS)
    }
    for value in given.values():
        if isinstance(value, str) or value < 0:
            return given  # refused by its name
    _take_out(given, "tokens_input", ("tokens_cache_read", "tokens_cache_write"))
    _take_out(given, "tokens_output", ("tokens_reasoning",))
    return given


def _details(text: str | int | None) -> dict[str, int | str]:
    """Return the token kinds of Langfuse's usage details, disjoint; empty without any.

    They are disjoint as they are given, unless ``total`` is input and output alone: then these include the others.
    """
    try:
        found = _decode_counts(str(text or "{}").encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    given: dict[str, int | str] = {}
    for slot, names in DETAILS.items():
        count = next((found[name] for name in names if isinstance(found.get(name), int)), None)
        if count is not None and count >= 0:
            given[slot] = count
    whole = found.get("total", found.get("total_tokens"))
    if whole == sum(int(given.get(name, 0)) for name in _ALWAYS):
        _take_out(given, "tokens_input", ("tokens_cache_read", "tokens_cache_write"))
        _take_out(given, "tokens_output", ("tokens_reasoning",))
    return given


def _plain(value: str | int) -> str | int:
    """Return the text that a JSON string is; anything else as it is."""
    try:
        return msgspec.json.decode(str(value).encode(), type=str)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return value


def _take_out(given: dict[str, Any], whole: str, parts: tuple[str, ...]) -> None:
    inside = 0
    for part in parts:
        inside += given.get(part, 0)
    if inside and inside <= given.get(whole, -1):
        given[whole] -= inside


def _first(attributes: dict[str, str | int], names: tuple[str, ...]) -> str | int | None:
    """Return the first attribute that is there and not empty."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def _kept(span: TraceSpan) -> dict[str, str]:
    found: dict[str, str] = {}
    attributes = span.attributes
    for name, short in KEPT.items():
        if name in attributes:
            value = attributes[name]
            if isinstance(value, str) and 0 < len(value) <= MAX_NAME and is_plain(value):
                found.setdefault(short, value)
    return found
