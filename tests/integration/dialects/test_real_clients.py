"""Clients that nobody here wrote, as their registry has them: a URL and a key are all that is set.

They send through a proxy that loses responses. Every event is charged once, and the total is that of an independent
model.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from corehttp.exceptions import ServiceResponseError
from openmeter import Client as OpenMeter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.integration.dialects.all_clients import send_and_check
from tests.integration.sdk.flaky import flaky

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
BASE, TOKEN = Decimal("0.1"), Decimal("0.0001")
"""The default price of the action chat."""
SPANS, EVENTS, BATCH = 200, 1000, 100


@pytest.fixture
async def usage(stack: dict[str, Any], eventually: Eventually) -> Callable[..., Awaitable[None]]:
    """Check that a customer has so many events and tokens, and what the model says that they cost."""

    async def check(key: str, events: int, tokens: int) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            url = f"{stack['http']}/v1/usage?period=24h"

            async def summary() -> dict[str, Any]:
                async with session.get(url) as response:
                    found: dict[str, Any] = (await response.json(loads=_exact))["summary"]
                    return found

            async def complete() -> bool:
                return bool((await summary())["total_events"] >= events)

            await eventually(complete)
            found = await summary()
        assert (found["total_events"], found["total_tokens"]) == (events, tokens)
        assert Decimal(found["total_cents"]) == BASE * events + TOKEN * tokens

    return check


@pytest.fixture
async def key(stack: dict[str, Any], request: pytest.FixtureRequest) -> str:
    """A key of a customer of its own."""
    headers = {"Authorization": f"Bearer {stack['admin_token']}"}
    customer = request.node.name.replace("_", "-")
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{stack['http']}/api/admin/api-keys", json={"customer_id": customer}) as response,
    ):
        assert response.status == 201
        made: str = (await response.json())["api_key"]
        return made


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _events(customer: str, numbers: range) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "source": "app",
            "specversion": "1.0",
            "type": "chat",
            "subject": customer,
            "data": {"tokens": number},
        }
        for number in numbers
    ]


def _repeated(client: OpenMeter, events: list[dict[str, Any]]) -> None:
    """Send a batch, and once more if the connection broke: the client itself repeats a POST after a 503 alone."""
    try:
        client.events.ingest_events(events)
    except ServiceResponseError:
        client.events.ingest_events(events)


async def test_openmeter_events(stack: dict[str, Any], key: str, usage: Any) -> None:
    """1,000 in batches, repeated when responses are lost; then one of them again, alone."""
    customer = "test-openmeter-events"
    with flaky(stack["http"], "unknown", "hang up", "unknown") as proxy:
        client = OpenMeter(endpoint=f"{proxy.url}/openmeter", token=key)
        for start in range(0, EVENTS, BATCH):
            await asyncio.to_thread(_repeated, client, _events(customer, range(start, start + BATCH)))
        await asyncio.to_thread(client.events.ingest_event, _events(customer, range(1))[0])
    assert proxy.forwarded == EVENTS // BATCH + 4
    await usage(key, EVENTS, sum(range(EVENTS)))


async def test_otlp_spans(stack: dict[str, Any], key: str, usage: Any) -> None:
    """Gzipped protobuf, repeated by the exporter itself after a 502 and after a connection that broke."""
    with flaky(stack["http"], "bad gateway", "hang up") as proxy:
        exporter = OTLPSpanExporter(
            endpoint=f"{proxy.url}/otlp/v1/traces",
            headers={"authorization": f"Bearer {key}"},
            compression=Compression.Gzip,
        )
        provider = TracerProvider(resource=Resource.create({"service.name": "bot"}))
        provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=100))
        tracer = provider.get_tracer("test")
        for number in range(SPANS):
            call = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "m"}
            with (
                tracer.start_as_current_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}),
                tracer.start_as_current_span("chat m", attributes={**call, "gen_ai.usage.input_tokens": number}),
            ):
                pass
        await asyncio.to_thread(provider.shutdown)
    assert proxy.forwarded > 2 * SPANS // 100
    await usage(key, SPANS, sum(range(SPANS)))


async def test_the_other_clients(stack: dict[str, Any], eventually: Eventually) -> None:
    """lago-agent-sdk, paid, stripe; a GenAI instrumentation and revenium. tests/crash sends more."""
    await send_and_check(stack["http"], stack["admin_token"], 1, eventually)
