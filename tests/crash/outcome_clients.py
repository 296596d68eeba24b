"""Clients of outcomes under test: they open, resolve, abandon and void, and retry until they know how it ended."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp

from tests.crash.promises import Book, Closing, Promise, milliseconds

LATER = (0, 202, 429, 503)
"""Statuses after which the same request is sent again; 0: no answer."""
BONUS = Decimal(500)
"""Of email.sent, the action of pending events."""
PLANS = ["success"] * 13 + ["failure"] * 6 + ["leave"] * 12 + ["race"] * 6 + ["void event", "void charge"]
SOON = ("leave", "race")
ASIDE = ("race", "void event", "void charge")
"""Plans that wait for something, while the client goes on."""


class Client:
    """One customer's client, with the admin's token for voids, of which ``voids`` says how many may
    be asked for at once. Open outcomes end one way or another."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        customer: str,
        key: str,
        admin: str,
        book: Book,
        voids: asyncio.Semaphore,
        seed: int,
    ) -> None:
        self._session, self._url, self._customer, self._book = session, url, customer, book
        self._key, self._admin, self._voids = key, admin, voids
        self._rng = random.Random(seed)
        self._mine: list[Promise] = []

    async def run(self, enough: Callable[[], bool]) -> None:
        """New outcomes, one after the other, until there are enough."""
        async with asyncio.TaskGroup() as aside:
            while not enough():
                if self._mine and self._rng.random() < 0.15:
                    await self._again(self._rng.choice(self._mine))
                    continue
                promise = self._promise(len(self._mine))
                await self._live(promise)
                if promise.plan in ASIDE and promise.outcome_id is not None:
                    aside.create_task(self._race(promise) if promise.plan == "race" else self._take_back(promise))

    def _promise(self, number: int) -> Promise:
        rng, plan = self._rng, self._rng.choice(PLANS)
        registered = plan != "void event" and rng.random() < 0.6
        seconds = rng.uniform(1, 5) if plan in SOON else 3600.0
        at = int((time.time() + seconds) * 1000)
        name = f"{self._customer}-{number}"
        on_expiry = rng.choice(["failure", "success"])
        body: dict[str, Any] = {"agent_id": f"a{number % 3}", "on_expiry": on_expiry, "idempotency_key": name}
        body["expires_at"] = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
        success, failure = BONUS, Decimal(0)
        if registered:
            success, failure = Decimal(rng.randrange(1, 10**6)) / 1000, rng.choice([Decimal(0), Decimal("0.125")])
            prices = {"price_on_success": str(success), "price_on_failure": str(failure)}
            body |= {"task_id": name, "success_criteria": {"n": number}, **prices}
        else:
            body |= {"action": "email.sent", "outcome": "pending", "tokens": number}
        made = Promise(self._customer, name, registered, plan, body, success, failure, on_expiry, at)
        self._book.promises.append(made)
        self._mine.append(made)
        return made

    async def _live(self, promise: Promise) -> None:
        await self._open(promise)
        if promise.outcome_id is not None and promise.plan in ("success", "failure"):
            await self._resolve(promise, promise.plan == "success")

    async def _race(self, promise: Promise) -> None:
        """Both verdicts at once, at a moment near its expiry."""
        await asyncio.sleep(self._rng.uniform(0, 5))
        await asyncio.gather(self._resolve(promise, True), self._resolve(promise, False))

    async def _take_back(self, promise: Promise) -> None:
        """An event before its verdict, or the charge after it; both need its row in the ledger."""
        if promise.plan == "void event":
            await self._void(promise, promise.event_id, f"/api/admin/events/{promise.event_id}/void")
        await self._resolve(promise, True)
        if promise.plan == "void charge":
            await self._void(promise, None, f"/api/admin/outcomes/{promise.outcome_id}/void")

    async def _again(self, promise: Promise) -> None:
        """Everything once more: nothing may change."""
        self._book.repeats += 1
        if promise.outcome_id is None or promise.expires_at > time.time() * 1000 + 60_000:
            await self._open(promise)
        if promise.closed is not None and promise.closed.verdict != "expired":
            await self._resolve(promise, promise.closed.verdict == "succeeded")

    async def _open(self, promise: Promise) -> None:
        path = "/v1/outcomes" if promise.registered else "/v1/meter"
        status, answer = await self._until(path, promise.body, self._key)
        if status == 201:
            self._book.opened(promise, answer["outcome_id"])
        elif status == 400 and "expires_at" in answer["error"] and promise.outcome_id is None:
            promise.too_late = True
        else:
            self._book.errors.append(f"{promise.name}: {path} {status} {answer}")

    async def _resolve(self, promise: Promise, success: bool) -> None:
        """Either form of address; the key belongs to the verdict."""
        target = promise.name if promise.registered and self._rng.random() < 0.5 else promise.outcome_id
        key = f"{promise.name}-{success}"
        body = {"success": success, "evidence": {"proof": promise.name}, "idempotency_key": key}
        status, answer = await self._until(f"/v1/outcomes/{target}/resolve", body, self._key)
        shown = answer.get("outcome") if status == 409 else answer
        if status not in (200, 409) or not shown:
            self._book.errors.append(f"{promise.name}: resolve {status} {answer}")
            return
        if (status == 200) != (shown["status"] == ("succeeded" if success else "failed")):
            self._book.errors.append(f"{promise.name}: resolve {success} answered {status} {answer}")
        closing = Closing(shown["status"], Decimal(shown["charge_cents"]), milliseconds(shown["resolved_at"]))
        self._book.closed(promise, closing)

    async def _void(self, promise: Promise, original: int | None, path: str) -> None:
        """Of an event or of the outcome's charge, twice: the second answer is the first."""
        for _ in range(2):
            async with self._voids:
                status, answer = await self._until(path, {"reason": "torture"}, self._admin)
            if status not in (200, 201) or original not in (None, answer.get("voided_event_id")):
                self._book.errors.append(f"{promise.name}: void {status} {answer}")
                return
            self._book.voided(promise, answer["voided_event_id"], answer["event_id"])

    async def _until(self, path: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        """The first definite answer."""
        delay = 0.05
        while True:
            status, answer = await self._post(path, body, token)
            if status not in LATER:
                return status, answer
            await asyncio.sleep(delay * self._rng.uniform(0.5, 1))
            delay = min(1.0, delay * 2)

    async def _post(self, path: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.post(self._url + path, json=body, headers=headers) as response:
                answer = json.loads(await response.read(), parse_float=Decimal, parse_int=int)
                if response.status not in (200, 201):
                    self._book.count(f"{response.status} {answer.get('code')}")
                return response.status, answer
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._book.count(type(error).__name__)
            return 0, {}
