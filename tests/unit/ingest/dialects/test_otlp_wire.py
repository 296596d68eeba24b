"""The messages that Rev declares for OTLP read what opentelemetry-proto writes, and refuse what it refuses."""

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.dialects.otlp_spans import spans_of_protobuf
from ingest.problems import Invalid

KEYS = ("a", "b", "gen_ai.operation.name", "ü")
values = st.one_of(
    st.text(max_size=200),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.binary(max_size=5),
    st.lists(st.text(max_size=3), max_size=2),
    st.none(),
)
attributes = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
spans = st.fixed_dictionaries(
    {
        "ids": st.tuples(st.binary(max_size=17), st.binary(max_size=9), st.binary(max_size=9)),
        "ended": st.integers(0, 2**64 - 1),
        "code": st.integers(0, 2),
        "attributes": attributes,
    }
)


def put(to: Any, given: dict[str, Any]) -> None:
    for key, value in given.items():
        one = to.add()
        one.key = key
        if isinstance(value, bool):
            one.value.bool_value = value
        elif isinstance(value, str):
            one.value.string_value = value
        elif isinstance(value, int):
            one.value.int_value = value
        elif isinstance(value, float):
            one.value.double_value = value
        elif isinstance(value, bytes):
            one.value.bytes_value = value
        elif isinstance(value, list):
            for text in value:
                one.value.array_value.values.add().string_value = text


def read(given: dict[str, Any]) -> dict[str, str | int]:
    """What is read of these attributes: texts, integers, and doubles that hold one exactly."""
    found: dict[str, str | int] = {}
    for key, value in given.items():
        if isinstance(value, float) and not isinstance(value, bool):
            if value.is_integer() and abs(value) < 2**53:
                found[key] = int(value)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            found[key] = value
    return found


def request(resource: dict[str, Any], given: list[dict[str, Any]]) -> bytes:
    made = ExportTraceServiceRequest()
    part = made.resource_spans.add()
    put(part.resource.attributes, resource)
    scope = part.scope_spans.add()
    for one in given:
        span = scope.spans.add(name="chat", start_time_unix_nano=1)
        span.trace_id, span.span_id, span.parent_span_id = one["ids"]
        span.end_time_unix_nano, span.status.code = one["ended"], one["code"]
        span.events.add(name="event")
        put(span.attributes, one["attributes"])
    body: bytes = made.SerializeToString()
    return body


@given(attributes, st.lists(spans, max_size=3))
def test_every_span_is_read_as_it_was_written(resource: dict[str, Any], given: list[dict[str, Any]]) -> None:
    found = spans_of_protobuf(request(resource, given), frozenset(KEYS))
    assert [(one.trace, one.id, one.parent) for one in found] == [tuple(id.hex() for id in one["ids"]) for one in given]
    assert [(one.ended, one.failed) for one in found] == [(one["ended"], one["code"] == 2) for one in given]
    assert [one.attributes for one in found] == [read(one["attributes"]) for one in given]
    assert all(one.resource == read(resource) for one in found)


@given(spans, st.data())
def test_cut_off_anywhere_it_is_refused_or_what_opentelemetry_reads(given: dict[str, Any], data: st.DataObject) -> None:
    body = request({}, [given])
    cut = body[: data.draw(st.integers(0, len(body)))]
    try:
        theirs: int | None = sum(
            len(scope.spans)
            for part in ExportTraceServiceRequest.FromString(cut).resource_spans
            for scope in part.scope_spans
        )
    except DecodeError:
        theirs = None
    try:
        ours: int | None = len(spans_of_protobuf(cut, frozenset(KEYS)))
    except Invalid:
        ours = None
    assert ours == theirs


@pytest.mark.parametrize("value", [b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0a\x81\x01a", b"\x18", b"\x18\x80", b"\x07"])
def test_a_malformed_value_is_refused(value: bytes) -> None:
    entry = b"\x0a\x01a\x12" + bytes([len(value)]) + value
    span = b"\x4a" + bytes([len(entry)]) + entry
    scope = b"\x12" + bytes([len(span)]) + span
    part = b"\x12" + bytes([len(scope)]) + scope
    with pytest.raises(Invalid, match="ExportTraceServiceRequest in protobuf"):
        spans_of_protobuf(b"\x0a" + bytes([len(part)]) + part, frozenset("a"))
