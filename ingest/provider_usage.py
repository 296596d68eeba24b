"""A provider's own usage object as token quantities in disjoint buckets, so that no sender subtracts by hand.

Providers count differently. OpenAI's ``prompt_tokens`` include what was read from the cache, Anthropic's
``input_tokens`` do not; OpenAI's ``completion_tokens`` include reasoning, xAI's do not. SHAPES declares each
object as a table of counts: the bucket of each, and the count that includes it. A bucket is what is left of a
count when the counts within it are taken out, so every token is in exactly one bucket.

What was decided:

- Reasoning is a bucket of its own, taken out of ``output``.
- Audio, image, text and prediction tokens stay in the bucket of the count that includes them. Providers give them
  beside ``cached_tokens``, and do not say how many tokens are both, so no disjoint bucket follows from them.
- Cache writes of every lifetime are ``cache_write``.
- Tokens of tool results that Gemini feeds back to the model are ``input``.
- Cohere's quantities are its ``billed_units``, which leave out the tokens that Cohere adds itself.
- A bucket of 0 tokens is left out, so that it needs no rate. A null field is absent.
- An unknown field is ignored if it holds text, true, false, null or 0 alone. A field with any other number may cost
  money (``server_tool_use.web_search_requests``), so it is refused, except those in IGNORED and ``ignored``:
  times, the provider's own cost, and breakdowns of counts that are already in a bucket.

The meaning of each field follows the providers' public API references, as stored copies and the threads that quote
them had it in November 2026: OpenAI, chat completions, Responses and the guide to prompt caching (of 2,600 input
tokens, 2,000 are cached and 400 written); Anthropic, Messages (``usage``, prompt caching, extended thinking); Google,
GenerateContentResponse.UsageMetadata (the total is prompt, candidates, tool use and thoughts; the prompt includes
cached content); AWS, Converse TokenUsage and the guide to prompt caching (``inputTokens`` are those neither read from
the cache nor written); xAI, consumption and cost tracking (reasoning is not in ``completion_tokens``, but in
``total_tokens``); DeepSeek, chat completion (prompt = hit + miss); Mistral and Groq, prompt caching; Cohere, pricing.
That Converse's total includes cached tokens is in no reference: callers measured it.

Pure, and without floats: only integers count.
"""

import re
from typing import Any

import msgspec

from ingest.problems import Invalid
from schemas.limits import MAX_TOKENS

Path = tuple[str, ...]
BUCKETS = ("input", "cache_read", "cache_write", "output", "reasoning")


class TokenCount(msgspec.Struct, frozen=True):
    """One count of a usage object.

    ``field`` is its dotted path. ``bucket`` is None for a breakdown, whose tokens stay where they are.
    ``within`` is the field that includes this count, and ``also`` the other paths under which a provider
    repeats it; all that are given must agree.
    """

    field: str
    bucket: str | None = None
    within: str | None = None
    also: tuple[str, ...] = ()


class UsageShape(msgspec.Struct, frozen=True, kw_only=True):
    """The usage object of one API.

    ``needs`` are the fields that it always has, and ``total`` the one that must be the sum of the buckets.
    The ``parts`` of a count add up to it when all of them are given. ``ignored`` are fields, with all
    that they hold, that no quantity follows from. The last five are derived.
    """

    name: str
    provider: str
    needs: tuple[str, ...]
    counts: tuple[TokenCount, ...]
    total: str | None = None
    parts: dict[str, tuple[str, ...]] = {}
    ignored: tuple[str, ...] = ()
    needed: frozenset[Path] = frozenset()
    counted: dict[str, TokenCount] = {}
    fields: dict[Path, str] = {}
    objects: frozenset[Path] = frozenset()
    skipped: frozenset[Path] = frozenset()

    def __post_init__(self) -> None:
        totals = () if self.total is None else (TokenCount(self.total),)
        counted = {count.field: count for count in (*self.counts, *totals)}
        fields = {_path(name): count.field for count in counted.values() for name in (count.field, *count.also)}
        objects = {path[:depth] for path in fields for depth in range(1, len(path))}
        msgspec.structs.force_setattr(self, "needed", frozenset(map(_path, self.needs)))
        msgspec.structs.force_setattr(self, "counted", counted)
        msgspec.structs.force_setattr(self, "fields", fields)
        msgspec.structs.force_setattr(self, "objects", frozenset(objects))
        msgspec.structs.force_setattr(self, "skipped", frozenset(map(_path, self.ignored)))


