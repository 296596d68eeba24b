"""The importer's HTTP client: repeats one request until it has a response. No decisions.

ImportStopped       the import cannot go on
├── Unreachable     no response within the client's patience
└── ImportRefused   a response that repeating cannot change
"""

import asyncio
import copy
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec

from schemas.limits import MAX_BATCH_BODY
from tools.importer.gateway_responses import FoundKeys, Import, Imports, ShownRow, Voided
from tools.importer.pricing import PricingResponse

AGAIN = (429, 500, 502, 503, 504)
"""Statuses that a later try may change; 5xx other than 503 come from proxies in between."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between tries: doubled each time, with jitter."""
REQUEST_LIMIT = 60.0
PAGE = 1000

_encode = msgspec.json.Encoder().encode
_pricing = msgspec.json.Decoder(PricingResponse).decode
_found = _events = msgspec.json.Decoder(FoundKeys).decode
_import = msgspec.json.Decoder(Import).decode
_imports = msgspec.json.Decoder(Imports).decode
_voided = msgspec.json.Decoder(Voided).decode


class ImportStopped(Exception):
    """Error: the import cannot go on; the message is for a person."""


class Unreachable(ImportStopped):
    """Error: no response within the client's patience."""


class ImportRefused(ImportStopped):
    """Error: a response that repeating cannot change, such as 401."""


class _Batch(msgspec.Struct, omit_defaults=True):
    events: Sequence[Any]
    import_id: str
    customer_id: str | None = None


class _Lookup(msgspec.Struct, omit_defaults=True):
    idempotency_keys: Sequence[str]
    customer_id: str | None = None


class GatewayResponse(NamedTuple):
    """Response of the gateway. ``unsure``: an earlier try of this request may have been recorded."""

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


