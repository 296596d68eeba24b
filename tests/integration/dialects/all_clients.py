"""All the clients of `drivers` at once, through proxies that lose and repeat answers, against an independent model."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import aiohttp

from tests.integration.dialects import drivers
from tests.integration.sdk.flaky import Fault, flaky

PRICES = {
    "*": {"base_rate_cents": "0.1", "token_rate_cents": "0.0001"},
    "seats": {"base_rate_cents": 0, "rates": {"value": "0.5"}},
    "IMAGE": {"base_rate_cents": 0, "rates": {"images": 4}},
}
"""Of the customer that the clients name."""
FAULTS: dict[str, tuple[Fault, ...]] = {
    "lago_agent": ("unknown", "twice"),
    "paid": ("unknown", "twice", "bad gateway"),
    "stripe": ("unknown", "twice", "hang up", "twice"),
    "revenium": ("unknown", "twice", "hang up", "twice"),
    "genai": ("bad gateway", "twice"),
}
"""What happens to the first answers of each."""


def expected(times: int) -> dict[str, tuple[int, int, Decimal]]:
    """Events, tokens and cents of each action, computed from what the clients were given."""
    base, token = Decimal("0.1"), Decimal("0.0001")
    calls, lago = drivers.CALLS * times, drivers.LAGO_CALLS * times
    signals, meters = drivers.SIGNALS * times, drivers.METERS * times
    ones = sum(range(1, lago + 1))
    counts = {
        "llm_input_tokens": (lago, ones),
        "llm_output_tokens": (lago, 2 * ones),
        "llm_cached_input_tokens": (lago, 3 * lago),
        "llm_cache_creation_tokens": (lago, 4 * lago),
        "signal": (signals, sum(range(signals))),
        **dict.fromkeys(("reply", "chat"), (calls, calls * (drivers.PROMPT + drivers.ANSWER))),
    }
    return {
        **{name: (events, tokens, base * events + token * tokens) for name, (events, tokens) in counts.items()},
        "seats": (meters + 1, 0, Decimal("0.5") * (sum(range(meters)) + 7)),
        "IMAGE": (10, 0, Decimal(4) * 20),
    }


async def send_and_check(url: str, admin: str, times: int, eventually: Callable[..., Awaitable[None]]) -> None:
    """Send ``times`` as much as `drivers` says, and check that each event is charged once, at the model's price."""
    key = await _priced(url, admin)
    with ExitStack() as proxies:
        urls = {name: proxies.enter_context(flaky(url, *faults)).url for name, faults in FAULTS.items()}
        # the instrumentation first: Revenium's middleware patches OpenAI's client for good
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(_run(times, key, urls, "lago_agent", "paid", "stripe"))
            second = tasks.create_task(_run(times, key, urls, "genai", "revenium"))
    assert first.result() == {"lago_agent": True, "paid": [0, drivers.BATCH], "stripe": "v2"}
    assert second.result()["revenium"] == [0, True, 2, 1]
    model = expected(times)
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}) as session:

        async def usage() -> dict[str, Any]:
            async with session.get("/v1/usage?period=24h") as response:
                found: dict[str, Any] = json.loads(await response.text(), parse_float=Decimal)
                return found

        async def complete() -> bool:
            summary = (await usage())["summary"]
            return bool(summary["total_events"] >= sum(row[0] for row in model.values()) and summary["charge_count"])

        await eventually(complete)
        found = await usage()
        by_action = {
            row["action"]: (row["event_count"], row["total_tokens"], Decimal(row["total_cents"]))
            for row in found["by_action"]
        }
        assert {name: by_action.get(name) for name in model} == model
        # the job's outcome: 49.90 dollars were charged, taken back, and 60 charged
        assert Decimal(found["summary"]["charge_cents"]) == 6000
        async with session.get("/v1/events?limit=1000") as response:
            assert "SECRET" not in await response.text()


async def _priced(url: str, admin: str) -> str:
    """Return a key of the customer, which has prices for what comes."""
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {admin}"}) as session:
        for action, price in PRICES.items():
            row = {"customer_id": drivers.CUSTOMER, "action_type": action, **price}
            async with session.post("/api/admin/pricing", json=row) as response:
                assert response.status == 201, await response.text()
        async with session.post("/api/admin/api-keys", json={"customer_id": drivers.CUSTOMER}) as response:
            made: str = (await response.json())["api_key"]
        budget = {"customer_id": drivers.CUSTOMER, "scope": "agent", "value": drivers.STOPPED, "period": "total"}
        async with session.post("/api/admin/budgets", json={**budget, "limit_cents": 0, "hard": True}) as response:
            assert response.status == 201, await response.text()
    return made


async def _run(times: int, key: str, urls: dict[str, str], *names: str) -> Any:
    """Run clients one after the other in a process, and return what they say."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.dialects.drivers", str(times), key),
        *(f"{name}={urls[name]}" for name in names),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()[-4000:]
    return json.loads(out)
