"""Clients that may not spend more than they have: a hard budget, prepaid credit that must cover everything, and
reservations that are settled, released or left to expire. What was answered goes into the Book of clients.py.

A refusal is an answer: the budget is meant to be used up. So a spender sends nothing again that was refused.
"""

import asyncio
import json
import random
from decimal import Decimal
from typing import Any

import aiohttp

from bench.running_stack import RunningStack
from tests.crash.clients import MONTHLY, Book

SPENDERS = 3
"""Clients of each spending customer and mode, which race for the last cents."""
LIMIT, GRANTS = Decimal("25.5"), (Decimal("16.125"), Decimal("8"))
"""Cents of the hard budget in all, and of what is prepaid."""
REFUSED = {402, 404, 409}
ACTIONS = ("chat", "completion", MONTHLY[0], MONTHLY[2])
CUSTOMERS = {"torture-budget": "charge", "torture-credit": "refuse"}
"""Each with its on_empty: what the budget alone bounds, and what credit does, too."""


def limit(running: RunningStack) -> list[tuple[str, str, str]]:
    """Give every spending customer its budget and its credit. Return customer, mode and key of each spender."""
    found = []
    for customer, on_empty in CUSTOMERS.items():
        for test in (False, True):
            key = running.make_key(customer, test=test)
            found += [(customer, "test" if test else "live", key)] * SPENDERS
            of = {"customer_id": customer, "test": test}
            budget = {**of, "scope": "all", "period": "total", "limit_cents": str(LIMIT), "hard": True}
            made: list[tuple[str, dict[str, Any]]] = [("budgets", budget)]
            made += [("credits", {**of, "amount_cents": str(cents), "reason": "prepaid"}) for cents in GRANTS]
            for path, body in made:
                status, answer = running.call("POST", f"/api/admin/{path}", body)
                assert status == 201, answer
        status, answer = running.call("PATCH", f"/api/admin/customers/{customer}", {"on_empty": on_empty})
        assert status == 200, answer
    return found


class Spender:
    """One client of a spending customer and mode. ``admin``: the token for voids; ``name``: of its own."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        owner: tuple[str, str, str],
        book: Book,
        admin: str,
        name: str,
        seed: int,
    ) -> None:
        self._session, self._url, self._book, self._name = session, url, book, name
        customer, mode, key = owner
        self._owner = f"{customer}/{mode}"
        self._key, self._admin = ({"Authorization": f"Bearer {token}"} for token in (key, admin))
        self._rng = random.Random(seed)
        self._number = 0
        self._charged: list[int] = []

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._number += 1
            done = self._rng.random()
            if done < 0.4:
                await self._meter(None)
            elif done < 0.9 or not self._charged:
                await self._reserve()
            else:
                await self._void(self._charged.pop())

    def _event(self) -> dict[str, Any]:
        action = self._rng.choice(ACTIONS)
        made: dict[str, Any] = {"agent_id": f"agent-{self._rng.randrange(3)}", "action": action}
        if action in MONTHLY:
            return {**made, "quantities": {"images": self._rng.randrange(3)}}
        return {**made, "tokens": self._rng.randrange(3000)}

    async def _meter(self, reservation: str | None) -> None:
        key = f"{self._name}-{self._number}"
        body = {**self._event(), "idempotency_key": key}
        if reservation is not None:
            body["reservation_id"] = reservation
        status, answer = await self._until_decided("/v1/meter", body)
        if status == 201:
            self._book.acknowledged += 1
            self._charged.append(answer["event_id"])
            self._book.note(self._owner, key, answer["event_id"], Decimal(answer["price"]["total_cents"]))

    async def _reserve(self) -> None:
        """Hold money; then settle it, release it or let it expire."""
        body: dict[str, Any] = {"idempotency_key": f"{self._name}-hold-{self._number}"}
        body |= {"ttl_seconds": self._rng.choice([1, 60])}
        if self._rng.random() < 0.5:
            body["amount_cents"] = str(Decimal(self._rng.randrange(1, 400)) / 100)
        else:
            body["estimate"] = self._event()
        status, answer = await self._until_decided("/v1/reservations", body)
        if status != 201:
            return
        id, ends = answer["reservation_id"], self._rng.random()
        if ends < 0.6:
            await self._meter(id)
        elif ends < 0.8:
            await self._until_decided(f"/v1/reservations/{id}/release", None)

    async def _void(self, event: int) -> None:
        """Take back an event, which may not be in the ledger yet."""
        await self._until_decided(f"/api/admin/events/{event}/void", {"reason": "torture"}, self._admin)

    async def _until_decided(
        self, path: str, body: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        while True:
            status, answer = await self._post(path, body, headers or self._key)
            if status in (200, 201) or status in REFUSED:
                if status in REFUSED:
                    self._book.count(f"{status} {answer.get('code')}")
                return status, answer
            if status not in (0, 202, 429, 503):
                self._book.errors.append(f"{path}: {status} {answer}")
                return status, answer
            await asyncio.sleep(0.1 * self._rng.uniform(0.5, 1))

    async def _post(
        self, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        try:
            skip = ("Content-Type",) if body is None else ()
            url = self._url + path
            async with self._session.post(url, json=body, headers=headers, skip_auto_headers=skip) as response:
                return response.status, json.loads(await response.read(), parse_float=Decimal, parse_int=int)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._book.count(type(error).__name__)
            return 0, {}


ORDERED = """
SELECT customer_id || if(test, '/test', '/live') AS owner, event_id, total_cents,
    sum(total_cents) OVER (PARTITION BY customer_id, test ORDER BY event_id) AS spent