class ImportClient:
    """Client of one Rev with one key. ``pause`` sleeps for seconds; it is passed in so that tests need not sleep."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: str,
        *,
        patience: float = 120.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._session, self._url = session, url.rstrip("/")
        self._key = key
        self._patience = patience
        self._pause, self._monotonic, self._wall = pause, monotonic, wall
        self._rng = rng or random.Random()
        self._heard = monotonic()
        self._ahead = 0
        self.retries = 0

    async def close(self) -> None:
        await self._session.close()

    def now(self) -> int:
        """Return UTC milliseconds by the server's clock, as of its last response (to 1 s)."""
        return int(self._wall() * 1000) + self._ahead

    async def whose(self, customer: str | None) -> tuple[str | None, PricingResponse | None]:
        """Return the customer of the key and its prices; None, None for a platform key if ``customer`` is
        None. A wrong address or key ends the import here, before it begins."""
        answer = await self._ask("GET", "/v1/pricing", _query(customer), None)
        if answer.status == 400 and customer is None and "customer_id is required" in answer.error:
            return None, None
        pricing = _pricing(self._good("GET /v1/pricing", answer).body)
        return pricing.customer_id, pricing

    async def prices(self, customer: str) -> PricingResponse | None:
        """Return the prices of a platform's customer; None if there is no such customer."""
        answer = await self._ask("GET", "/v1/pricing", _query(customer), None)
        if answer.status in (400, 404):
            return None
        return _pricing(self._good("GET /v1/pricing", answer).body)

    async def meter(self, customer: str | None, import_id: str, events: Sequence[msgspec.Struct]) -> GatewayResponse:
        """Send one batch. Return a 201, 202, 400, 409 or 413 response; anything else raises."""
        body = _encode(_Batch(events, import_id, customer))
        if len(body) > MAX_BATCH_BODY:
            return GatewayResponse(413, b'{"error": "the batch is too large"}', False)
        answer = await self._ask("POST", "/v1/meter/batch", {}, body)
        if answer.status not in (201, 202, 400, 409, 413):
            raise self._refused("POST /v1/meter/batch", answer)
        return answer

    async def lookup(self, customer: str | None, keys: Sequence[str]) -> dict[str, ShownRow]:
        """Return the charged events with these idempotency keys (at most 1000), by key."""
        if not keys:
            return {}
        body = _encode(_Lookup(keys, customer))
        answer = self._good("POST /v1/events/lookup", await self._ask("POST", "/v1/events/lookup", {}, body))
        return {shown.idempotency_key: shown for shown in _found(answer.body).events}

    async def imported(self, customer: str | None, import_id: str) -> Import | None:
        """Return what the ledger has of an import; None if nothing."""
        path = f"/v1/imports/{quote(import_id, safe='')}"
        answer = await self._ask("GET", path, _query(customer), None)
        if answer.status == 404 and answer.fields().get("code") == "not_found":
            return None
        return _import(self._good(f"GET {path}", answer).body)

    async def imports(self, customer: str | None, import_id: str | None = None) -> AsyncIterator[Import]:
        """Yield all imports, or one, newest first; with a platform key and no customer, those of all customers."""
        only = {} if import_id is None else {"import_id": import_id}
        async for answer in self._pages("/v1/imports", {**_query(customer), **only}):
            for one in _imports(answer.body).imports:
                yield one

    async def events_of(self, customer: str | None, import_id: str) -> AsyncIterator[list[ShownRow]]:
        """Yield the events of an import, in pages."""
        async for answer in self._pages("/v1/events", {**_query(customer), "import_id": import_id}):
            yield _events(answer.body).events

    async def void(self, event_ids: Sequence[int], reason: str) -> Voided:
        """Void events, each once. The client must carry the admin token."""
        path = "/api/admin/events/void"
        answer = await self._ask("POST", path, {}, _encode({"event_ids": event_ids, "reason": reason}))
        return _voided(self._good(f"POST {path}", answer).body)

    def as_admin(self, token: str) -> "ImportClient":
        """Return a client with the same connection and another secret."""
        other = copy.copy(self)
        other._key = token
        return other

    async def wait(self, tries: int, asked: float = 0.0) -> None:
        """Pause before try number ``tries`` + 1: backoff with jitter, at least ``asked`` seconds."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 20))
        await self._pause(max(pause * self._rng.uniform(0.5, 1.0), asked))

    async def _pages(self, path: str, query: Mapping[str, str]) -> AsyncIterator[GatewayResponse]:
        cursor: dict[str, str] = {}
        while True:
            answer = self._good(
                f"GET {path}", await self._ask("GET", path, {**query, **cursor, "limit": str(PAGE)}, None)
            )
            yield answer
            following = answer.fields().get("next_cursor")
            if not isinstance(following, str):
                return
            cursor = {"cursor": following}

    def _good(self, what: str, answer: GatewayResponse) -> GatewayResponse:
        if answer.status != 200:
            raise self._refused(what, answer)
        return answer

    def _refused(self, what: str, answer: GatewayResponse) -> ImportRefused:
        return ImportRefused(f"{what} failed with status {answer.status}: {answer.error}")

    async def _ask(self, method: str, path: str, query: Mapping[str, str], data: bytes | None) -> GatewayResponse:
        unsure, tries = False, 0
        while True:
            asked = 0.0
            try:
                async with self._session.request(
                    method,
                    self._url + path,
                    params=query,
                    data=data,
                    headers={
                        "Authorization": f"Bearer {self._key}",
                        **({"Content-Type": "application/json"} if data else {}),
                    },
                    timeout=aiohttp.ClientTimeout(total=REQUEST_LIMIT),
                ) as response:
                    body = await response.read()
                    self._note_clock(response.headers.get("Date"))
                    if response.status not in AGAIN:
                        self._heard = self._monotonic()
                        return GatewayResponse(response.status, body, unsure)
                    problem = f"{response.status}: {body[:200].decode(errors='replace')}"
                    asked = _seconds(response.headers.get("Retry-After"))
                    unsure = unsure or (response.status != 429 and b"not_recorded" not in body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem, unsure = f"{type(error).__name__}: {error}", True
            if self._monotonic() - self._heard > self._patience:
                raise Unreachable(f"{self._url} has not answered for {self._patience:g} s; the last attempt: {problem}")
            self.retries += 1
            await self.wait(tries, asked)
            tries += 1

    def _note_clock(self, date: str | None) -> None:
        if date is None:
            return
        try:
            theirs = int(parsedate_to_datetime(date).timestamp()) * 1000
        except ValueError:
            return  # an unreadable date says nothing about the clock
        ahead = theirs - int(self._wall() * 1000)
        # The header has whole seconds, so a smaller difference is ignored.
        self._ahead = ahead if abs(ahead) > 2000 else 0


def _seconds(retry_after: str | None) -> float:
    """Return the seconds of a Retry-After header, at most 30; 0 if it is missing or not understood."""
    return min(30.0, float(retry_after)) if retry_after and retry_after.isdigit() else 0.0


def _query(customer: str | None) -> dict[str, str]:
    return {} if customer is None else {"customer_id": customer}
