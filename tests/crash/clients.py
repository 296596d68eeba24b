"""Agents under test: they send events with keys and retry until they hold a price.

What they were told is kept in a Book, to be held against the ledger afterwards.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from bench.running_stack import RunningStack

STEP = "torture.step"
"""The action whose base price only ever grows, one cent a change."""
LISTED = "torture.listed"
"""The action with rates of quantities, and rows of its own for a model and for a model and provider."""
RATES = {
    "input": {"rate": 250, "per": 1_000_000},
    "cache_read": {"rate": "25", "per": 1_000_000},
    "images": 1.5,
    "audio_seconds": {"rate": "0.006", "per": 60},
}
CAP = "123.45"
MONTHLY = ("torture.steps", "torture.volume", "torture.capped")
"""Actions with graduated steps, with volume steps and a minimum, and with a cap that traffic soon reaches."""
TIERS = {
    "event": [{"up_to": 50, "rate": 0}, {"up_to": None, "rate": 2}],
    "input": [{"up_to": 1_000_000, "rate": 300, "per": 1_000_000}, {"up_to": None, "rate": 200, "per": 1_000_000}],
    "images": [{"up_to": "20.5", "rate": 1}, {"up_to": None, "rate": "0.5"}],
}
LIST = [
    {"action_type": MONTHLY[0], "tiers": TIERS},
    {"action_type": MONTHLY[1], "tiers": TIERS, "tier_mode": "volume", "minimum_cents": 100_000},
    {"action_type": MONTHLY[2], "base_rate_cents": "0.37", "rates": {"images": "1.25"}, "cap_cents": CAP},
    {"action_type": LISTED, "base_rate_cents": 1, "token_rate_cents": "0.0003", "rates": RATES},
    {"action_type": LISTED, "model": "m", "rates": {**RATES, "output": "0.00125"}, "ignore_unknown": True},
    {"action_type": LISTED, "model": "m", "provider": "p", "base_rate_cents": 7, "rates": RATES},
]
"""The rows that :func:`set_list` puts into force."""


@dataclass
class Book:
    """Everything that was answered, by customer/mode and key: (event id, total in cents)."""

    prices: dict[tuple[str, str], tuple[int, Decimal]] = field(default_factory=dict)
    times: dict[int, str] = field(default_factory=dict)
    """By event id: when single events were accepted, as they were answered."""
    acknowledged: int = 0
    replays: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    floor: int = 0
    """The highest step price whose change was answered."""
    changes: int = 0

    def note(self, customer: str, key: str, event_id: int, total: Decimal) -> None:
        """Keep an answer; the same key must always get the same one."""
        known = self.prices.setdefault((customer, key), (event_id, total))
        if known != (event_id, total):
            self.errors.append(f"{customer} {key}: answered {known}, then {(event_id, total)}")

    def count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1


class Agent:
    """One client of one customer and mode. Sends until told to stop, then settles what is open. The clients of
    both modes of a customer use the same idempotency keys."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, customer: str, mode: str, key: str, book: Book, seed: int
    ) -> None:
        self._session, self._url, self._book = session, url, book
        self._customer, self._name = customer, f"{customer}/{mode}"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._rng = random.Random(seed)
        self._sent: list[tuple[str, dict[str, Any]]] = []
        self._number = 0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._sent and self._rng.random() < 0.1:
                path, body = self._rng.choice(self._sent)
                self._book.replays += 1
            else:
                path, body = self._new()
                self._sent.append((path, body))
            await self._until_priced(path, body)

    async def again(self) -> None:
        """Send everything once more: nothing may be charged and every answer is the first one."""
        for path, body in self._sent:
            await self._until_priced(path, body)

    def _event(self) -> dict[str, Any]:
        self._number += 1
        made: dict[str, Any] = {
            "agent_id": f"agent-{self._rng.randrange(5)}",
            "action": self._rng.choice(["chat", "completion", "tool_call", STEP]),
            "tokens": self._rng.randrange(5000),
            "idempotency_key": f"{self._customer}-{self._number}",
        }
        if self._rng.random() < 0.25:
            made |= {"action": LISTED, "quantities": self._quantities()}
            made["model"] = self._rng.choice([None, "m", "n"])
            made["provider"] = self._rng.choice([None, "p"])
            del made["tokens"]
        elif self._rng.random() < 0.3:
            made |= {"action": self._rng.choice(MONTHLY), "quantities": {"images": self._rng.randrange(4)}}
            del made["tokens"]
            if made["action"] != MONTHLY[2]:
                made["quantities"]["input"] = self._rng.randrange(100_000)
        if self._rng.random() < 0.3:
            made["outcome"] = "success"
        if self._rng.random() < 0.3:
            made["metadata"] = {"run": self._number, "note": 'ünï "quoted"\n'}
        return made

    def _quantities(self) -> dict[str, Any]:
        rng = self._rng
        return {
            "input": rng.randrange(100_000),
            "cache_read": rng.randrange(100_000),
            "output": rng.randrange(5000),
            "images": rng.randrange(4),
            "audio_seconds": f"{rng.randrange(10**9) / Decimal(10**6):f}",
        }

    def _new(self) -> tuple[str, dict[str, Any]]:
        if self._rng.random() < 0.5:
            return "/v1/meter", self._event()
        return "/v1/meter/batch", {"events": [self._event() for _ in range(self._rng.randrange(1, 30))]}

    async def _until_priced(self, path: str, body: dict[str, Any]) -> None:
        delay = 0.05
        while True:
            floor = self._book.floor
            status, answer, replayed = await self._post(path, body)
            if status == 201:
                self._keep(body, answer, floor, replayed)
                return
            if status not in (0, 202, 429, 503):
                self._book.errors.append(f"{path}: {status} {answer}")
                return
            await asyncio.sleep(delay * self._rng.uniform(0.5, 1))
            delay = min(0.25, delay * 2)  # what a kill costs is measured by these answers

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], bool]:
        try:
            async with self._session.post(self._url + path, json=body, headers=self._headers) as response:
                answer = json.loads(await response.read(), parse_float=Decimal, parse_int=int)
                if response.status == 202:
                    self._book.accepted += 1
                elif response.status != 201:
                    self._book.count(f"{response.status} {answer.get('code')}")
                return response.status, answer, response.headers.get("Idempotent-Replayed") == "true"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._book.count(type(error).__name__)
            return 0, {}, False

    def _keep(self, body: dict[str, Any], answer: dict[str, Any], floor: int, replayed: bool) -> None:
        self._book.acknowledged += 1
        if "results" in answer:
            for event, result in zip(body["events"], answer["results"], strict=True):
                total = Decimal(result["total_cents"])
                self._book.note(self._name, event["idempotency_key"], result["event_id"], total)
            return
        total = Decimal(answer["price"]["total_cents"])
        self._book.note(self._name, body["idempotency_key"], answer["event_id"], total)
        if self._book.times.setdefault(answer["event_id"], answer["created_at"]) != answer["created_at"]:
            self._book.errors.append(f"{answer['event_id']}: accepted {answer['created_at']}, and at another time")
        if body["action"] == STEP and not replayed:
            base = int(answer["price"]["config"]["base_rate_cents"])
            if base < floor:
                self._book.errors.append(f"{body['idempotency_key']}: priced at step {base}, in force was {floor}")


