"""Random interleavings of everything that can happen to outcomes, over HTTP, against a model of our own."""

import json
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.outcomes.api import Answer, Api, Stack, ahead
from tests.integration.outcomes.model import Customer, Outcome, Wanted

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
STEPS = 80
PRICES = ["0", "0.000000000001", "0.25", "4900.5", "1000000000"]
BONUSES = ["0", "500", "0.000000000001"]
EVIDENCE: list[dict[str, Any] | None] = [None, {"deal": 1}, {"deal": 1, "by": "ü"}]
LATER = ahead(3600)


class Player:
    """One customer: what is sent and what must come back."""

    def __init__(self, here: Stack, api: Api, name: str, rng: random.Random, eventually: Eventually) -> None:
        self._here, self._api, self.name, self._rng, self._eventually = here, api, name, rng, eventually
        self.model = Customer()
        self._bonus = Decimal(500)
        self._token = Decimal(0)
        self._numbers = count()
        self._repeated = False
        """Whether the last answer took more than one try."""
        self.others: list[Player] = []

    async def step(self) -> None:
        moves = [self._register, self._pending, self._resolve, self._read, self._void, self._lapse, self._reprice]
        (move,) = self._rng.choices(moves, [6, 5, 10, 4, 4, 1, 1])
        await move()

    async def _register(self) -> None:
        key, task = self._key(), f"t{self._rng.randrange(12)}"
        prices = {name: self._rng.choice(PRICES) for name in ("price_on_success", "price_on_failure")}
        on_expiry = self._rng.choice(["failure", "success"])
        request = {"task_id": task, "agent_id": "a", "on_expiry": on_expiry, "expires_at": LATER, **prices}
        if key is not None and key in self.model.keys and self._rng.random() < 0.5:
            request = self._again(key) or request
        wanted = self.model.register(key, request)
        answer = await self._send("/v1/outcomes", request, key)
        self._hold(answer, wanted)
        if wanted == Wanted(201):
            shown = answer.body
            assert (shown["status"], shown["task_id"], shown["charge_cents"]) == ("pending", request["task_id"], None)
            success, failure = Decimal(request["price_on_success"]), Decimal(request["price_on_failure"])
            made = Outcome(shown["outcome_id"], request["task_id"], success, failure, request["on_expiry"])
            assert (Decimal(shown["price_on_success_cents"]), Decimal(shown["price_on_failure_cents"])) == (
                made.success, made.failure,
            )  # fmt: skip
            self.model.did_open(key, request, answer, made)

    async def _pending(self) -> None:
        key, tokens = self._key(), self._rng.randrange(3)
        on_expiry = self._rng.choice(["failure", "success"])
        request = {
            "agent_id": "a", "action": "email.sent", "tokens": tokens, "outcome": "pending", "on_expiry": on_expiry,
            "expires_at": LATER,
        }  # fmt: skip
        wanted = self.model.repeat(key, request) or Wanted(201)
        answer = await self._send("/v1/meter", request, key)
        self._hold(answer, wanted)
        if wanted == Wanted(201):
            total = 1 + tokens * self._token
            assert Decimal(answer.body["price"]["total_cents"]) == total
            made = Outcome(answer.body["outcome_id"], None, self._bonus, Decimal(0), on_expiry, total)
            self.model.did_open(key, request, answer, made)

    async def _resolve(self) -> None:
        key, target = self._key(), self._target()
        success, evidence = self._rng.random() < 0.6, self._rng.choice(EVIDENCE)
        wanted = self.model.resolve(key, target, success, evidence)
        form = {"outcome": "success" if success else "failure"} if self._rng.random() < 0.5 else {"success": success}
        body = {**form, **({} if evidence is None else {"metadata" if "outcome" in form else "evidence": evidence})}
        answer = await self._send(f"/v1/outcomes/{target}/resolve", body, key)
        self._hold(answer, wanted)
        outcome = self.model.find(target)
        if answer.status == 409 and wanted.code != "idempotency_conflict":
            assert outcome is not None and answer.body["status"] == outcome.status
        if wanted == Wanted(200):
            charge = self.model.did_resolve(key, target, success, evidence, answer)
            assert outcome is not None and Decimal(answer.body["charge_cents"]) == charge
            assert (answer.body["status"], answer.body["evidence"]) == (outcome.status, evidence)

    async def _read(self) -> None:
        target = self._target()
        outcome = self.model.find(target)
        answer = await self._patient(lambda: self._api.get(f"/v1/outcomes/{target}"))
        assert answer.status == (404 if outcome is None else 200), answer
        if outcome is not None:
            charge = answer.body["charge_cents"]
            assert (answer.body["status"], answer.body["outcome_id"]) == (outcome.status, outcome.id)
            assert charge is None if outcome.status == "pending" else Decimal(charge) == outcome.charge
            assert answer.body["voided"] is (outcome.worthless or outcome.charge_void is not None)

    async def _void(self) -> None:
        if not self.model.outcomes:
            return
        outcome = self._rng.choice(list(self.model.outcomes.values()))
        if self._rng.random() < 0.5 and outcome.task is None:
            event = outcome.id.removeprefix("oc_")
            answer = await self._take_back(f"/api/admin/events/{event}/void")
            self._hold_void(answer, outcome.event_void, -outcome.paid)
            outcome.event_void = answer.body
            outcome.worthless = outcome.worthless or outcome.status == "pending"
            return
        answer = await self._take_back(f"/api/admin/outcomes/{outcome.id}/void")
        if outcome.charge == 0:
            assert (answer.status, answer.body["code"]) == (409, "nothing_charged"), answer
            return
        self._hold_void(answer, outcome.charge_void, -outcome.charge)
        outcome.charge_void = answer.body

    async def _lapse(self) -> None:
        """One whose time comes: nobody resolves it, the expirer or a look ends it. On a slow machine
        it may have come before the gateway looks; then there is no such outcome."""
        task, on_expiry = f"short-{next(self._numbers)}", self._rng.choice(["failure", "success"])
        request = {"task_id": task, "agent_id": "a", "price_on_success": "77", "price_on_failure": "0.125"}
        request |= {"on_expiry": on_expiry, "expires_at": ahead(0.8)}
        answer = await self._send("/v1/outcomes", request, None)
        assert answer.status == 201 or "expires_at" in answer.body["error"], answer
        shown = Answer(0, {}, False)

        async def over() -> bool:
            nonlocal shown
            shown = await self._api.get(f"/v1/outcomes/{task}")
            return shown.status == 404 or (shown.status == 200 and shown.body["status"] == "expired")

        await self._eventually(over)
        if shown.status == 404:
            assert answer.status == 400
            return
        made = Outcome(shown.body["outcome_id"], task, Decimal(77), Decimal("0.125"), on_expiry)
        self.model.did_open(None, request, answer, made)
        self.model.end(made, "expired", shown.body)
        assert Decimal(shown.body["charge_cents"]) == made.charge

    async def _reprice(self) -> None:
        """A new bonus: what is open keeps the one that held when it was opened."""
        bonus = self._rng.choice(BONUSES)
        body = {
            "action_type": "email.sent", "customer_id": self.name, "base_rate_cents": 1, "token_rate_cents": 0.5,
            "outcome_bonus_cents": bonus,
        }  # fmt: skip
        answer = await self._patient(lambda: self._here.admin.post("/api/admin/pricing", body))
        assert answer.status == 201, answer
        self._bonus, self._token = Decimal(bonus), Decimal("0.5")

    async def sums_agree(self) -> None:
        """Usage: everything charged, less what was voided, and what open outcomes would add."""
        outcomes = self.model.outcomes.values()
        charges = sum(((Decimal(0) if o.charge_void else o.charge) for o in outcomes), Decimal(0))
        total = sum((o.owed for o in outcomes), Decimal(0))
        pending = sum((o.success for o in outcomes if o.status == "pending" and not o.worthless), Decimal(0))
        wanted = (total, charges, pending)

        async def agree() -> bool:
            answer = await self._api.get("/v1/usage?period=24h")
            names = ("total_cents", "charge_cents", "pending_cents")
            return answer.status == 200 and tuple(Decimal(answer.body["summary"][name]) for name in names) == wanted

        await self._eventually(agree)

    def _key(self) -> str | None:
        return f"k{self._rng.randrange(15)}" if self._rng.random() < 0.4 else None

    def _again(self, key: str) -> dict[str, Any] | None:
        """The registration that a key stands for."""
        known = json.loads(self.model.keys[key][0])
        return known if isinstance(known, dict) and "task_id" in known else None

    def _target(self) -> str:
        known = list(self.model.outcomes) + list(self.model.tasks)
        foreign = [id for other in self.others for id in other.model.outcomes]
        if foreign and self._rng.random() < 0.08:
            return self._rng.choice(foreign)
        return self._rng.choice(known) if known and self._rng.random() < 0.95 else "nothing"

    async def _send(self, path: str, body: dict[str, Any], key: str | None) -> Answer:
        """What opens something always has a key, as it could not be sent again without one."""
        if key is None and not path.endswith("/resolve"):
            key = f"own-{next(self._numbers)}"
        sent = body if key is None else {**body, "idempotency_key": key}
        return await self._patient(lambda: self._api.post(path, sent))

    async def _take_back(self, path: str) -> Answer:
        return await self._patient(lambda: self._here.admin.post(path, {"reason": "model"}))

    async def _patient(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """The first definite answer. On a slow machine it may be a repeat of one that never came."""
        last, tries = Answer(0, None, False), 0

        async def answered() -> bool:
            nonlocal last, tries
            last, tries = await send(), tries + 1
            return last.status not in (202, 429, 503)

        await self._eventually(answered, timeout=60)
        self._repeated = tries > 1
        return last

    def _hold(self, answer: Answer, wanted: Wanted) -> None:
        assert answer.status == wanted.status, (answer, wanted)
        assert answer.replayed == wanted.replayed or self._repeated, (answer, wanted)
        if wanted.code:
            assert answer.body["code"] == wanted.code, (answer, wanted)
        if wanted.body is not None:
            assert answer.body == wanted.body

    def _hold_void(self, answer: Answer, first: Any, total: Decimal) -> None:
        assert answer.status == (201 if first is None else 200) or self._repeated, answer
        assert first in (None, answer.body)
        assert Decimal(answer.body["total_cents"]) == total


@pytest.mark.parametrize("seed", range(2))
async def test_any_interleaving_is_as_the_model_says(here: Stack, eventually: Eventually, seed: int) -> None:
    """Same answers, same states, same charges to the last decimal, for three customers beside each other."""
    rng = random.Random(seed)
    players = []
    for number in range(3):
        name = f"model-{uuid4().hex[:8]}-{number}"
        players.append(Player(here, await here.customer(name), name, rng, eventually))
    for player in players:
        player.others = [other for other in players if other is not player]
    for _ in range(STEPS):
        await rng.choice(players).step()
    for player in players:
        assert player.model.outcomes
        await player.sums_agree()
