"""A gateway in memory for tests of clients: idempotent batches, a lagging ledger, faults.

It keeps the part of docs/api.md that the importer leans on: batches validated and charged
all or nothing, keys remembered until `forget`, and GET /v1/events by key from a ledger that
shows a charge only when `lag` further requests have come. No file, no clock, no randomness:
what goes wrong is a list of faults, taken one for each batch.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from schemas.money import PICO, format_cents

DEFAULTS = {"completion": (PICO // 2, 300_000_000), "chat": (PICO // 10, 100_000_000)}
"""Action to (base, per token), in pico-cents."""


class MemoryGateway:
    """``faults``: what happens to the batches in turn; None or no fault left is none.

    not_recorded: 503 before anything is charged. unknown: charged, answered 503. drop:
    charged, the connection closed. accepted: 202, priced when it comes again. busy: 429.
    """

    def __init__(self, prices: Mapping[str, tuple[int, int]] = DEFAULTS, key: str = "rg_test") -> None:
        self.prices, self.key = dict(prices), key
        self.faults: list[str | None] = []
        self.lag = 0
        self.max_body = 2 << 20
        self.refuse_times = False
        """Whether every timestamp is out of bounds, as with a short window."""
        self.charged: list[dict[str, Any]] = []
        """Charged events in order, each with its total in pico-cents as ``pico``."""
        self.batches = 0
        self.probes = 0
        self._remembered: dict[str, tuple[dict[str, Any], int]] = {}
        self._requests = 0

    def forget(self) -> None:
        """The idempotency window passes."""
        self._remembered.clear()

    @property
    def pico(self) -> int:
        return sum(int(event["pico"]) for event in self.charged)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=32 << 20)
        app.router.add_get("/v1/pricing", self._pricing)
        app.router.add_get("/v1/events", self._events)
        app.router.add_post("/v1/meter/batch", self._batch)
        return app

    def _authorized(self, request: web.Request) -> None:
        self._requests += 1
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise web.HTTPUnauthorized(text=json.dumps({"error": "unknown key", "code": "unauthorized"}))

    async def _pricing(self, request: web.Request) -> web.Response:
        self._authorized(request)
        return web.json_response({"configs": []})

    async def _events(self, request: web.Request) -> web.Response:
        self._authorized(request)
        self.probes += 1
        key = request.query["idempotency_key"]
        shown = [e for e in self.charged if e["idempotency_key"] == key and e["seen"] <= self._requests]
        return web.json_response({"events": [_as_shown(event) for event in shown], "next_cursor": None})

    async def _batch(self, request: web.Request) -> web.Response:
        self._authorized(request)
        self.batches += 1
        body = await request.read()
        fault = self.faults.pop(0) if self.faults else None
        if fault == "not_recorded":
            return _error(503, "not recorded", "not_recorded")
        if fault == "busy":
            return _error(429, "busy", "busy")
        if len(body) > self.max_body:
            return _error(413, "too large", "too_large")
        answer = self._charge(json.loads(body)["events"], accepted=fault == "accepted")
        if fault == "unknown":
            return _error(503, "may have been recorded", "unknown")
        if fault == "drop" and request.transport is not None:
            request.transport.close()
        return answer

    def _charge(self, events: list[dict[str, Any]], accepted: bool) -> web.Response:
        refused = [{"index": i, "error": e} for i, event in enumerate(events) if (e := self._problem(event))]
        if refused:
            return _error(400, "invalid", "invalid_request", refused)
        known = [self._remembered.get(event["idempotency_key"]) for event in events]
        clash = [
            {"index": i, "error": "same key, other body"}
            for i, k in enumerate(known)
            if k is not None and k[0] != events[i]
        ]
        if clash:
            return _error(409, "conflict", "conflict", clash)
        results = [self._one(event, k) for event, k in zip(events, known, strict=True)]
        text = ",".join(_result(number, None if accepted else pico, replayed) for number, pico, replayed in results)
        return web.Response(status=202 if accepted else 201, text=f'{{"results":[{text}],"total_cents":0}}')

    def _one(self, event: dict[str, Any], known: tuple[dict[str, Any], int] | None) -> tuple[int, int, bool]:
        if known is not None:
            return known[1], int(self.charged[known[1]]["pico"]), True
        base, rate = self.prices[event["action"]]
        pico = base + _tokens(event) * rate
        self._remembered[event["idempotency_key"]] = event, len(self.charged)
        self.charged.append({**event, "pico": pico, "seen": self._requests + self.lag})
        return len(self.charged) - 1, pico, False

    def _problem(self, event: dict[str, Any]) -> str | None:
        if event["action"] not in self.prices:
            return f"no price for action '{event['action']}'"
        if self.refuse_times and "timestamp" in event:
            return "timestamp is too far back"
        return None


def _tokens(event: Mapping[str, Any]) -> int:
    if "tokens" in event:
        return int(event["tokens"])
    return int(event.get("tokens_input", 0)) + int(event.get("tokens_output", 0))


def _as_shown(event: Mapping[str, Any]) -> dict[str, Any]:
    body = {"agent_id": event["agent_id"], "action": event["action"], "tokens": _tokens(event)}
    return {"event": body, "status": "priced", "idempotency_key": event["idempotency_key"]}


def _result(number: int, pico: int | None, replayed: bool) -> str:
    cents = "null" if pico is None else format_cents(pico)
    return f'{{"event_id":{number},"total_cents":{cents},"replayed":{"true" if replayed else "false"}}}'


def _error(status: int, text: str, code: str, errors: list[dict[str, Any]] | None = None) -> web.Response:
    body: dict[str, Any] = {"error": text, "code": code}
    if errors:
        body["errors"] = errors
    return web.json_response(body, status=status, headers={"Retry-After": "0"} if status in (429, 503) else None)
