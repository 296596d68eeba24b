"""Statements of a whole `rev up`: they equal independent SQL, and stay the same."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.integration.reads.test_reads_of_a_stack import Api

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
BODY = {"agent_id": "a", "action": "chat", "tokens": 2401, "outcome": "success", "model": "m1"}


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(session, stack)


async def total(api: Api, stack: dict[str, Any], where: str) -> Decimal:
    """The sum of a customer's ledger, as an analyst asks for it."""
    user, password = stack["analyst"]
    mine = f"customer_id = 'statement-acme' AND NOT test AND {where}"
    sql = f"SELECT toString(sum(total_cents)) FROM rev.entries WHERE {mine}"
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    async with api.session.post(str(stack["clickhouse"]), data=sql, headers=headers) as answer:
        return Decimal((await answer.text()).strip())


async def test_a_statement_equals_the_ledger_and_stays_what_it_was(
    api: Api, stack: dict[str, Any], eventually: Eventually
) -> None:
    """After a void and late events, the statement as of the same time has the same bytes."""
    key = await api.key("statement-acme")
    _, event = await api.call("POST", "/v1/meter", key, BODY)
    month, created = event["created_at"][:7], event["created_at"]
    for price in (1, 2):
        body = {
            "action_type": "chat",
            "base_rate_cents": price,
            "token_rate_cents": 0.0003,
            "customer_id": "statement-acme",
        }
        assert (await api.call("POST", "/api/admin/pricing", api.admin, body))[0] == 201
        events = [{**BODY, "timestamp": created}] * 50
        assert (await api.call("POST", "/v1/meter/batch", key, {"events": events}))[0] == 201
    _, last = await api.call("POST", "/v1/meter", key, BODY)
    path = f"/v1/statement?month={month}"

    async def text(more: str) -> tuple[int, str]:
        async with api.session.get(api.url + path + more, headers={"Authorization": f"Bearer {key}"}) as answer:
            return answer.status, await answer.text()

    async def has_all() -> bool:
        status, shown = await text("")
        return status == 200 and sum(line["quantity"] for line in lines(shown) if line["component"] == "event") == 102

    def lines(shown: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(shown, parse_float=Decimal)["lines"]
        return found

    await eventually(has_all)
    _, before = await text("")
    shown = json.loads(before, parse_float=Decimal)
    at = f"recorded_at <= parseDateTime64BestEffort('{shown['as_of']}', 3, 'UTC')"
    assert shown["due_cents"] == await total(api, stack, at) > 0
    assert {line["rate_cents"] for line in shown["lines"] if line["component"] == "event"} >= {1, 2}
    void = f"/api/admin/events/{last['event_id']}/void"
    assert (await api.call("POST", void, api.admin, {"reason": "by mistake"}))[0] == 201
    assert (await api.call("POST", "/v1/meter", key, {**BODY, "timestamp": created}))[0] == 201

    async def shows_the_void() -> bool:
        return "by mistake" in (await text(""))[1]

    await eventually(shows_the_void)
    assert await text(f"&as_of={shown['as_of']}") == (200, before)
    now = json.loads((await text(""))[1], parse_float=Decimal)
    assert now["due_cents"] == await total(api, stack, "true") == sum(line["amount_cents"] for line in now["lines"])


async def test_a_statement_keeps_its_bytes_through_a_thousand_changes(api: Api, eventually: Eventually) -> None:
    """As of a time before 900 late events, 80 voids and 20 prices: the same JSON, CSV and PDF."""
    customer = "statement-later"
    key = await api.key(customer)
    _, event = await api.call("POST", "/v1/meter", key, BODY)
    month, created = event["created_at"][:7], event["created_at"]

    async def metered(count: int) -> list[int]:
        events = [{**BODY, "timestamp": created}] * count
        status, answer = await api.call("POST", "/v1/meter/batch", key, {"events": events})
        assert status == 201
        return [one["event_id"] for one in answer["results"]]

    async def shown(kind: str, as_of: str = "") -> tuple[int, bytes]:
        at = f"&as_of={as_of}" if as_of else ""
        path = f"{api.url}/v1/statement?month={month}&format={kind}{at}"
        async with api.session.get(path, headers={"Authorization": f"Bearer {key}"}) as answer:
            return answer.status, await answer.read()

    async def entries() -> int:
        status, text = await shown("json")
        lines = json.loads(text)["lines"] if status == 200 else []
        return sum(line["entries"] for line in lines if line["kind"] == "void" or line["component"] == "tokens")

    async def has(count: int) -> bool:
        return await entries() == count

    events = await metered(100)
    await eventually(lambda: has(101))
    as_of = json.loads((await shown("json"))[1])["as_of"]
    before = {kind: await shown(kind, as_of) for kind in ("json", "csv", "pdf")}
    assert {status for status, _ in before.values()} == {200}
    for cents in range(20):
        rates = {"base_rate_cents": cents, "token_rate_cents": 0.0003}
        price = {"action_type": "chat", "customer_id": customer, **rates}
        assert (await api.call("POST", "/api/admin/pricing", api.admin, price))[0] == 201
        await metered(45)
    voids = [f"/api/admin/events/{id}/void" for id in events[:80]]
    answers = await asyncio.gather(*(api.call("POST", void, api.admin, {"reason": "by mistake"}) for void in voids))
    assert [status for status, _ in answers] == [201] * 80
    await eventually(lambda: has(1081))
    assert {kind: await shown(kind, as_of) for kind in before} == before
    now = {kind: await shown(kind) for kind in before}
    assert all(now[kind] != before[kind] for kind in before)
