"""Langfuse: its SDKs send OTLP traces to a path of their own, with the key as the password. Pure.

Their attributes are in ingest.dialects.genai_spans, beside those of other instrumentations: the SDKs also export those.
"""

from ingest.dialects.dialect import Dialect, DialectRoute, Headers, Refusals, basic_user, bearer, without_prefix
from ingest.dialects.otlp import MEDIA_TYPES, OTLP, read_traces


def _secret(headers: Headers) -> str | None:
    given = basic_user(headers)
    return without_prefix(bearer(headers) if given is None else given[1])


LANGFUSE = Dialect(
    name="langfuse",
    product="Langfuse (SDKs that send OTLP)",
    set_up="LANGFUSE_BASE_URL={url}/langfuse LANGFUSE_PUBLIC_KEY=pk-lf-rev LANGFUSE_SECRET_KEY=rg_…",
    key_header="Authorization: Basic, the API key as the password",
    secret=_secret,
    refusal=OTLP.refusal,
    routes=(
        DialectRoute(
            "/langfuse/api/public/otel/v1/traces",
            "Record the generations, embeddings and tool calls that a Langfuse SDK sends.",
            read_traces,
            Refusals.EACH,
            media_types=MEDIA_TYPES,
        ),
    ),
    names=OTLP.names,
)