def _path(field: str) -> Path:
    return tuple(field.split("."))


def _breakdown(whole: str, details: str, *names: str) -> tuple[TokenCount, ...]:
    """Return the counts ``details.name`` that are within ``whole`` and have no bucket."""
    return tuple(TokenCount(f"{details}.{name}", within=whole) for name in names)


def _chat(
    name: str,
    provider: str,
    *more: TokenCount,
    cached: tuple[str, ...] = (),
    reasoning_within: str | None = "completion_tokens",
    parts: dict[str, tuple[str, ...]] | None = None,
) -> UsageShape:
    """Return the shape of OpenAI's chat completions as ``provider`` varies it.

    ``cached`` are further names of the cached tokens.
    """
    prompt, completion = "prompt_tokens_details", "completion_tokens_details"
    return UsageShape(
        name=name,
        provider=provider,
        needs=("prompt_tokens", "completion_tokens"),
        counts=(
            TokenCount("prompt_tokens", "input"),
            TokenCount(f"{prompt}.cached_tokens", "cache_read", within="prompt_tokens", also=cached),
            *_breakdown("prompt_tokens", prompt, "audio_tokens", "text_tokens", "image_tokens"),
            TokenCount("completion_tokens", "output"),
            TokenCount(f"{completion}.reasoning_tokens", "reasoning", within=reasoning_within),
            *_breakdown("completion_tokens", completion, "audio_tokens", "text_tokens", "image_tokens"),
            *_breakdown("completion_tokens", completion, "accepted_prediction_tokens", "rejected_prediction_tokens"),
            *more,
        ),
        total="total_tokens",
        parts=parts or {},
    )


