"""The collector's HTTP interface for gateways: read invoices, record payments, close a month.

Only a gateway calls it, with the admin token. A change is answered when its transaction is committed; a repeat is safe.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web
from aiokafka.errors import KafkaError

from collector.invoicing import DEFAULT, Refused, marked, paid
from collector.settling import NotSettled
from collector.worker import InvoiceWorker, NotOwner
from schemas.billing import Billing
from schemas.invoice_objects import (
    InvoiceList,
    InvoiceWithNotes,
    PaymentRequest,
    RunRequest,
    RunResult,
    billing_shown,
    invoice_shown,
    note_shown,
)
from schemas.invoices import Invoice
from schemas.settings import Settings
from warehouse.errors import ReadsUnavailable

SHOWN = 100
"""Invoices that the result of a run names."""
Handler = Callable[[web.Request], Awaitable[web.Response]]
_payment = msgspec.json.Decoder(PaymentRequest)
_run = msgspec.json.Decoder(RunRequest)
_billing = msgspec.json.Decoder(Billing)
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("collector.invoice_api")


class InvoiceApi:
    """The handlers. ``worker`` returns the owner of rev.invoices; it raises NotOwner if that is not this process."""

    def __init__(self, settings: Settings, worker: Callable[[], InvoiceWorker], now: Callable[[], int]) -> None:
        self._settings = settings
        self._worker = worker
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/invoices", guarded(self._settings, self._list)),
            web.post("/invoices/run", guarded(self._settings, self._run_month)),
            web.get("/invoices/{number}", guarded(self._settings, self._one)),
            web.post("/invoices/{number}/payments", guarded(self._settings, self._pay)),
            web.post("/invoices/{number}/void", guarded(self._settings, self._void)),
            web.get("/billing/{customer}", guarded(self._settings, self._billing)),
            web.put("/billing/{customer}", guarded(self._settings, self._set_billing)),
            web.post("/invoices/{number}/uncollectible", guarded(self._settings, self._give_up)),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        given = request.query
        customer, month, state = (given.get(name, "") for name in ("customer_id", "month", "state"))
        limit = int(given.get("limit", "50"))
        before = _position(given["cursor"]) if "cursor" in given else None
        wanted = sorted(
            (
                where
                for where, one in self._worker().book.invoices.items()
                if customer in ("", one.customer_id)
                and month in ("", one.period.calendar_month)
                and state in ("", one.state)
            ),
            reverse=True,
        )
        if before is not None:
            wanted = [where for where in wanted if where < before]
        book = self._worker().book
        here = [book.invoices[where] for where in wanted[:limit]]
        cursor = _cursor(wanted[limit - 1]) if len(wanted) > limit else None
        return json_response(InvoiceList([invoice_shown(one) for one in here], cursor))

    async def _one(self, request: web.Request) -> web.Response:
        book, number = self._worker().book, request.match_info["number"]
        invoice = book.numbered(number)
        if invoice is None:
            return _unknown(number)
        notes = [note_shown(note) for note in book.notes.values() if note.invoice == number]
        return json_response(InvoiceWithNotes(invoice_shown(invoice), notes))

    async def _pay(self, request: web.Request) -> web.Response:
        asked = _payment.decode(await request.read())
        return await self._changed(
            request, lambda invoice: paid(invoice, asked.reference, asked.amount_cents, self._now())
        )

    async def _void(self, request: web.Request) -> web.Response:
        return await self._changed(request, lambda invoice: marked(invoice, "void", self._now()))

    async def _give_up(self, request: web.Request) -> web.Response:
        return await self._changed(request, lambda invoice: marked(invoice, "give_up", self._now()))

    async def _billing(self, request: web.Request) -> web.Response:
        customer = request.match_info["customer"]
        return json_response(billing_shown(customer, self._worker().book.billing.get(customer, DEFAULT)))

    async def _set_billing(self, request: web.Request) -> web.Response:
        customer, wanted = request.match_info["customer"], _billing.decode(await request.read())
        return json_response(billing_shown(customer, await self._worker().set_billing(customer, wanted)))

    async def _changed(self, request: web.Request, change: Callable[[Invoice], Invoice]) -> web.Response:
        number = request.match_info["number"]
        changed = await self._worker().change(number, change)
        return _unknown(number) if changed is None else json_response(invoice_shown(changed))

    async def _run_month(self, request: web.Request) -> web.Response:
        asked = _run.decode(await request.read())
        made = await self._worker().run_month(asked.month, asked.dry_run)
        largest = sorted(made, key=lambda one: (-one.total, one.customer_id))[:SHOWN]
        total = sum(one.total for one in made)
        shown = [invoice_shown(one) for one in largest]
        return json_response(RunResult(asked.month, asked.dry_run, len(made), total, shown))


def guarded(settings: Settings, handler: Handler) -> Handler:
    """Return a handler that admits the admin token alone, and answers what a handler raises."""

    async def handle(request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = settings.admin_token
        if not settings.open_admin and not (wanted and hmac.compare_digest(token.encode(), wanted.encode())):
            return refusal(401, "unauthorized", "the admin token is required")
        try:
            return await handler(request)
        except Refused as error:
            return refusal(error.status, error.code, str(error))
        except NotSettled as error:
            return refusal(503, "reads_unavailable", str(error))
        except ReadsUnavailable:
            return refusal(503, "reads_unavailable", "the ledger cannot be read at the moment; try again")
        except NotOwner:
            return refusal(503, "invoices_unavailable", "the collector is starting; try again")
        except (KafkaError, TimeoutError) as error:
            log.warning("change_unknown", path=request.path, error=repr(error))
            return refusal(503, "unknown", "the change may be recorded; repeat the request")

    return handle


def _cursor(where: tuple[str, str]) -> str:
    return urlsafe_b64encode("/".join(where).encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[str, str]:
    """Return the month and customer in a cursor. Raises Refused."""
    try:
        month, slash, customer = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("/")
    except ValueError:
        slash = ""
    if not slash:
        raise Refused("cursor must be a next_cursor that this list returned", 400, "invalid_request")
    return month, customer


def json_response(body: msgspec.Struct) -> web.Response:
    return web.Response(body=_encode(body), content_type="application/json")


def refusal(status: int, code: str, error: str) -> web.Response:
    return web.json_response({"error": error, "code": code}, status=status)


def _unknown(number: str) -> web.Response:
    return refusal(404, "not_found", f"there is no invoice {number[:40]!r}")
