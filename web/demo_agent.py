"""The demo agent of the landing page: real calls of this server's own API, streamed as they are answered.

It belongs to a test customer, so it is in no total. It works only while somebody watches, one call at a time, however
many watch. What it shows of a call is what the call returned, and how long it took.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import msgspec
import structlog

from schemas.limits import HOUR
from schemas.objects import Number, iso
from web.broadcast import Broadcast, Listener, frame
from web.exact_json import pico_of
from web.formats import dollars_text
from web.gateway_api import GatewayApi
from web.web_refusals import Refusal

CUSTOMER, NAME = "live-demo", "Live demo"
KEYS = "/api/admin/api-keys"
AGENTS = ("agent-copilot", "agent-support", "agent-research")
ACTIONS = ("completion", "chat", "tool_call", "search")
SHOWN = 8
"""Calls that somebody new sees at once."""
OUTCOME_PRICE = 100
"""Cents of an outcome that succeeds."""
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("web")


class DemoCall(msgspec.Struct, frozen=True):
    """A call that the agent made. ``status``: of the response; ``billed_cents``: what it charged, exact decimal text.

    ``earned_dollars`` and ``calls``: of all calls since this process started.
    """

    kind: str
    agent_id: str
    task: str | None
    endpoint: str
    status: int
    latency_ms: int
    billed_cents: str
    created_at: str
    earned_dollars: str
    calls: int


class DemoStats(msgspec.Struct, frozen=True):
    """GET /api/demo/stats: the demo customer's events and charges of the last 24 hours."""

    events_24h: int
    earned_24h_cents: Number
    earned_24h_dollars: str
    currency: str = "usd"


class Work(NamedTuple):
    """The next call."""

    kind: str
    agent: str
    task: str | None
    path: str
    body: dict[str, Any]


class DemoAgent:
    """``clock`` returns ms, ``timer`` seconds (monotonic); ``pause`` waits until the next call."""

    def __init__(
        self,
        api: GatewayApi,
        rng: Random,
        clock: Callable[[], int],
        timer: Callable[[], float],
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        self._api = api
        self._rng = rng
        self._clock = clock
        self._timer = timer
        self._pause = pause
        self._everybody = Broadcast()
        self._working: asyncio.Task[None] | None = None
        self._key = ""
        self._open: tuple[str, str] | None = None
        self._latest: deque[bytes] = deque(maxlen=SHOWN)
        self._calls = self._earned = self._tasks = 0

    def listen(self, drop: Callable[[], None]) -> Listener:
        """Return a new listener, who must ``leave``. Raises Refusal if there are too many."""
        listener = self._everybody.listen(drop)
        for one in self._latest:
            listener.offer(one)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._everybody.leave(listener)

    async def close(self) -> None:
        """End every stream and the agent's work."""
        self._everybody.end()
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    async def _work(self) -> None:
        while self._everybody:
            try:
                self._key = self._key or await self._new_key()
                await self._call(self._next())
            except Refusal as refusal:
                _log.warning("the demo agent has no key", error=refusal.sentence)
            await self._pause()

    async def _new_key(self) -> str:
        """Return a key of the demo customer, after revoking those of earlier processes. Raises Refusal."""
        for key in await self._api.whole_list(KEYS, "keys"):
            if key["customer_id"] == CUSTOMER and key["is_active"]:
                await self._api.call("DELETE", f"{KEYS}/{key['id']}")
        made = await self._api.call("POST", KEYS, {"customer_id": CUSTOMER, "customer_name": NAME, "test": True})
        return str(made["api_key"])

    def _next(self) -> Work:
        if self._open is not None:
            (agent, task), self._open = self._open, None
            success = self._rng.random() < 0.8
            return Work("outcome", agent, task, f"/v1/outcomes/{task}/resolve", {"success": success})
        agent = self._rng.choice(AGENTS)
        if self._rng.random() < 0.25:
            self._tasks += 1
            task = f"demo-{self._clock()}-{self._tasks}"
            self._open = (agent, task)
            body = {"task_id": task, "agent_id": agent, "price_on_success": OUTCOME_PRICE}
            return Work("outcome", agent, task, "/v1/outcomes", {**body, "expires_at": iso(self._clock() + HOUR)})
        outcome = "success" if self._rng.random() < 0.8 else "failure"
        body = {"agent_id": agent, "action": self._rng.choice(ACTIONS), "tokens": self._rng.randrange(200, 4000)}
        return Work("meter", agent, None, "/v1/meter", {**body, "outcome": outcome})

    async def _call(self, work: Work) -> None:
        began = self._timer()
        answer: dict[str, Any] = {}
        try:
            status, answer = await self._api.answered("POST", work.path, work.body, key=self._key)
        except Refusal as refusal:
            status = refusal.status
            if status == 401:
                self._key = ""  # revoked: another one next time
        took = round((self._timer() - began) * 1000)
        billed = billed_cents(answer)
        self._calls += 1
        self._earned += pico_of(billed)
        shown = DemoCall(
            kind=work.kind,
            agent_id=work.agent,
            task=work.task,
            endpoint=f"POST {work.path}",
            status=status,
            latency_ms=took,
            billed_cents=str(billed),
            created_at=iso(self._clock()),
            earned_dollars=dollars_text(self._earned),
            calls=self._calls,
        )
        made = frame("call", _encode(shown).decode())
        self._latest.append(made)
        self._everybody.send(made)


def billed_cents(answer: dict[str, Any]) -> Decimal | int:
    """Return the exact cents that a response says were charged."""
    if "price" in answer and answer["price"] is not None:
        cents: Decimal | int = answer["price"]["total_cents"]
        return cents
    return answer.get("charge_cents") or 0