FROM rev.entries WHERE kind IN ('event', 'charge', 'void') AND customer_id IN ({customers})
"""
DRAWN = """
SELECT draw.1 AS grant, event_id,
    sum(draw.2) OVER (PARTITION BY draw.1 ORDER BY event_id ROWS UNBOUNDED PRECEDING) AS drawn
FROM rev.entries ARRAY JOIN draws AS draw
"""
GRANTED = (
    "SELECT event_id, JSONExtractString(detail, 'customer_id'), JSONExtractRaw(detail, 'amount_cents') FROM rev.entries"
)


def check_spending(running: RunningStack) -> None:
    """At no entry of the log is a hard budget exceeded by a pico-cent or a grant drawn for more than it holds; what is
    left is the same in the shard and in the ledger, and nothing is held once everything has ended."""
    customers = ", ".join(f"'{customer}'" for customer in CUSTOMERS)
    spent = running.sql(f"SELECT toString(max(spent)) FROM ({ORDERED.format(customers=customers)})")
    assert 0 < Decimal(spent) <= LIMIT
    most = {
        id: (customer, Decimal(cents.strip('"')))
        for id, customer, cents in _rows(running, f"{GRANTED} WHERE config_type = 'credit.granted' FORMAT TSV")
    }
    bounds = "SELECT grant, max(drawn), min(drawn), argMax(drawn, event_id)"
    drawn = _rows(running, f"{bounds} FROM ({DRAWN}) GROUP BY grant FORMAT TSV")
    left = {id: amount for id, (_, amount) in most.items()}
    for id, high, low, last in drawn:
        assert Decimal(low) >= 0 and Decimal(high) <= most[id][1], f"grant {id} of {most[id]}: {low} to {high} drawn"
        left[id] -= Decimal(last)
    for customer in CUSTOMERS:
        _, shown = running.call("GET", f"/api/admin/budgets?customer_id={customer}")
        totals = running.sql(
            "SELECT test, toString(sum(total_cents)) FROM rev.entries"
            f" WHERE kind IN ('event', 'charge', 'void') AND customer_id = '{customer}' GROUP BY test FORMAT TSV"
        )
        by_mode = {line.split("\t")[0] in ("1", "true"): line.split("\t")[1] for line in totals.splitlines()}
        for budget in shown["budgets"]:
            assert Decimal(str(budget["spent_cents"])) == Decimal(by_mode[budget["test"]])
            assert "held_cents" not in budget, budget
        balances = Decimal(0)
        for mode in ("live", "test"):
            _, balance = running.call("GET", f"/api/admin/credits?customer_id={customer}&mode={mode}")
            assert "held_cents" not in balance, balance
            balances += Decimal(str(balance["balance_cents"]))
        assert balances == sum((cents for id, cents in left.items() if most[id][0] == customer), Decimal(0))


def _rows(running: RunningStack, query: str) -> list[list[str]]:
    return [line.split("\t") for line in running.sql(query).splitlines()]