OPENAI_CHAT = _chat(
    "OpenAI chat completions",
    "openai",
    TokenCount("prompt_tokens_details.cache_write_tokens", "cache_write", within="prompt_tokens"),
)
XAI_CHAT = _chat("xAI chat completions", "xai", reasoning_within=None)
DEEPSEEK_CHAT = _chat(
    "DeepSeek chat completions",
    "deepseek",
    TokenCount("prompt_cache_miss_tokens", within="prompt_tokens"),
    cached=("prompt_cache_hit_tokens",),
    parts={"prompt_tokens": ("prompt_tokens_details.cached_tokens", "prompt_cache_miss_tokens")},
)
MISTRAL_CHAT = _chat(
    "Mistral chat completions", "mistral", cached=("prompt_token_details.cached_tokens", "num_cached_tokens")
)
OPENAI_EMBEDDINGS = UsageShape(
    name="OpenAI embeddings",
    provider="openai",
    needs=("prompt_tokens", "total_tokens"),
    counts=(TokenCount("prompt_tokens", "input"),),
    total="total_tokens",
)
OPENAI_RESPONSES = UsageShape(
    name="OpenAI Responses",
    provider="openai",
    needs=("input_tokens", "output_tokens"),
    counts=(
        TokenCount("input_tokens", "input"),
        TokenCount(
            "input_tokens_details.cached_tokens",
            "cache_read",
            within="input_tokens",
            also=("input_token_details.cached_tokens",),
        ),
        TokenCount("input_tokens_details.cache_write_tokens", "cache_write", within="input_tokens"),
        *_breakdown("input_tokens", "input_tokens_details", "audio_tokens", "text_tokens", "image_tokens"),
        # the Realtime API and transcriptions write "token"
        *_breakdown("input_tokens", "input_token_details", "audio_tokens", "text_tokens", "image_tokens"),
        TokenCount("output_tokens", "output"),
        TokenCount("output_tokens_details.reasoning_tokens", "reasoning", within="output_tokens"),
        *_breakdown("output_tokens", "output_tokens_details", "audio_tokens", "text_tokens", "image_tokens"),
        *_breakdown("output_tokens", "output_token_details", "audio_tokens", "text_tokens", "image_tokens"),
    ),
    total="total_tokens",
    ignored=("input_token_details.cached_tokens_details",),
)
ANTHROPIC_MESSAGES = UsageShape(
    name="Anthropic Messages",
    provider="anthropic",
    needs=("input_tokens", "output_tokens"),
    counts=(
        TokenCount("input_tokens", "input"),
        TokenCount("cache_read_input_tokens", "cache_read"),
        TokenCount("cache_creation_input_tokens", "cache_write"),
        *_breakdown(
            "cache_creation_input_tokens", "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"
        ),
        TokenCount("output_tokens", "output"),
        TokenCount("output_tokens_details.thinking_tokens", "reasoning", within="output_tokens"),
    ),
    parts={
        "cache_creation_input_tokens": (
            "cache_creation.ephemeral_5m_input_tokens",
            "cache_creation.ephemeral_1h_input_tokens",
        )
    },
)
GEMINI = UsageShape(
    name="Gemini usageMetadata",
    provider="google",
    needs=("promptTokenCount",),
    counts=(
        TokenCount("promptTokenCount", "input"),
        TokenCount("toolUsePromptTokenCount", "input"),
        TokenCount("cachedContentTokenCount", "cache_read", within="promptTokenCount"),
        # the Live API writes "response"
        TokenCount("candidatesTokenCount", "output", also=("responseTokenCount",)),
        TokenCount("thoughtsTokenCount", "reasoning"),
    ),
    total="totalTokenCount",
    ignored=(
        "promptTokensDetails",
        "toolUsePromptTokensDetails",
        "cacheTokensDetails",
        "candidatesTokensDetails",
        "responseTokensDetails",
    ),
)
BEDROCK_CONVERSE = UsageShape(
    name="Bedrock Converse",
    provider="bedrock",
    needs=("inputTokens", "outputTokens"),
    counts=(
        TokenCount("inputTokens", "input"),
        # Nova and streams also write "TokenCount"
        TokenCount("cacheReadInputTokens", "cache_read", also=("cacheReadInputTokenCount",)),
        TokenCount("cacheWriteInputTokens", "cache_write", also=("cacheWriteInputTokenCount",)),
        TokenCount("outputTokens", "output"),
    ),
    total="totalTokens",
    ignored=("cacheDetails",),
)
COHERE = UsageShape(
    name="Cohere billed_units",
    provider="cohere",
    needs=("billed_units.input_tokens",),
    counts=(TokenCount("billed_units.input_tokens", "input"), TokenCount("billed_units.output_tokens", "output")),
    # with the tokens that Cohere does not bill; cached ones are billed as the others
    ignored=("tokens", "cached_tokens"),
)


