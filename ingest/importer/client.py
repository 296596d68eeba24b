"""The importer's HTTP client: one request, repeated until it has an answer. No decisions.

ImportStopped     the import cannot go on
├── Unreachable   no answer for as long as we were told to be patient
└── Refused       an answer that repeating cannot change
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import aiohttp
import msgspec

AGAIN = (429, 500, 502, 503, 504)
"""Statuses that a later try may change; 5xx other than 503 come from proxies on the way."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between tries: doubled each time, with jitter."""
REQUEST_LIMIT = 60.0


class ImportStopped(Exception):
    """The import cannot go on; the message is for a person."""


class Unreachable(ImportStopped):
    """No answer for as long as we were told to be patient."""


class Refused(ImportStopped):
    """An answer that repeating cannot change, such as 401."""


class Result(msgspec.Struct):
    """What became of one event of a batch. ``total_cents``: JSON number in cents, or null."""

    event_id: int
    total_cents: msgspec.Raw = msgspec.Raw(b"null")
    replayed: bool = False


class Charged(msgspec.Struct):
    """The answer to a batch, in the order of its events."""

    results: list[Result]


class Answer(NamedTuple):
    """``unsure``: an earlier try of this request may have been recorded."""

    status: int
    body: bytes
    unsure: bool

    @property
    def error(self) -> str:
        return str(self.fields().get("error", self.body[:200].decode(errors="replace")))

    def fields(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Client:
    """Speaks to one Rev as one key. ``pause`` sleeps seconds; passed in, so that no test does."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: str,
        *,
        customer: str | None = None,
        patience: float = 120.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._session, self._url = session, url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._customer, self._patience = customer, patience
        self._pause, self._monotonic, self._wall = pause, monotonic, wall
        self._rng = rng or random.Random()
        self._heard = monotonic()
        self._ahead = 0
        self.retries = 0

    def now(self) -> int:
        """UTC milliseconds by the server's clock, as its last answer told it (to 1 s)."""
        return int(self._wall() * 1000) + self._ahead

    async def check(self) -> None:
        """One harmless call, so that a wrong address or key ends the import before it begins."""
        await self._settled("GET", "/v1/pricing", self._query({}))

    async def find(self, key: str) -> dict[str, Any] | None:
        """The charged event with this idempotency key, if the ledger shows one."""
        answer = await self._settled("GET", "/v1/events", self._query({"idempotency_key": key, "limit": "10"}))
        events: list[dict[str, Any]] = answer.fields().get("events", [])
        # A refused event keeps its key in the ledger, but was never charged.
        return next((event for event in events if event.get("status") != "rejected"), None)

    async def meter(self, events: list[dict[str, Any]]) -> Answer:
        """POST one batch; 201, 202, 400, 409 and 413 are answers, anything else raises."""
        body: dict[str, Any] = {"events": events}
        if self._customer is not None:
            body["customer_id"] = self._customer
        data = msgspec.json.encode(body)
        answer = await self._ask("POST", "/v1/meter/batch", {}, data)
        if answer.status not in (201, 202, 400, 409, 413):
            raise self._refused("POST /v1/meter/batch", answer)
        return answer

    async def wait(self, tries: int, asked: float = 0.0) -> None:
        """Pause before try number ``tries`` + 1: backoff with jitter, at least what was asked for."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 20))
        await self._pause(max(pause * self._rng.uniform(0.5, 1.0), asked))

    def _query(self, query: dict[str, str]) -> dict[str, str]:
        return query if self._customer is None else {**query, "customer_id": self._customer}

    async def _settled(self, method: str, path: str, query: Mapping[str, str]) -> Answer:
        answer = await self._ask(method, path, query, None)
        if answer.status != 200:
            raise self._refused(f"{method} {path}", answer)
        return answer

    def _refused(self, what: str, answer: Answer) -> Refused:
        return Refused(f"{what} was answered {answer.status}: {answer.error}")

    async def _ask(self, method: str, path: str, query: Mapping[str, str], data: bytes | None) -> Answer:
        unsure, tries = False, 0
        while True:
            asked = 0.0
            try:
                async with self._session.request(
                    method,
                    self._url + path,
                    params=query,
                    data=data,
                    headers={**self._headers, **({"Content-Type": "application/json"} if data else {})},
                    timeout=aiohttp.ClientTimeout(total=REQUEST_LIMIT),
                ) as response:
                    body = await response.read()
                    self._note_clock(response.headers.get("Date"))
                    if response.status not in AGAIN:
                        self._heard = self._monotonic()
                        return Answer(response.status, body, unsure)
                    problem = f"{response.status}: {body[:200].decode(errors='replace')}"
                    asked = _seconds(response.headers.get("Retry-After"))
                    unsure = unsure or (response.status != 429 and b"not_recorded" not in body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem, unsure = f"{type(error).__name__}: {error}", True
            if self._monotonic() - self._heard > self._patience:
                raise Unreachable(f"{self._url} has not answered for {self._patience:g} s; the last try: {problem}")
            self.retries += 1
            await self.wait(tries, asked)
            tries += 1

    def _note_clock(self, date: str | None) -> None:
        if date is None:
            return
        try:
            theirs = int(parsedate_to_datetime(date).timestamp()) * 1000
        except ValueError:
            return  # a date that cannot be read tells nothing about the clock
        ahead = theirs - int(self._wall() * 1000)
        # The header counts whole seconds, so a smaller difference is none.
        self._ahead = ahead if abs(ahead) > 2000 else 0


def _seconds(retry_after: str | None) -> float:
    """Seconds of a Retry-After header, at most 30; 0 when there is none that we understand."""
    return min(30.0, float(retry_after)) if retry_after and retry_after.isdigit() else 0.0
