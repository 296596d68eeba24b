"""In-memory gateway for tests of clients: idempotent batches, imports, voids, a lagging ledger, faults.

It implements the part of docs/api.md that the importer depends on: batches validated and charged all or
nothing, keys remembered until `forget` within (customer, mode), and a ledger that shows a charge only after
`lag` further requests. No file, no clock, no randomness: faults come from a list, one for each batch.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from schemas.labels import LABELS
from schemas.money import PICO, format_cents
from schemas.quantities import MICRO, TOKEN_KINDS, no_rate, parse_quantity

DEFAULTS = {"completion": (PICO // 2, 300_000_000), "chat": (PICO // 10, 100_000_000)}
"""Action to (base, per token), in pico-cents."""
ACCEPTED = "2026-04-26T12:00:00.000Z"
"""Accepted time of everything: there is no clock."""


class Key(NamedTuple):
    """API key: of a customer, or of a platform (``*``)."""

    customer: str
    test: bool = False


class Space(NamedTuple):
    """Namespace of keys and events: a customer in one mode."""

    customer: str
    test: bool


class _Number(str):
    """Text of a JSON number that is not an integer."""


class MemoryGateway:
    """Gateway in memory. ``faults``: what happens to each batch in turn; None, or an empty list, means no
    fault.

    not_recorded: 503 before anything is charged. unknown: charged, but the response is 503. drop: charged,
    but the connection is closed. accepted: 202, priced when it is repeated. busy: 429.
    """

    def __init__(self, prices: Mapping[str, tuple[int, int]] = DEFAULTS, key: str = "rg_live") -> None:
        self.prices = dict(prices)
        self.rates: dict[str, int] = {}
        """Pico-cents for one unit of each quantity, at every price."""
        self.keys = {
            key: Key("acme"),
            "rg_test": Key("acme"),
            "rg_platform": Key("*"),
            "rg_test_acme": Key("acme", True),
        }
        self.admin_token = "admin"
        self.faults: list[str | None] = []
        self.lag = 0
        self.max_body = 2 << 20
        self.refuse_times = False
        """True if every timestamp is out of bounds, as with a short window."""
        self.charged: list[dict[str, Any]] = []
        """Charged events in order: their bodies, with ``pico``, ``event_id``, ``space``, ``import_id`` and
        ``void``, the reason of their void or None."""
        self.batches = self.lookups = 0
        self._remembered: dict[tuple[Space, str], tuple[dict[str, Any], int]] = {}
        self._requests = 0

    def forget(self) -> None:
        """Forget all keys, as if the idempotency window had passed."""
        self._remembered.clear()

    def lose(self, keys: Collection[str], forget: bool) -> None:
        """Forget events with these keys as if they had never come, after ``charged`` was cut to the others."""
        numbers = {event["idempotency_key"]: number for number, event in enumerate(self.charged)}
        for number, event in enumerate(self.charged):
            event["event_id"] = number
        self._remembered = {
            (space, key): (body, numbers[key])
            for (space, key), (body, _) in ({} if forget else self._remembered).items()
            if key not in keys
        }

    def settle(self) -> None:
        """Make the ledger show everything charged."""
        for event in self.charged:
            event["seen"] = 0

    @property
    def pico(self) -> int:
        """Sum of all events that were not voided, in pico-cents."""
        return sum(int(event["pico"]) for event in self.charged if event["void"] is None)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=32 << 20)
        app.router.add_get("/v1/pricing", self._pricing)
        app.router.add_get("/v1/events", self._events)
        app.router.add_post("/v1/events/lookup", self._lookup)
        app.router.add_get("/v1/imports", self._imports)
        app.router.add_get("/v1/imports/{id}", self._import)
        app.router.add_post("/v1/meter/batch", self._batch)
        app.router.add_post("/api/admin/events/void", self._void)
        return app

    def _space(self, request: web.Request, body: Mapping[str, Any] | None = None) -> Space:
        self._requests += 1
        key = self.keys.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if key is None:
            raise web.HTTPUnauthorized(text=json.dumps({"error": "unknown key", "code": "unauthorized"}))
        named = (body or {}).get("customer_id") or request.query.get("customer_id")
        if key.customer == "*" and named is None:
            raise web.HTTPBadRequest(
                text=json.dumps({"error": "customer_id is required with a platform key", "code": "invalid_request"})
            )
        if key.customer != "*" and named not in (None, key.customer):
            raise web.HTTPForbidden(text=json.dumps({"error": "not this key's customer", "code": "forbidden"}))
        return Space(named or key.customer, key.test)

    async def _pricing(self, request: web.Request) -> web.Response:
        space = self._space(request)
        rates = _json({name: {"rate": _Number(format_cents(rate)), "per": 1} for name, rate in self.rates.items()})
        rows = ",".join(
            f'{{"action_type":{json.dumps(action)},"base_rate_cents":{format_cents(base)},"rates":{rates},'
            f'"token_rate_cents":{format_cents(rate)},"outcome_bonus_cents":0,"is_custom":false}}'
            for action, (base, rate) in self.prices.items()
        )
        return _text(200, f'{{"customer_id":{json.dumps(space.customer)},"configs":[{rows}]}}')

    def _shown(self, space: Space) -> Iterator[dict[str, Any]]:
        """Yield what the ledger shows, newest first."""
        seen = (e for e in reversed(self.charged) if e["space"] == space and e["seen"] <= self._requests)
        return seen

    async def _events(self, request: web.Request) -> web.Response:
        space = self._space(request)
        import_id, limit = request.query.get("import_id"), int(request.query.get("limit", "50"))
        before = int(request.query.get("cursor", str(1 << 60)))
        found = [e for e in self._shown(space) if import_id in (None, e["import_id"]) and e["event_id"] < before]
        cursor = json.dumps(str(found[limit - 1]["event_id"]) if len(found) > limit else None)
        return _text(200, f'{{"events":[{",".join(map(_as_shown, found[:limit]))}],"next_cursor":{cursor}}}')

    async def _lookup(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        space = self._space(request, body)
        self.lookups += 1
        keys = set(body["idempotency_keys"])
        if not 1 <= len(body["idempotency_keys"]) <= 1000:
            return _error(400, "1 to 1000 keys", "invalid_request")
        found = [event for event in self._shown(space) if event["idempotency_key"] in keys]
        return _text(200, f'{{"events":[{",".join(map(_as_shown, found))}]}}')

    async def _imports(self, request: web.Request) -> web.Response:
        named = request.query.get("customer_id")
        key = self.keys.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if key is not None and key.customer == "*" and named is None:
            self._requests += 1
            spaces = list(dict.fromkeys(e["space"] for e in self.charged if e["space"].test == key.test))
        else:
            spaces = [self._space(request)]
        only = request.query.get("import_id")
        found = dict.fromkeys((space, e["import_id"]) for space in spaces for e in self._shown(space) if e["import_id"])
        sums = ",".join(self._sums(space, id) for space, id in found if only in (None, id))
        return _text(200, f'{{"imports":[{sums}],"next_cursor":null}}')

    async def _import(self, request: web.Request) -> web.Response:
        space, id = self._space(request), request.match_info["id"]
        if not any(event["import_id"] == id for event in self._shown(space)):
            return _error(404, "no such import", "not_found")
        return _text(200, self._sums(space, id))

    def _sums(self, space: Space, id: str) -> str:
        events = [event for event in self._shown(space) if event["import_id"] == id]
        charged = sum(event["pico"] for event in events)
        voided = sum(event["pico"] for event in events if event["void"] is not None)
        head = json.dumps(
            {
                "import_id": id,
                "customer_id": space.customer,
                "test": space.test,
                "first_at": ACCEPTED,
                "last_at": ACCEPTED,
                "events": len(events),
                "voided_events": sum(event["void"] is not None for event in events),
            }
        )
        sums = (("charged_cents", charged), ("voided_cents", -voided), ("total_cents", charged - voided))
        return head[:-1] + "".join(f',"{name}":{format_cents(pico)}' for name, pico in sums) + "}"

    async def _void(self, request: web.Request) -> web.Response:
        self._requests += 1
        if request.headers.get("Authorization") != f"Bearer {self.admin_token}":
            return _error(401, "the admin token is required", "unauthorized")
        body = json.loads(await request.read())
        known = {event["event_id"]: event for event in self.charged}
        voids = []
        for id in body["event_ids"]:
            if id in known:
                event, already = known[id], known[id]["void"] is not None
                event["void"] = event["void"] or body["reason"]
                voids.append(
                    f'{{"event_id":{10**9 + id},"voided_event_id":{id},"total_cents":{format_cents(-event["pico"])},'
                    f'"already":{json.dumps(already)}}}'
                )
        missing = [id for id in body["event_ids"] if id not in known]
        return _text(200, f'{{"voids":[{",".join(voids)}],"missing":{json.dumps(missing)},"total_cents":0}}')

    async def _batch(self, request: web.Request) -> web.Response:
        body = await request.read()
        # amounts and other numbers keep their text, since the server compares them by it
        asked = json.loads(body, parse_float=_Number)
        space = self._space(request, asked)
        self.batches += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault == "not_recorded":
            return _error(503, "not recorded", "not_recorded")
        if fault == "busy":
            return _error(429, "busy", "busy")
        if len(body) > self.max_body:
            return _error(413, "too large", "too_large")
        answer = self._charge(space, asked["events"], asked.get("import_id"), accepted=fault == "accepted")
        if fault == "unknown":
            return _error(503, "may have been recorded", "unknown")
        if fault == "drop" and request.transport is not None:
            request.transport.close()
        return answer

    def _charge(
        self, space: Space, events: list[dict[str, Any]], import_id: str | None, accepted: bool
    ) -> web.Response:
        refused = [{"index": i, "error": e} for i, event in enumerate(events) if (e := self._problem(event))]
        if refused:
            return _error(400, "invalid", "invalid_request", refused)
        known = [self._remembered.get((space, event["idempotency_key"])) for event in events]
        clash = [
            {"index": i, "error": "same key, other body"}
            for i, k in enumerate(known)
            if k is not None and k[0] != events[i]
        ]
        if clash:
            return _error(409, "conflict", "conflict", clash)
        results = [self._one(space, event, import_id, k) for event, k in zip(events, known, strict=True)]
        text = ",".join(_result(event, None if accepted else event["pico"], old) for event, old in results)
        return _text(202 if accepted else 201, f'{{"results":[{text}],"total_cents":0}}')

    def _one(
        self, space: Space, event: dict[str, Any], import_id: str | None, known: tuple[dict[str, Any], int] | None
    ) -> tuple[dict[str, Any], bool]:
        if known is not None:
            return self.charged[known[1]], True
        base, rate = self._rates(event["action"])
        number = len(self.charged)
        self._remembered[space, event["idempotency_key"]] = event, number
        facts = {"seen": self._requests + self.lag, "event_id": number, "space": space, "import_id": import_id}
        pico = base + _tokens(event) * rate
        pico += sum(parse_quantity(text) * self.rates[name] // MICRO for name, text in _others(event).items())
        self.charged.append({**event, **facts, "pico": pico, "void": None})
        return self.charged[-1], False

    def _rates(self, action: str) -> tuple[int, int]:
        return self.prices.get(action) or self.prices["*"]

    def _problem(self, event: dict[str, Any]) -> str | None:
        if event["action"] not in self.prices and "*" not in self.prices:
            return f"no price for action '{event['action']}'"
        unknown = next((name for name in _others(event) if name not in self.rates), None)
        if unknown is not None:
            return no_rate(unknown, event["action"])
        if self.refuse_times and "timestamp" in event:
            return "timestamp is too far back"
        return None


def _tokens(event: Mapping[str, Any]) -> int:
    if "tokens" in event:
        return int(event["tokens"])
    kinds = sum(int(text) for name, text in event.get("quantities", {}).items() if name in TOKEN_KINDS)
    return int(event.get("tokens_input", 0)) + int(event.get("tokens_output", 0)) + kinds


def _others(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the quantities of an event that are not tokens."""
    return {name: text for name, text in event.get("quantities", {}).items() if name not in TOKEN_KINDS}


