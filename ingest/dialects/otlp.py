"""OpenTelemetry's OTLP over HTTP: traces are counted, metrics and logs of the same calls are accepted and not. Pure.

The response is protobuf or JSON, as the request is. Refused spans are a partial success: the others are recorded, and
the exporter does not send the request again. Exporters repeat a request on 429, 502, 503 and 504 only.
"""

import re

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ingest.dialects.dialect import (
    JSON,
    ClientResponse,
    Dialect,
    DialectRoute,
    Headers,
    MappedBody,
    MappedEvent,
    Recorded,
    Refusals,
    bearer,
    renamed,
    without_prefix,
)
from ingest.dialects.genai_spans import WANTED, SpanEvents
from ingest.dialects.otlp_spans import TraceSpan, spans_of_json, spans_of_protobuf
from ingest.problems import Problem

PROTOBUF = "application/x-protobuf"
MEDIA_TYPES = (PROTOBUF, JSON)
REPEATED = "the spans of the same calls are counted"
SHOWN = 3
"""Reasons for refusals that the response names."""
UNKNOWN = 2
CODES = {400: 3, 401: 16, 403: 7, 409: 6, 413: 8, 415: 3, 429: 8, 503: 14}
"""google.rpc codes by HTTP status."""
NAMES = {
    "agent_id": "gen_ai.agent.id",
    "action": "gen_ai.operation.name",
    "customer_id": "rev.customer.id",
    "model": "gen_ai.request.model",
    "provider": "gen_ai.provider.name",
    "timestamp": "endTimeUnixNano",
    "idempotency_key": "spanId",
    "tokens_input": "gen_ai.usage.input_tokens",
    "tokens_output": "gen_ai.usage.output_tokens",
}
_IDS = re.compile(r"(?!0{32})[0-9a-f]{32}(?!0{16})[0-9a-f]{16}")
_encode = msgspec.json.Encoder().encode


def read_traces(headers: Headers, body: bytes) -> MappedBody:
    """Return the events of an ExportTraceServiceRequest."""
    as_json = is_json(headers)
    spans = spans_of_json(body, WANTED) if as_json else spans_of_protobuf(body, WANTED)
    found = SpanEvents(spans)
    events = [mapped for span in spans if (mapped := _mapped(found, span)) is not None]

    def respond(recorded: Recorded) -> ClientResponse:
        refused = recorded.refused
        reasons = dict.fromkeys(renamed(one.error, NAMES) for one in refused)
        message = "; ".join([*list(reasons)[:SHOWN], *(["…"] if len(reasons) > SHOWN else [])])
        return _partial(len(refused), message, as_json)

    return MappedBody(events, respond, found.ignored)


def read_other(headers: Headers, body: bytes) -> MappedBody:
    """Return no event: metrics and logs repeat the tokens of spans. The body is not looked at."""
    as_json = is_json(headers)
    return MappedBody([], lambda recorded: _partial(0, "", as_json), {REPEATED: 1})


def is_json(headers: Headers) -> bool:
    """True if a request is in JSON, and so is its response."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == JSON


def _mapped(found: SpanEvents, span: TraceSpan) -> MappedEvent | None:
    counted = found.fields(span)
    if counted is None:
        return None
    fields, user = counted
    error = None
    if not _IDS.fullmatch(span.trace + span.id) or len(span.id) != 16:
        error = "traceId must have 16 bytes and spanId 8, and neither may be zero"
    return MappedEvent(fields, user, error)


def _partial(refused: int, message: str, as_json: bool) -> ClientResponse:
    """Return an Export…ServiceResponse; those of metrics and logs are the same when nothing was refused."""
    if as_json:
        shown = {"partialSuccess": {"rejectedSpans": str(refused), "errorMessage": message}} if refused else {}
        return ClientResponse(200, _encode(shown))
    part = ExportTracePartialSuccess(rejected_spans=refused, error_message=message) if refused else None
    return ClientResponse(200, ExportTraceServiceResponse(partial_success=part).SerializeToString(), PROTOBUF)


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return a google.rpc.Status."""
    code = CODES.get(problem.status, UNKNOWN)
    if is_json(headers):
        return ClientResponse(problem.status, _encode({"code": code, "message": problem.error}))
    message = problem.error.encode()
    return ClientResponse(problem.status, b"\x08%c\x12%b%b" % (code, _varint(len(message)), message), PROTOBUF)


def _varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _secret(headers: Headers) -> str | None:
    return without_prefix(headers.get("x-api-key")) if "x-api-key" in headers else bearer(headers)


OTLP = Dialect(
    name="otlp",
    product="OpenTelemetry (OTLP/HTTP: GenAI conventions, OpenInference)",
    set_up="OTEL_EXPORTER_OTLP_ENDPOINT={url}/otlp OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20rg_…'",
    key_header="Authorization: Bearer rg_…",
    secret=_secret,
    refusal=_refusal,
    routes=(
        DialectRoute(
            "/otlp/v1/traces",
            "Record the calls of models and tools in the spans that an OTLP exporter sends.",
            read_traces,
            Refusals.EACH,
            media_types=MEDIA_TYPES,
        ),
        DialectRoute("/otlp/v1/metrics", "Accept metrics; none counts.", read_other, media_types=MEDIA_TYPES),
        DialectRoute("/otlp/v1/logs", "Accept logs; none counts.", read_other, media_types=MEDIA_TYPES),
    ),
    names=NAMES,
)
