"""OTLP trace requests, protobuf or JSON, as spans with only the attributes that a meter event is made of. Pure.

An attribute that is not asked for is never copied: prompts, answers and tool arguments do not leave the request's body.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ingest.dialects.dialect import decoded
from ingest.dialects.otlp_wire import TraceRequest
from ingest.problems import Invalid

Attributes = dict[str, str | int]
ERROR = 2
"""The status code of a span whose operation failed."""
_TEXT, _INT, _DOUBLE = "string_value", "int_value", "double_value"
_WHOLE_BELOW = 2**53
_SHORT_TEXT, _SHORT = 0x0A, 0x80
"""The first byte of an AnyValue that is a text, and the least length that takes two bytes."""


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
    try:
        request = TraceRequest.FromString(body)
        return [
            TraceSpan(
                trace=span.trace_id.hex(),
                id=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                ended=span.end_time_unix_nano,
                failed=span.status.code == ERROR,
                attributes=_known(span.attributes, wanted),
                resource=resource,
            )
            for part in request.resource_spans
            for resource in (_known(part.resource.attributes, wanted),)
            for scope in part.scope_spans
            for span in scope.spans
        ]
    except DecodeError:
        raise Invalid("the body must be an ExportTraceServiceRequest in protobuf") from None


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


def _known(attributes: Mapping[str, bytes], wanted: Collection[str]) -> Attributes:
    """Return the wanted attributes, each the bytes of an AnyValue. Raises DecodeError."""
    found: Attributes = {}
    for key, raw in attributes.items():
        if key not in wanted:
            continue
        # most values: a text of less than 128 bytes, that is field 1, its length, and nothing after it
        if len(raw) > 1 and raw[0] == _SHORT_TEXT and raw[1] == len(raw) - 2 < _SHORT:
            try:
                found[key] = raw[2:].decode()
                continue
            except UnicodeDecodeError:
                pass
        value = AnyValue.FromString(raw)
        kind = value.WhichOneof("value")
        if kind == _TEXT:
            found[key] = value.string_value
        elif kind == _INT:
            found[key] = value.int_value
        elif kind == _DOUBLE and _is_whole(value.double_value):
            found[key] = int(value.double_value)
    return found


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
