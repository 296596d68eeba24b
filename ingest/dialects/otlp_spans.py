"""OTLP trace requests, protobuf or JSON, as spans with only the attributes that a meter event is made of. Pure.

An attribute that is not asked for is never copied: prompts, answers and tool arguments do not leave the request's body.
"""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.dialects.dialect import decoded
from ingest.problems import Invalid

Attributes = dict[str, str | int]
ERROR = 2
"""The status code of a span whose operation failed."""
_TEXT, _INT, _DOUBLE = "string_value", "int_value", "double_value"
_WHOLE_BELOW = 2**53


class TraceSpan(NamedTuple):
    """A span. Ids are lower-case hex, ``parent`` empty for a root; ``ended`` is in ns since 1970, 0 if not given.

    ``resource`` are the attributes of what produced it (service.name).
    """

    trace: str
    id: str
    parent: str
    ended: int
    failed: bool
    attributes: Attributes
    resource: Attributes


def spans_of_protobuf(body: bytes, wanted: Collection[str]) -> list[TraceSpan]:
    """Return the spans of an ExportTraceServiceRequest. Raises Invalid for bytes that are none."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise Invalid("the body must be an ExportTraceServiceRequest in protobuf") from None
    return [
        TraceSpan(
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            ended=span.end_time_unix_nano,
            failed=span.status.code == ERROR,
            attributes=dict(_known(span.attributes, wanted)),
            resource=resource,
        )
        for part in request.resource_spans
        for resource in (dict(_known(part.resource.attributes, wanted)),)
        for scope in part.scope_spans
        for span in scope.spans
    ]


def spans_of_json(body: bytes, wanted: Collection[str]) -> list[TraceSpan]:
    """Return the spans of an ExportTraceServiceRequest in JSON. Raises Invalid for a body that is none."""
    request: _Request = decoded(body, _decode, _Request)
    return [
        TraceSpan(
            trace=span.trace_id.lower(),
            id=span.span_id.lower(),
            parent=span.parent_span_id.lower(),
            ended=_integer(span.end_time_unix_nano),
            failed=span.status is not None and span.status.code in (ERROR, "STATUS_CODE_ERROR"),
            attributes=dict(_known_json(span.attributes, wanted)),
            resource=resource,
        )
        for part in request.resource_spans or ()
        for resource in (dict(_known_json(None if part.resource is None else part.resource.attributes, wanted)),)
        for scope in part.scope_spans or ()
        for span in scope.spans or ()
    ]


def _known(attributes: Any, wanted: Collection[str]) -> Iterator[tuple[str, str | int]]:
    for attribute in attributes:
        if attribute.key in wanted:
            value = attribute.value
            kind = value.WhichOneof("value")
            if kind == _TEXT:
                yield attribute.key, value.string_value
            elif kind == _INT:
                yield attribute.key, value.int_value
            elif kind == _DOUBLE and _is_whole(value.double_value):
                yield attribute.key, int(value.double_value)


def _is_whole(value: float) -> bool:
    """True if a double is an integer that it holds exactly; some senders have no other numbers."""
    return value.is_integer() and abs(value) < _WHOLE_BELOW


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None


class _Attribute(msgspec.Struct):
    key: str = ""
    value: _Value | None = None


class _Status(msgspec.Struct):
    code: int | str = 0


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    end_time_unix_nano: int | str = 0
    attributes: list[_Attribute] | None = None
    status: _Status | None = None


class _Scope(msgspec.Struct):
    spans: list[_Span] | None = None


class _Resource(msgspec.Struct):
    attributes: list[_Attribute] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_Scope] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_decode = msgspec.json.Decoder(_Request).decode


def _known_json(attributes: list[_Attribute] | None, wanted: Collection[str]) -> Iterator[tuple[str, str | int]]:
    for attribute in attributes or ():
        value = attribute.value
        if value is None or attribute.key not in wanted:
            continue
        if value.string_value is not None:
            yield attribute.key, value.string_value
        elif value.int_value is not None:
            yield attribute.key, _integer(value.int_value)
        elif isinstance(value.double_value, float) and _is_whole(value.double_value):
            yield attribute.key, int(value.double_value)


def _integer(value: int | str) -> int:
    """Return a 64-bit integer, which protobuf's JSON writes as text. Raises Invalid."""
    try:
        found = int(value)
    except ValueError:
        raise Invalid("the body must have 64-bit integers as numbers or decimal text") from None
    if not -(2**63) <= found < 2**64:
        raise Invalid("the body must have integers of at most 64 bits")
    return found
