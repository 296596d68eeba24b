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