def _as_shown(event: Mapping[str, Any]) -> str:
    """Return the event as GET /v1/events shows it."""
    split = "tokens_input" in event or "tokens_output" in event
    body = {
        "customer_id": event["space"].customer,
        "agent_id": event["agent_id"],
        "action": event["action"],
        "tokens": _tokens(event),
        "tokens_input": event.get("tokens_input", 0) if split else None,
        "tokens_output": event.get("tokens_output", 0) if split else None,
        "outcome": event.get("outcome"),
    }
    if "quantities" in event:
        parts = {"input": body["tokens_input"], "output": body["tokens_output"]} if split else {}
        body["quantities"] = parts | {name: _Number(text) for name, text in event["quantities"].items()}
    shown = {
        "event": body,
        "event_id": event["event_id"],
        "status": "priced" if event["void"] is None else "voided",
        "idempotency_key": event["idempotency_key"],
        "created_at": ACCEPTED,
        "timestamp": event.get("timestamp", ACCEPTED),
        "test": event["space"].test,
        "void_reason": event["void"],
        "import_id": event["import_id"],
        **{name: event.get(name) for name in LABELS},
    }
    metadata = _json(event["metadata"]) if "metadata" in event else "null"
    return f'{_json(shown)[:-1]},"metadata":{metadata}}}'


def _json(value: Any) -> str:
    """Return JSON text with all digits unchanged."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{_json(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_json, value)) + "]"
        case _Number():
            return value
    return json.dumps(value)


def _result(event: Mapping[str, Any], pico: int | None, replayed: bool) -> str:
    cents = "null" if pico is None else format_cents(pico)
    status = ',"status":"voided"' if event["void"] is not None else ""
    old = "true" if replayed else "false"
    return f'{{"event_id":{event["event_id"]},"total_cents":{cents},"replayed":{old}{status}}}'


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json")


def _error(status: int, text: str, code: str, errors: list[dict[str, Any]] | None = None) -> web.Response:
    body: dict[str, Any] = {"error": text, "code": code}
    if errors:
        body["errors"] = errors
    return web.json_response(body, status=status, headers={"Retry-After": "0"} if status in (429, 503) else None)
