"""A batch of the documented 8 MiB is taken, priced and in the ledger, whole, on a running stack."""

import asyncio
import gzip
import io
import json
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from schemas.limits import MAX_BATCH_BODY, MAX_EVENTS

pytestmark = pytest.mark.integration
AT_ONCE = 4


def body(name: str, size: int = MAX_BATCH_BODY) -> bytes:
    """A batch of 1000 events that is exactly so many bytes long."""
    events = [
        {"agent_id": name, "action": "completion", "tokens": 1000, "metadata": {"n": index, "text": ""}}
        for index in range(MAX_EVENTS)
    ]
    room = size - len(json.dumps({"events": events}).encode())
    for index, event in enumerate(events):
        more = room // MAX_EVENTS + (index < room % MAX_EVENTS)
        event["metadata"]["text"] = "x" * more  # type: ignore[index]
    made = json.dumps({"events": events}).encode()
    assert len(made) == size
    return made


async def test_the_documented_size_is_taken(stack: dict[str, Any], eventually: Any) -> None:
    """Several at once, plain and gzipped, each under a long key that every event repeats; one byte more is a 413,
    and nothing of it is recorded."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        admin = {"Authorization": f"Bearer {stack['admin_token']}"}
        made = await session.post(
            stack["http"] + "/api/admin/api-keys", json={"customer_id": "large-batches"}, headers=admin
        )
        key = {"Authorization": f"Bearer {(await made.json())['api_key']}", "Content-Type": "application/json"}

        async def send(name: str, data: bytes, packed: bool = False) -> tuple[int, Any]:
            headers = {**key, "Idempotency-Key": name.ljust(250, "k")}
            if packed:
                headers["Content-Encoding"], data = "gzip", gzip.compress(data)
            async with session.post(
                stack["http"] + "/v1/meter/batch", data=io.BytesIO(data), headers=headers
            ) as answer:
                return answer.status, json.loads(await answer.read(), parse_float=Decimal)

        async def priced(number: int) -> Any:
            """A 202 is as good, but the repeat of the same key must then give the prices."""
            while True:
                status, answer = await send(f"batch-{number}", body(f"agent-{number}"), packed=number % 2 == 1)
                assert status in (201, 202), answer
                if status == 201:
                    return answer

        for answer in await asyncio.gather(*(priced(number) for number in range(AT_ONCE))):
            assert len(answer["results"]) == MAX_EVENTS
            assert {one["total_cents"] for one in answer["results"]} == {Decimal("0.8")}
        status, answer = await send("more", body("more", MAX_BATCH_BODY + 1))
        assert (status, answer["code"]) == (413, "too_large")

        async def counted() -> bool:
            async with session.get(stack["http"] + "/v1/usage?period=24h", headers=key) as found:
                summary = json.loads(await found.read(), parse_float=Decimal)["summary"]
            return bool((summary["total_events"], summary["total_cents"]) == (AT_ONCE * 1000, AT_ONCE * 800))

        await eventually(counted, timeout=60)