def _snake(field: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", field)


GEMINI_PYTHON = UsageShape(
    name="Gemini usage_metadata",
    provider="google",
    needs=tuple(map(_snake, GEMINI.needs)),
    counts=tuple(
        TokenCount(
            _snake(count.field),
            count.bucket,
            None if count.within is None else _snake(count.within),
            tuple(map(_snake, count.also)),
        )
        for count in GEMINI.counts
    ),
    total="total_token_count",
    ignored=tuple(map(_snake, GEMINI.ignored)),
)
"""What Google's Python library makes of usageMetadata."""

SHAPES = (
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    OPENAI_EMBEDDINGS,
    ANTHROPIC_MESSAGES,
    GEMINI,
    GEMINI_PYTHON,
    BEDROCK_CONVERSE,
    MISTRAL_CHAT,
    XAI_CHAT,
    DEEPSEEK_CHAT,
    COHERE,
)
PROVIDERS: dict[str, tuple[UsageShape, ...]] = {
    "openai": (OPENAI_CHAT, OPENAI_RESPONSES, OPENAI_EMBEDDINGS),
    "azure": (OPENAI_CHAT, OPENAI_RESPONSES, OPENAI_EMBEDDINGS, ANTHROPIC_MESSAGES, XAI_CHAT),
    "anthropic": (ANTHROPIC_MESSAGES,),
    "google": (GEMINI, GEMINI_PYTHON, ANTHROPIC_MESSAGES, OPENAI_CHAT),
    "bedrock": (BEDROCK_CONVERSE, ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES),
    "mistral": (MISTRAL_CHAT, OPENAI_EMBEDDINGS),
    "groq": (OPENAI_CHAT, OPENAI_RESPONSES),
    "xai": (XAI_CHAT, OPENAI_RESPONSES),
    "deepseek": (DEEPSEEK_CHAT,),
    "cohere": (COHERE, OPENAI_CHAT),
}
"""The shapes of each provider's APIs; clouds also pass on those of the models that they host."""

SPELLINGS: dict[str, tuple[str, ...]] = {
    "openai": ("open_ai", "openai_chat", "openai_responses"),
    "azure": ("azure_openai", "azure_ai", "azure_ai_openai", "azure_ai_inference", "azure_ai_foundry"),
    "anthropic": ("anthropic_messages", "claude"),
    "google": (
        "gemini",
        "google_ai",
        "google_gemini",
        "google_genai",
        "google_generative_ai",
        "google_vertex",
        "google_vertex_ai",
        "google_vertex_anthropic",
        "vertex",
        "vertex_ai",
        "vertexai",
        "gcp_gemini",
        "gcp_gen_ai",
        "gcp_vertex_ai",
    ),
    "bedrock": ("aws", "aws_bedrock", "amazon_bedrock", "bedrock_converse"),
    "mistral": ("mistral_ai", "mistralai", "mistral_chat"),
    "groq": ("groq_chat",),
    "xai": ("x_ai", "xai_chat", "grok"),
    "deepseek": ("deep_seek", "deepseek_chat"),
    "cohere": ("cohere_chat",),
}
"""Other spellings of each provider, in lower case and with ``_`` for every other sign."""

IGNORED = frozenset(
    {"queue_time", "prompt_time", "completion_time", "total_time", "cost", "cost_details", "cost_in_usd_ticks"}
)
"""Fields of any shape that no quantity follows from: Groq's seconds, OpenRouter's and xAI's own cost."""

_NAMED = {name: PROVIDERS[key] for key, others in SPELLINGS.items() for name in (key, *others)}
_KINDS: dict[type, str] = {str: "a string", bool: "true or false"}


def quantities_of(provider: str | None, usage: dict[str, Any]) -> dict[str, int]:
    """Return the token quantities of a usage object, in tokens by bucket; only buckets above 0.

    ``provider`` is the event's label in any spelling of SPELLINGS. Without it, or with another label, the object
    must mean the same in every shape that it fits. ``usage`` is the decoded JSON object; the caller bounds its
    size and depth. Raises Invalid naming the field, or saying what was expected.
    """
    shapes = SHAPES if provider is None else _NAMED.get(provider) or _NAMED.get(_folded(provider), SHAPES)
    leaves = _leaves(usage)
    fitting = [shape for shape in shapes if shape.needed <= leaves.keys()]
    if not fitting:
        raise _unknown_shape(provider, shapes, leaves)
    results: list[tuple[UsageShape, dict[str, int]]] = []
    errors: list[tuple[UsageShape, Invalid]] = []
    for shape in fitting:
        try:
            results.append((shape, _buckets(shape, leaves)))
        except Invalid as error:
            errors.append((shape, error))
    if not results:
        # of the shape that the sender most probably meant
        raise max(errors, key=lambda failed: sum(path in failed[0].fields for path in leaves))[1] from None
    quantities = results[0][1]
    meanings = {shape.provider: found for shape, found in results if found != quantities}
    if meanings:
        names = " or ".join(repr(name) for name in (results[0][0].provider, *meanings))
        raise Invalid(f"usage means something else for each provider: give {names} as provider")
    return quantities


def _buckets(shape: UsageShape, leaves: dict[Path, Any]) -> dict[str, int]:
    """Return the buckets above 0. Raises Invalid naming the field."""
    given = _given(shape, leaves)
    left = dict(given)
    for field, value in given.items():
        count = shape.counted[field]
        if not value or count.within is None:
            continue
        whole = given.get(count.within, 0)
        if value > whole:
            raise Invalid(
                f"usage.{field} must be at most usage.{count.within}, which includes it: {value} is above {whole}"
            )
        if count.bucket is not None:
            left[count.within] -= value
    buckets = dict.fromkeys(BUCKETS, 0)
    for field, value in left.items():
        if value < 0:
            inner = tuple(count.field for count in shape.counts if count.within == field and count.bucket)
            raise Invalid(f"{_listed(inner)} must be at most usage.{field} together, which includes them")
        bucket = shape.counted[field].bucket
        if bucket is not None:
            buckets[bucket] += value
    for field, parts in shape.parts.items():
        if all(part in given for part in parts) and (added := sum(given[part] for part in parts)) != given.get(
            field, 0
        ):
            raise Invalid(f"usage.{field} is {given.get(field, 0)}, but {_listed(parts)} add up to {added}")
    tokens = sum(buckets.values())
    if tokens > MAX_TOKENS:
        raise Invalid(f"usage must be at most {MAX_TOKENS} tokens, not {tokens}")
    if shape.total in given and given[shape.total] != tokens:
        raise Invalid(f"usage.{shape.total} is {given[shape.total]}, but the tokens of {shape.name} add up to {tokens}")
    return {bucket: value for bucket, value in buckets.items() if value}


def _given(shape: UsageShape, leaves: dict[Path, Any]) -> dict[str, int]:
    """Return the counts that are given, by field. Raises Invalid, also for a field that may cost money."""
    given: dict[str, int] = {}
    for path, value in leaves.items():
        field = shape.fields.get(path)
        if field is not None:
            count = _count(path, value)
            if given.setdefault(field, count) != count:
                raise Invalid(f"{_spelled(path)} must equal the other spellings of usage.{field}")
        elif path in shape.objects:
            raise Invalid(f"{_spelled(path)} must be a JSON object")
        elif value and not isinstance(value, str | bool) and not _ignored(shape, path):
            raise Invalid(
                f"{_spelled(path)} is no field of {shape.name} that Rev counts; if it costs money, give it in"
                " quantities, and leave it out of usage"
            )
    return given


def _count(path: Path, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        kind = str(value)[:40] if type(value) is int else _KINDS.get(type(value), "a fraction")
        raise Invalid(f"{_spelled(path)} must be an integer from 0 to {MAX_TOKENS}, not {kind}")
    return value


def _ignored(shape: UsageShape, path: Path) -> bool:
    return path[0] in IGNORED or path[:1] in shape.skipped or path[:2] in shape.skipped


def _leaves(usage: dict[str, Any]) -> dict[Path, Any]:
    """Return the values that are neither null nor objects nor lists, by path, outermost first."""
    leaves: dict[Path, Any] = {}
    waiting: list[tuple[Path, Any]] = [((), usage)]
    for path, value in waiting:
        if isinstance(value, dict):
            waiting.extend(((*path, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, str(index)), inner) for index, inner in enumerate(value))
        elif value is not None:
            leaves[path] = value
    return leaves


def _unknown_shape(provider: str | None, shapes: tuple[UsageShape, ...], leaves: dict[Path, Any]) -> Invalid:
    """Return the refusal of an object that fits none of the shapes."""
    wanted = {shape.needs: shape.name for shape in reversed(shapes)}
    expected = "; or ".join(f"{' and '.join(needs)} ({name})" for needs, name in reversed(wanted.items()))
    whose = "" if shapes is SHAPES else f" of {provider}"
    other = next((shape for shape in SHAPES if shape.needed <= leaves.keys()), None)
    hint = "" if other is None else f". It looks like {other.name}, whose provider is {other.provider!r}"
    return Invalid(f"usage is no usage object{whose} that Rev knows; expected {expected}{hint}")


def _folded(provider: str) -> str:
    return re.sub("[^a-z0-9]+", "_", provider.lower())


def _listed(fields: tuple[str, ...]) -> str:
    return " and ".join(f"usage.{field}" for field in fields)


def _spelled(path: Path) -> str:
    return ".".join(("usage", *path))[:200]
