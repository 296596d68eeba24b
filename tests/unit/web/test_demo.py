"""The demo agent: real calls of the API while somebody watches, and what it shows of them."""

import asyncio
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.web.conftest import Server
from warehouse.memory import LedgerRow
from web.demo_agent import CUSTOMER, SHOWN, billed_cents
from web.web_refusals import Refusal


class Api:
    """The gateway as the agent meets it; ``asked`` keeps its calls. ``refuses``: the next calls, with this refusal."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str, Any, str | None]] = []
        self.refuses: list[Refusal] = []
        self._server = server
        monkeypatch.setattr(server.gateway, "answered", self.answered)
        monkeypatch.setattr(server.gateway, "call", self.call)

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        return (await self.answered(method, path, body, key))[1]

    async def answered(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        self.asked.append((method, path, body, key))
        if self.refuses:
            raise self.refuses.pop()
        if method == "GET":
            keys = [(1, CUSTOMER, True), (2, CUSTOMER, False), (3, "acme", True)]
            shown = [{"id": id, "customer_id": customer, "is_active": active} for id, customer, active in keys]
            return 200, {"keys": shown, "next_cursor": None}
        if path == "/api/admin/api-keys":
            return 201, {"api_key": "rg_test_demo"}
        self._server.monotonic += 0.012
        if path.endswith("/resolve"):
            return 200, {"charge_cents": 100 if body["success"] else None}
        return 201, {"price": {"total_cents": Decimal("1.47")}} if path == "/v1/meter" else {"charge_cents": None}


async def calls(server: Server, count: int) -> list[dict[str, Any]]:
    """What a visitor sees of so many calls."""
    assert server.session is not None
    text = ""
    async with server.session.get(server.url + "/api/demo/live") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        while text.count("event: call") < count or not text.endswith("\n\n"):
            server.calls.turn()
            text += (await answer.content.readany()).decode()
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")][:count]


async def test_it_makes_real_calls_and_shows_what_they_returned(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a test key of its own; the keys of earlier processes are revoked."""
    server = await serving(REV_DEMO="1")
    api = Api(server, monkeypatch)
    seen = await calls(server, 30)
    revoked = [path for method, path, _, _ in api.asked if method == "DELETE"]
    assert revoked == ["/api/admin/api-keys/1"]
    made = next(body for method, path, body, _ in api.asked if path == "/api/admin/api-keys" and method == "POST")
    assert made["customer_id"] == CUSTOMER and made["test"] is True
    work = [(path, body) for method, path, body, key in api.asked if key == "rg_test_demo"]
    assert [f"POST {path}" for path, _ in work[:30]] == [one["endpoint"] for one in seen]
    assert {one["kind"] for one in seen} == {"meter", "outcome"} and {one["status"] for one in seen} == {200, 201}
    assert {one["latency_ms"] for one in seen} == {12}
    assert {one["billed_cents"] for one in seen} == {"1.47", "0", "100"}
    total = sum(Decimal(one["billed_cents"]) for one in seen)
    assert re.fullmatch(r"\d+\.\d\d+", seen[-1]["earned_dollars"])
    assert Decimal(seen[-1]["earned_dollars"]) * 100 == total and seen[-1]["calls"] == 30
    registered = {body["task_id"] for path, body in work if path == "/v1/outcomes"}
    resolved = {path.split("/")[3] for path, _ in work if path.endswith("/resolve")}
    assert resolved <= registered and len(registered - resolved) <= 1


async def test_a_refusal_is_shown_and_a_revoked_key_replaced(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serving(REV_DEMO="1")
    api = Api(server, monkeypatch)
    await calls(server, 3)
    api.refuses = [Refusal(401, "unauthorized", "revoked")]
    seen = await calls(server, SHOWN + 3)
    refused = [one for one in seen if one["status"] == 401]
    assert len(refused) == 1 and refused[0]["billed_cents"] == "0"
    assert sum(path == "/api/admin/api-keys" and method == "POST" for method, path, _, _ in api.asked) == 2


async def test_nobody_watches_nothing_happens(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    server = await serving(REV_DEMO="1")
    api = Api(server, monkeypatch)
    await calls(server, 2)
    while len(server.demo._everybody):
        server.calls.turn()
        await asyncio.sleep(0)
    for _ in range(200):
        server.calls.turn()
        await asyncio.sleep(0)
    asked = len(api.asked)
    for _ in range(200):
        server.calls.turn()
        await asyncio.sleep(0)
    assert len(api.asked) == asked


async def test_the_page_shows_what_the_ledger_has(serving: Callable[..., Any]) -> None:
    """Exact dollars of the demo customer's test events, and nobody else's."""
    server = await serving(REV_DEMO="1")
    row = {"kind": "event", "agent_id": "a", "action": "chat", "event_time": server.now, "recorded_at": server.now}
    server.ledger.rows = [
        LedgerRow(event_id=1, customer_id=CUSTOMER, test=True, total_cents=147 * 10**10, **row),
        LedgerRow(event_id=2, customer_id=CUSTOMER, total_cents=10**12, **row),
        LedgerRow(event_id=3, customer_id="acme", test=True, total_cents=10**12, **row),
    ]
    status, _, text = await server.get("/api/demo/stats")
    found = json.loads(text, parse_float=Decimal)
    assert (status, found["events_24h"], found["earned_24h_cents"]) == (200, 1, Decimal("1.47"))
    _, _, text = await server.get("/")
    assert "Watch an agent earn" in text and "$0.0147" in text
    server.ledger.rows = []
    assert json.loads((await server.get("/api/demo/stats"))[2])["events_24h"] == 1, "asked once for all visitors"
    server.now += 5000
    assert json.loads((await server.get("/api/demo/stats"))[2])["events_24h"] == 0


async def test_it_is_off_unless_it_is_set(server: Server) -> None:
    for path in ("/api/demo/stats", "/api/demo/live"):
        status, _, text = await server.get(path)
        assert status == 404 and "demo_off" in text
    assert "Watch an agent earn" not in (await server.get("/"))[2]


def test_what_a_response_says_that_it_charged() -> None:
    assert billed_cents({"price": {"total_cents": Decimal("1.47")}}) == Decimal("1.47")
    assert billed_cents({"price": None}) == billed_cents({"charge_cents": None}) == billed_cents({}) == 0
