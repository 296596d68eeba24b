"""Load that is invoiced: events of this month and of earlier ones, voids of them, and payments. All of it is repeated
until it is answered."""

import asyncio
import random
from typing import Any

import aiohttp

from schemas.limits import DAY
from schemas.objects import iso
from tests.crash.clients import Agent, Book

LATE = 2 * DAY
"""ms before the end of a month in which its late events happened."""
VOIDS = 10
"""Voids at a time."""
PAUSE = 0.5
"""Seconds between these, between payments and between tries."""


class LateAgent(Agent):
    """An agent of which most events happened shortly before ``end``, ms since the epoch."""

    def __init__(self, end: int, *of_agent: Any) -> None:
        super().__init__(*of_agent)
        self._end = end

    def _event(self) -> dict[str, Any]:
        made = super()._event()
        if self._rng.random() < 0.7:
            made["timestamp"] = iso(self._end - self._rng.randrange(1, LATE))
        return made


class Clerk:
    """Voids random events of ``book`` that are charged to live customers, and pays parts of open invoices."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, book: Book, seed: int) -> None:
        self._session, self._url, self._book = session, url, book
        self._headers = {"Authorization": f"Bearer {token}"}
        self._rng = random.Random(seed)
        self.paid = 0

    async def void(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(PAUSE)
            events = [id for (owner, _), (id, _) in self._book.prices.items() if owner.endswith("/live")]
            await asyncio.gather(
                *(
                    # a repeat is a 200, or a 409 if it is not voidable any more
                    self._until_done(f"/api/admin/events/{event}/void", {"reason": "torture"}, (200, 201, 409))
                    for event in self._rng.sample(events, min(VOIDS, len(events)))
                )
            )

    async def pay(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(PAUSE)
            _, page = await self._call("GET", "/api/admin/invoices?state=final", None)
            invoices = page.get("invoices", [])
            for invoice in self._rng.sample(invoices, min(1, len(invoices))):
                self.paid += 1
                cents = self._rng.randint(1, invoice["balance_cents"])
                payment = {"reference": f"wire {self.paid}", "amount_cents": cents}
                # credited or paid meanwhile, less may be due
                await self._until_done(f"/api/admin/invoices/{invoice['number']}/payments", payment, (200, 400, 409))

    async def _until_done(self, path: str, body: Any, done: tuple[int, ...]) -> None:
        while True:
            status, answer = await self._call("POST", path, body)
            if status in done:
                return
            if status not in (0, 202, 404, 429, 503):
                self._book.errors.append(f"{path}: {status} {answer}")
                return
            await asyncio.sleep(PAUSE)

    async def _call(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        try:
            async with self._session.request(method, self._url + path, json=body, headers=self._headers) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}
