"""Budgets and credit on a running `rev up`: many agents at once, and the ledger agrees to the last cent."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.integration.quantities.test_quantities_stack import Api

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
AGENTS = 200
EVENTS = 5
"""Events of each agent."""
COST = Decimal("1.47")
"""Of a completion of 2,400 tokens that succeeds, at the default price."""
LIMIT = 1000


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    """The API of the running stack."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AGENTS)) as session:
        yield Api(session, stack)


async def test_two_hundred_agents_share_a_budget(api: Api, eventually: Eventually) -> None:
    """1,000 events of 1.47 cents race for 1,000 cents: exactly 680 are charged, the others refused, nothing else."""
    key = await api.key("budget-acme")
    budget = {"customer_id": "budget-acme", "scope": "all", "period": "total", "limit_cents": LIMIT, "hard": True}
    status, made = await api.call("POST", "/api/admin/budgets", api.admin, budget)
    assert status == 201, made

    async def agent(number: int) -> list[tuple[int, Any]]:
        answers = []
        for event in range(EVENTS):
            body = {
                "agent_id": f"agent-{number}",
                "action": "completion",
                "tokens": 2400,
                "outcome": "success",
                "idempotency_key": f"{number}-{event}",
            }
            answer = await api.call("POST", "/v1/meter", key, body)
            while answer[0] == 202:  # a busy machine: the same key gets the answer later
                answer = await api.call("POST", "/v1/meter", key, body)
            answers.append(answer)
        return answers

    answers = [one for many in await asyncio.gather(*map(agent, range(AGENTS))) for one in many]
    assert {status for status, _ in answers} == {201, 402}
    charged = [answer["price"]["total_cents"] for status, answer in answers if status == 201]
    refused = [answer for status, answer in answers if status == 402]
    fit = int(LIMIT // COST)
    assert (len(charged), sum(charged)) == (fit, fit * COST) and len(refused) == AGENTS * EVENTS - fit
    assert {(answer["code"], answer["budget"]["left_cents"]) for answer in refused} == {
        ("budget_exceeded", LIMIT - fit * COST)
    }
    _, shown = await api.call("GET", "/v1/budgets?amount_cents=0.4", key)
    assert shown["fits"] is True and shown["budgets"][0]["spent_cents"] == fit * COST

    async def recorded() -> bool:
        found = await api.sql(
            "SELECT kind, count(), sum(total_cents) FROM rev.entries"
            " WHERE customer_id = 'budget-acme' AND kind != 'config' GROUP BY kind ORDER BY kind"
        )
        counts = {kind: (int(count), Decimal(cents)) for kind, count, cents in found}
        return counts.get("event") == (fit, fit * COST) and counts["rejected"][0] >= len(refused)

    await eventually(recorded, 30)
    assert await verified(api, "budget-acme")


async def verified(api: Api, customer: str) -> bool:
    """True if `rev verify` finds no difference for the customer."""
    command = (sys.executable, "-m", "tools.cli", "verify", "--data", str(api.data), "--customer", customer)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode == 0 and b"Log and ledger agree" in out


async def test_credit_is_drawn_voided_and_read_from_the_ledger(api: Api, eventually: Eventually) -> None:
    """The response, the read event, the ledger, the balance and verify agree, also after a void of the charge."""
    key = await api.key("credit-acme")
    ids = []
    for cents in ("1", "5"):
        body = {"customer_id": "credit-acme", "amount_cents": cents, "reason": "prepaid"}
        status, made = await api.call("POST", "/api/admin/credits", api.admin, body)
        assert status == 201, made
        ids.append(made["id"])
    event = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success"}
    status, first = await api.call("POST", "/v1/meter", key, event)
    assert (status, first["credit_cents"], first["due_cents"]) == (201, COST, 0)
    where = f"/v1/events/{first['event_id']}"

    async def priced() -> bool:
        return bool((await api.call("GET", where, key))[1]["status"] == "priced")

    await eventually(priced, 30)
    shown = (await api.call("GET", where, key))[1]
    assert (shown["credit_cents"], shown["due_cents"]) == (COST, 0)
    _, balance = await api.call("GET", "/v1/balance", key)
    assert [(one["id"], one["left_cents"]) for one in balance["grants"]] == [(ids[1], Decimal("4.53"))]
    status, _ = await api.call(
        "POST", f"/api/admin/events/{first['event_id']}/void", api.admin, {"reason": "a mistake"}
    )
    assert status == 201
    _, balance = await api.call("GET", "/v1/balance", key)
    assert (balance["balance_cents"], [one["id"] for one in balance["grants"]]) == (6, ids)
    rows = "SELECT kind, credit_cents, draws FROM rev.entries WHERE customer_id = 'credit-acme' AND kind != 'config'"

    async def recorded() -> bool:
        return sorted(await api.sql(rows)) == [
            ["event", "1.47", f"[({ids[0]},1),({ids[1]},0.47)]"],
            ["void", "-1.47", f"[({ids[0]},-1),({ids[1]},-0.47)]"],
        ]

    await eventually(recorded, 30)
    assert await verified(api, "credit-acme")


async def test_agents_race_for_reservations(api: Api, eventually: Eventually) -> None:
    """60 agents ask for a cent each of 20: 20 hold one, spend 0.5 of it, and nobody else spends meanwhile. What is left
    over is free again; what nobody settles, the expirer gives back, once."""
    customer = "reserving-acme"
    key = await api.key(customer)
    budget = {"customer_id": customer, "scope": "all", "period": "total", "limit_cents": 20, "hard": True}
    status, made = await api.call("POST", "/api/admin/budgets", api.admin, budget)
    assert status == 201, made

    async def ask(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        answer = await api.call("POST", path, key, body)
        while answer[0] in (202, 503):  # a busy machine: the same key gets the answer later
            answer = await api.call("POST", path, key, body)
        return answer

    async def reserve(number: int) -> tuple[int, Any]:
        return await ask("/v1/reservations", {"amount_cents": 1, "idempotency_key": f"hold-{number}"})

    asked = await asyncio.gather(*map(reserve, range(60)))
    held = [answer["reservation_id"] for status, answer in asked if status == 201]
    assert {status for status, _ in asked} == {201, 402} and len(held) == 20
    _, shown = await api.call("GET", "/v1/budgets?amount_cents=0.1", key)
    assert (shown["budgets"][0]["held_cents"], shown["fits"]) == (20, False)

    async def settle(id: str) -> tuple[int, Any]:
        body = {"agent_id": "a", "action": "completion", "reservation_id": id, "idempotency_key": f"settle-{id}"}
        return await ask("/v1/meter", body)

    plain = {"agent_id": "a", "action": "completion", "idempotency_key": "plain"}
    assert (await ask("/v1/meter", plain))[0] == 402
    assert {status for status, _ in await asyncio.gather(*map(settle, held))} == {201}
    assert (await ask("/v1/meter", {**plain, "reservation_id": held[0]}))[1]["code"] == "reservation_closed"
    rest = {"amount_cents": 10, "ttl_seconds": 1, "idempotency_key": "rest"}
    status, last = await ask("/v1/reservations", rest)
    assert status == 201, last

    async def expired() -> bool:
        found = await api.sql(
            "SELECT config_type, count() FROM rev.entries WHERE customer_id = 'reserving-acme'"
            " AND config_type LIKE 'reservation.%' AND kind = 'config' GROUP BY config_type ORDER BY config_type"
        )
        return [(type, int(count)) for type, count in found] == [
            ("reservation.created", 21),
            ("reservation.expired", 1),
        ]

    await eventually(expired, 30)
    _, ended = await api.call("GET", f"/v1/reservations/{last['reservation_id']}", key)
    assert ended["status"] == "expired"
    status, charged = await ask("/v1/meter", plain)
    assert status == 201, charged
    _, shown = await api.call("GET", "/v1/budgets", key)
    assert shown["budgets"][0]["spent_cents"] == Decimal("10.5") and "held_cents" not in shown["budgets"][0]
    assert await verified(api, customer)