def fund(running: RunningStack, customers: set[str]) -> None:
    """Give each customer of both modes budgets that do not refuse, and credit that is used up on the way."""
    for customer in sorted(customers):
        for test in (False, True):
            of = {"customer_id": customer, "test": test}
            made: list[tuple[str, dict[str, Any]]] = [
                ("budgets", {**of, "scope": "all", "period": "month", "limit_cents": 500, "hard": False}),
                (
                    "budgets",
                    {**of, "scope": "action", "value": "chat", "period": "day", "limit_cents": 10**9, "hard": True},
                ),
                ("credits", {**of, "amount_cents": "321.5", "reason": "first"}),
                ("credits", {**of, "amount_cents": 1000, "reason": "second", "priority": 60}),
            ]
            for path, body in made:
                status, answer = running.call("POST", f"/api/admin/{path}", body)
                assert status == 201, answer


def set_list(running: RunningStack) -> None:
    """Put the rows of LIST into force, which every agent's events need."""
    for row in LIST:
        status, answer = running.call("POST", "/api/admin/pricing", row)
        assert status == 201, answer


async def raise_price(session: aiohttp.ClientSession, url: str, token: str, book: Book, stop: asyncio.Event) -> None:
    """Raise the step price by one cent again and again; each answer raises the floor."""
    step = book.floor
    while not stop.is_set():
        step += 1
        if not await _set_price(session, url, token, step):
            # what was `unknown` may still land: give it time, then set the same price again
            await asyncio.sleep(1)
            step -= 1
            continue
        book.floor, book.changes = step, book.changes + 1
        await asyncio.sleep(0.1)


async def _set_price(session: aiohttp.ClientSession, url: str, token: str, step: int) -> bool:
    body = {"action_type": STEP, "base_rate_cents": step, "token_rate_cents": 0.0001}
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with session.post(url + "/api/admin/pricing", json=body, headers=headers) as response:
            await response.read()
            return response.status == 201
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
