"""The span processor with the real OpenTelemetry SDK: calls name their agent though its span is exported later."""

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer, get_current_span

from ingest.dialects.otlp import PROTOBUF, read_traces
from revgrid.otel import AgentSpanProcessor


class Requests(SpanExporter):
    """One request for each span, in the order in which they end."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.bodies.append(encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS

    def events(self) -> list[dict[str, object]]:
        mapped = [read_traces({"Content-Type": PROTOBUF}, body) for body in self.bodies]
        return [one.fields for body in mapped for one in body.events]


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def tracer(requests: Requests) -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(AgentSpanProcessor(get_current_span))
    provider.add_span_processor(SimpleSpanProcessor(requests))
    yield provider.get_tracer("test")
    provider.shutdown()


def test_calls_name_the_agent_around_them_in_requests_before_its_own(tracer: Tracer, requests: Requests) -> None:
    """Also through spans between them, and the inner one of two agents; customer and agent are copied apart."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "rev.customer.id": "acme-corp"}
    chat = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5}
    with tracer.start_as_current_span("agent", attributes=agent), tracer.start_as_current_span("step"):
        with tracer.start_as_current_span("chat", attributes=chat):
            pass
        inner = tracer.start_as_current_span("inner", attributes={"gen_ai.agent.id": "helper"})
        with inner, tracer.start_as_current_span("chat", attributes=chat):
            pass
        with tracer.start_as_current_span("chat", attributes={**chat, "rev.agent.id": "own"}):
            pass
    with tracer.start_as_current_span("chat", attributes=chat):
        pass
    found = [(event["agent_id"], event.get("customer_id")) for event in requests.events()]
    assert found[:3] == [("planner", "acme-corp"), ("helper", "acme-corp"), ("own", "acme-corp")]
    assert found[3][1] is None
    assert len(requests.bodies) == 7


def test_it_holds_nothing() -> None:
    processor = AgentSpanProcessor(get_current_span)
    processor.shutdown()
    assert processor.force_flush(1)
