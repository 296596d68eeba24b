"""Clients that nobody here wrote, as their registry has them: a URL and a key are all that is set.

They send through a proxy that loses responses. Every event is charged once, and the total is that of an independent
model.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import httpx
import pytest
from lago_python_client.client import Client as LagoClient
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import BatchEvent, Event
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

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


def _until_accepted(send: Callable[[], Any]) -> None:
    """Send again as long as no response, or one that is not the gateway's, comes back."""
    for _ in range(5):
        try:
            send()
            return
        except (LagoApiError, httpx.HTTPError):
            continue
    raise AssertionError("the batch was not accepted")


def _batches(customer: str) -> Iterator[BatchEvent]:
    at = int(time.time())
    for start in range(0, EVENTS, BATCH):
        yield BatchEvent(
            events=[
                Event(
                    transaction_id=f"tx-{number}",
                    external_subscription_id=customer,
                    code="chat",
                    timestamp=at,
                    properties={"tokens": number, "agent_id": "bot"},
                )
                for number in range(start, start + BATCH)
            ]
        )


async def test_lago_events(stack: dict[str, Any], key: str, usage: Any) -> None:
    """1,000 in batches, some of whose responses are lost; then one alone, whose response the client reads."""
    with flaky(stack["http"], "unknown", "hang up", "bad gateway") as proxy:
        client = LagoClient(api_key=key, api_url=f"{proxy.url}/lago/")
        for batch in _batches("test-lago-events"):
            await asyncio.to_thread(_until_accepted, lambda batch=batch: client.events.batch_create(batch))
        single = Event(transaction_id="one", external_subscription_id="test-lago-events", code="chat", properties={})
        shown = await asyncio.to_thread(client.events.create, single)
    assert proxy.forwarded == EVENTS // BATCH + 4
    assert shown is not None and (shown.transaction_id, shown.code) == ("one", "chat")
    await usage(key, EVENTS + 1, sum(range(EVENTS)))


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
