"""A stand-in for Stripe's API: it keeps what it was sent, and loses answers or fails when it is told to.

As Stripe does, it gives an idempotency key's first answer again, also a refusal or a 500, and refuses a key with other
parameters.
"""

import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

from aiohttp import web

Fault = Literal["", "lost", "cut", "limit", "error", "error after"]
"""What happens to a request: its answer is lost, it is cut before it is done, 429, 500 before or after it is done."""
FAULTS: tuple[Fault, ...] = ("", "lost", "cut", "limit", "error", "error after")
Object = dict[str, Any]
KEY = "sk_test_stand_in"
DUPLICATE = "duplicate_meter_event"


class Refusal(Exception):
    def __init__(self, status: int, message: str, type: str = "invalid_request_error", code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.type, self.code = status, message, type, code


class Kept(NamedTuple):
    """What an idempotency key stands for."""

    request: str
    status: int
    body: bytes


class StripeStandIn:
    """The server. ``faults``: what happens to each request to come; then nothing does. ``away``: it answers nobody."""

    def __init__(self, faults: Iterable[Fault] = (), now: Callable[[], int] = lambda: 0) -> None:
        self.customers: dict[str, Object] = {}
        self.invoices: dict[str, Object] = {}
        self.items: dict[str, Object] = {}
        self.notes: dict[str, Object] = {}
        self.payment_records: dict[str, Object] = {}
        self.off_stripe: Counter[str] = Counter()
        """By invoice: cents that were paid outside of Stripe."""
        self.meters: dict[str, Object] = {}
        self.events: dict[str, Object] = {}
        """Meter events that were taken, also one that was taken twice since its identifier was forgotten."""
        self.dropped: list[Object] = []
        """Meter events that the stream took and that counted nothing."""
        self.sessions: dict[str, int] = {}
        """By token: until when, ms, the stream takes it."""
        self.batches: list[int] = []
        """How many events each request of the stream had."""
        self.reports: dict[str, Object] = {}
        """Events that thin ones name."""
        self.refused_batch = ""
        """An identifier: the stream refuses a request that has it."""
        self.asked: Counter[str] = Counter()
        self.bodies: list[str] = []
        self.retry_after = "7"
        self.away = False
        self.losing = ""
        """A path whose requests are done and whose answers are lost."""
        self.refused_email = ""
        self.searchable = True
        """Whether a search finds what was made; Stripe's own lags behind."""
        self._faults: Iterator[Fault] = iter(faults)
        self._kept: dict[str, Kept] = {}
        self._identifiers: set[str] = set()
        self._now = now
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def forget_keys(self) -> None:
        """A day passes: Stripe forgets idempotency keys, and identifiers of meter events."""
        self._kept.clear()
        self._identifiers.clear()

    def fail(self, *faults: Fault) -> None:
        """The next requests fail."""
        self._faults = iter(faults)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        path = request.path
        is_json = request.content_type == "application/json"
        form = [] if is_json else parse_qsl(body, keep_blank_values=True)
        params = json.loads(body) if is_json and body else nested([*request.query.items(), *form])
        self.bodies.append(f"{request.method} {path} {body}")
        authorization = request.headers.get("Authorization", "")
        if path == "/v2/billing/meter_event_stream":
            if self.sessions.get(authorization.removeprefix("Bearer "), -1) <= self._now():
                error = {"code": "billing_meter_event_session_expired", "type": "temporary_session_expired"}
                return answer(401, {"error": {**error, "message": "The session has expired"}})
        elif authorization != f"Bearer {KEY}":
            return answer(401, {"error": {"message": "Invalid API Key provided", "type": "invalid_request_error"}})
        fault = "cut" if self.away else "lost" if path == self.losing else next(self._faults, "")
        self.asked[fault] += 1
        if fault == "limit":
            error = {"error": {"message": "Too many requests", "type": "rate_limit_error"}}
            return answer(429, error, {"Retry-After": self.retry_after})
        if fault == "cut":
            return self._cut(request)
        key = request.headers.get("Idempotency-Key", "")
        said = f"{request.method} {path} {json.dumps(params, sort_keys=True)}"
        kept = self._kept.get(key) if request.method == "POST" else None
        if kept is not None and kept.request != said:
            error = {
                "error": {"message": "Keys can only be used with the same parameters", "type": "idempotency_error"}
            }
            return answer(400, error)
        if kept is None:
            kept = self._done(said, request.method, path, params, fault)
            # in its API v2, Stripe repeats no failure
            if request.method == "POST" and (path.startswith("/v1/") or kept.status == 200):
                assert key, f"{path} without an idempotency key"
                self._kept[key] = kept
        if fault == "lost":
            return self._cut(request)
        return web.Response(status=kept.status, body=kept.body, content_type="application/json")

    def _done(self, said: str, method: str, path: str, params: Object, fault: Fault) -> Kept:
        failed = json.dumps({"error": {"message": "An unknown error occurred", "type": "api_error"}}).encode()
        if fault == "error":
            return Kept(said, 500, failed)
        try:
            found = self._api(method, path, params)
        except Refusal as error:
            told = {"message": error.message, "type": error.type, "code": error.code}
            return Kept(said, error.status, json.dumps({"error": told}).encode())
        return Kept(said, 500, failed) if fault == "error after" else Kept(said, 200, json.dumps(found).encode())

    def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _api(self, method: str, path: str, params: Object) -> Object:
        if path.startswith("/v1/billing/"):
            return self._metering(method, path.removeprefix("/v1/billing/"), params)
        if path.startswith("/v2/"):
            return self._streaming(method, path.removeprefix("/v2/"), params)
        name, _, rest = path.removeprefix("/v1/").partition("/")
        id, _, action = rest.partition("/")
        if method == "GET" and name == "invoice_payments":
            return self._page(self._attached(params), params)
        if method == "GET":
            return self._read(name, id, params)
        made = {
            "customers": self._customer,
            "invoices": self._invoice,
            "invoiceitems": self._item,
            "credit_notes": self._note,
            "payment_records": self._payment_record,
        }[name]
        return made(id, action, params)

    def _read(self, name: str, id: str, params: Object) -> Object:
        held = {"customers": self.customers, "invoices": self.invoices, "invoiceitems": self.items}
        held["credit_notes"] = self.notes
        found = held[name]
        if id == "search":
            match = re.fullmatch(r"metadata\['(\w+)'\]:'(.*)'", params["query"])
            assert match is not None
            wanted = re.sub(r"\\(.)", r"\1", match[2])
            some = [one for one in found.values() if one["metadata"].get(match[1]) == wanted and self.searchable]
            return {"object": "search_result", "data": some[:1], "has_more": False}
        # what is off Stripe is neither in reports nor in answers that were not asked for it
        expanded = params.get("expand", {}).values()
        if id:
            if id not in found:
                raise Refusal(404, f"No such {name}: '{id}'", code="resource_missing")
            shown = {"amount_paid_off_stripe": self.off_stripe[id]} if "amount_paid_off_stripe" in expanded else {}
            return {**found[id], **shown}
        since = int(params.get("created", {}).get("gte", 0))
        if (customer := params.get("customer")) is not None and customer not in self.customers:
            raise Refusal(400, f"No such customer: '{customer}'", code="resource_missing")
        some = [
            one
            for one in found.values()
            if all(one.get(by) == params[by] for by in ("customer", "invoice") if by in params)
            and one.get("created", 0) >= since
        ]
        some.reverse()
        return self._page(some, params)

    def customer(self, id: str, email: str = "owner@b.invalid") -> None:
        """The owner makes a customer."""
        self.customers[id] = {"id": id, "object": "customer", "metadata": {}, "email": email}

    def meter(self, event_name: str, formula: str = "sum") -> None:
        """The owner makes a meter."""
        id = f"mtr_{len(self.meters) + 1}"
        made = {"id": id, "event_name": event_name, "default_aggregation": {"formula": formula}}
        self.meters[id] = {**made, "object": "billing.meter", "status": "active"}

    def _metering(self, method: str, path: str, params: Object) -> Object:
        if path == "meter_events":
            return self._event(params)
        assert method == "GET"
        if path == "meters":
            return self._page([*self.meters.values()], params)
        _, id, _ = path.split("/")
        name = self.meters[id]["event_name"]
        start, end = int(params["start_time"]), int(params["end_time"])
        assert params["value_grouping_window"] == "hour" and not start % 3600 and not end % 3600
        hours: Counter[int] = Counter()
        for one in self.events.values():
            if (one["event_name"], one["payload"]["stripe_customer_id"]) == (name, params["customer"]):
                hours[one["timestamp"] // 3600 * 3600] += int(one["payload"]["value"])
        made = [
            {"id": f"sum_{at}", "aggregated_value": float(value), "start_time": at, "end_time": at + 3600}
            for at, value in sorted(hours.items())
            if start <= at < end
        ]
        return self._page(made, params)

    def _streaming(self, method: str, path: str, params: Object) -> Object:
        if path.startswith("core/events/") and method == "GET":
            id = path.removeprefix("core/events/")
            if id not in self.reports:
                raise Refusal(404, f"No such event: '{id}'", code="resource_missing")
            return self.reports[id]
        assert method == "POST"
        if path == "billing/meter_event_session":
            token = f"token_{len(self.sessions) + 1}"
            self.sessions[token] = self._now() + 15 * 60_000
            return {"id": f"session_{token}", "object": "v2.billing.meter_event_session", "authentication_token": token}
        assert path == "billing/meter_event_stream" and 1 <= len(params["events"]) <= 100
        if self.refused_batch in [one["identifier"] for one in params["events"]]:
            raise Refusal(400, "An event is invalid")
        self.batches.append(len(params["events"]))
        for one in params["events"]:
            at = int(datetime.fromisoformat(one["timestamp"]).timestamp())
            try:
                self._event({**one, "timestamp": at})
            except Refusal as refusal:
                if refusal.code != DUPLICATE:
                    self.dropped.append({**one, "error": refusal.message})
        return {}

    def dropped_report(self, id: str, type: str = "v1.billing.meter.error_report_triggered") -> bytes:
        """Stripe reports what it dropped; the report names an event that says which."""
        samples = [
            {"error_message": one["error"], "request": {"identifier": one["identifier"]}} for one in self.dropped
        ]
        reason = {"code": "meter_event_customer_not_found", "error_count": len(samples), "sample_errors": samples}
        data = {"reason": {"error_count": len(samples), "error_types": [reason]}}
        thin: Object = {"id": id, "object": "v2.core.event", "type": type, "livemode": False}
        if type.endswith("error_report_triggered"):
            thin["related_object"] = {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
        self.reports[id] = {**thin, "data": data}
        return json.dumps(thin).encode()

    def _event(self, params: Object) -> Object:
        if params["identifier"] in self._identifiers:
            message = f"An event already exists with identifier {params['identifier']}."
            raise Refusal(400, message, code=DUPLICATE)
        payload, at = params["payload"], int(params["timestamp"])
        if payload["stripe_customer_id"] not in self.customers:
            raise Refusal(400, "There is no such customer")
        now = self._now() // 1000
        if not now - 35 * 86_400 <= at <= now + 300:
            raise Refusal(400, "The timestamp must be within the past 35 days")
        assert re.fullmatch(r"-?\d+", payload["value"]) and len(params["identifier"]) <= 100
        assert params["event_name"] in {one["event_name"] for one in self.meters.values()}
        self._identifiers.add(params["identifier"])
        made = {**params, "object": "billing.meter_event", "timestamp": at}
        self.events[f"{params['identifier']} {len(self.events)}"] = made
        return made

    def _page(self, some: list[Object], params: Object) -> Object:
        if after := params.get("starting_after"):
            some = some[[one["id"] for one in some].index(after) + 1 :]
        limit = min(int(params.get("limit", 10)), 3)  # pages of a few, so that there are several
        return {"object": "list", "data": some[:limit], "has_more": len(some) > limit}

    def _customer(self, id: str, action: str, params: Object) -> Object:
        if self.refused_email and params.get("email") == self.refused_email:
            raise Refusal(400, "Invalid email address")
        made = self.customers.get(id) or {"id": f"cus_{len(self.customers) + 1}", "object": "customer", "metadata": {}}
        self.customers[made["id"]] = made | params
        return self.customers[made["id"]]

    def _invoice(self, id: str, action: str, params: Object) -> Object:
        if not id:
            if params["customer"] not in self.customers:
                raise Refusal(400, f"No such customer: '{params['customer']}'", code="resource_missing")
            if any(one["number"] == params["number"] and one["status"] != "void" for one in self.invoices.values()):
                raise Refusal(400, f"Invoice number {params['number']} is already used")
            made = {"id": f"in_{len(self.invoices) + 1}", "object": "invoice", "status": "draft", "total": 0}
            made |= {
                "created": self._now() // 1000,
                "amount_paid": 0,
                "amount_remaining": 0,
                "hosted_invoice_url": None,
            }
            self.invoices[made["id"]] = made | params
            assert params["metadata"]
            return self.invoices[made["id"]]
        invoice = self.invoices[id]
        if action == "finalize":
            if invoice["status"] != "draft":
                raise Refusal(400, "This invoice is already finalized")
            if not self.customers[invoice["customer"]].get("email"):
                raise Refusal(400, "The customer needs an email address for an invoice that is sent")
            remaining = invoice["total"]
            invoice |= {"status": "open" if remaining else "paid", "amount_remaining": remaining}
            invoice["hosted_invoice_url"] = f"https://invoice.stripe.invalid/{id}"
        elif action == "pay":
            self._from(invoice, "open", "uncollectible")
            assert params["paid_out_of_band"] == "true"
            self._pay_off_stripe(invoice, invoice["amount_remaining"])
        elif action == "attach_payment":
            self._from(invoice, "open")
            record = self.payment_records[params["payment_record"]]
            if record["attached"]:
                raise Refusal(400, "The payment record is attached to an invoice already")
            # Stripe credits what is too much to the customer; a collector must not let that happen
            assert int(record["amount_requested"]["value"]) <= invoice["amount_remaining"]
            if record["amount_requested"]["currency"] != invoice["currency"]:
                raise Refusal(400, "The currency must be the invoice's")
            record["attached"] = id
            self._pay_off_stripe(invoice, int(record["amount_requested"]["value"]))
        elif action == "void":
            self._from(invoice, "open", "uncollectible")
            invoice["status"] = "void"
        else:
            self._from(invoice, "open")
            invoice["status"] = "uncollectible"
        return invoice

    def _payment_record(self, id: str, action: str, params: Object) -> Object:
        assert id == "report_payment" and params["outcome"] == "guaranteed" and int(params["initiated_at"])
        made = {"id": f"pr_{len(self.payment_records) + 1}", "object": "payment_record", "attached": "", **params}
        self.payment_records[made["id"]] = made
        return made

    def _attached(self, params: Object) -> list[Object]:
        record = self.payment_records[params["payment"]["payment_record"]]
        assert params["payment"]["type"] == "payment_record"
        return [{"id": f"inpay_{record['id']}"}] if record["attached"] == params["invoice"] else []

    def _pay_off_stripe(self, invoice: Object, paid: int) -> None:
        self.off_stripe[invoice["id"]] += paid
        invoice["amount_paid"] += paid
        invoice["amount_remaining"] -= paid
        if not invoice["amount_remaining"]:
            invoice["status"] = "paid"

    def _from(self, invoice: Object, *states: str) -> None:
        if invoice["status"] not in states:
            raise Refusal(400, f"You can only do this with an invoice that is {' or '.join(states)}")

    def _item(self, id: str, action: str, params: Object) -> Object:
        invoice = self.invoices[params["invoice"]]
        if invoice["status"] != "draft":
            raise Refusal(400, "This invoice is no longer editable")
        if params["currency"] != invoice["currency"]:
            raise Refusal(400, "The currency must be the invoice's")
        made = {
            "metadata": {},
            **params,
            "id": f"ii_{len(self.items) + 1}",
            "object": "invoiceitem",
            "amount": int(params["amount"]),
        }
        self.items[made["id"]] = made
        invoice["total"] += made["amount"]
        return made

    def _note(self, id: str, action: str, params: Object) -> Object:
        invoice, amount = self.invoices[params["invoice"]], int(params["amount"])
        if invoice["status"] == "paid":
            if int(params.get("out_of_band_amount", 0)) != amount:
                raise Refusal(400, "The sum of refund, credit and out of band amounts must be the credit note's")
        else:
            self._from(invoice, "open", "uncollectible")
            if int(params.get("out_of_band_amount", 0)) != max(0, amount - invoice["amount_remaining"]):
                raise Refusal(400, "What is more than what remains must be paid back")
            invoice["amount_remaining"] -= min(amount, invoice["amount_remaining"])
            if invoice["amount_remaining"] == 0:
                invoice["status"] = "paid"
        made = {"metadata": {}, **params, "id": f"cn_{len(self.notes) + 1}", "object": "credit_note", "total": amount}
        self.notes[made["id"]] = made
        return made

    def pay(self, id: str) -> bytes:
        """The customer pays an open invoice; return the report."""
        invoice = self.invoices[id]
        assert invoice["status"] == "open"
        paid = invoice["amount_remaining"]
        invoice |= {"status": "paid", "amount_paid": invoice["amount_paid"] + paid, "amount_remaining": 0}
        return self.report("invoice.paid", id)

    def report(self, type: str, id: str) -> bytes:
        return json.dumps(
            {"id": "evt_1", "object": "event", "type": type, "data": {"object": self.invoices[id]}}
        ).encode()


def signed(body: bytes, secret: str, at: int) -> str:
    """The header Stripe-Signature. ``at``: seconds."""
    digest = hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256").hex()
    return f"t={at},v1={digest}"


def nested(pairs: Iterable[tuple[str, str]]) -> Object:
    """Form fields such as ``metadata[a]=b`` as objects."""
    found: Object = {}
    for name, value in pairs:
        *heads, last = name.replace("]", "").split("[")
        held = found
        for head in heads:
            held = held.setdefault(head, {})
        held[last] = value
    return found


def answer(status: int, body: Object, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)
