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

from collector.closer import NotSettled
from collector.invoicing import Refused, marked, paid
from collector.worker import InvoiceWorker, NotOwner
from schemas.invoice_objects import (
    InvoiceList,
    InvoiceWithNotes,
    PaymentRequest,
    RunRequest,
    RunResult,
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
            web.get("/invoices", self._guarded(self._list)),
            web.post("/invoices/run", self._guarded(self._run_month)),
            web.get("/invoices/{number}", self._guarded(self._one)),
            web.post("/invoices/{number}/payments", self._guarded(self._pay)),
            web.post("/invoices/{number}/void", self._guarded(self._void)),
            web.post("/invoices/{number}/uncollectible", self._guarded(self._give_up)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            wanted = self._settings.admin_token
            if not self._settings.open_admin and not (wanted and hmac.compare_digest(token.encode(), wanted.encode())):
                return _refusal(401, "unauthorized", "the admin token is required")
            try:
                return await handler(request)
            except Refused as error:
                return _refusal(error.status, error.code, str(error))
            except NotSettled as error:
                return _refusal(503, "reads_unavailable", str(error))
            except ReadsUnavailable:
                return _refusal(503, "reads_unavailable", "the ledger cannot be read at the moment; try again")
            except NotOwner:
                return _refusal(503, "invoices_unavailable", "the collector is starting; try again")
            except (KafkaError, TimeoutError) as error:
                log.warning("change_unknown", path=request.path, error=repr(error))
                return _refusal(503, "unknown", "the change may be recorded; repeat the request")

        return handle

    async def _list(self, request: web.Request) -> web.Response:
        given = request.query
        customer, month, state = (given.get(name, "") for name in ("customer_id", "month", "state"))
        limit = int(given.get("limit", "50"))
        before = _position(given["cursor"]) if "cursor" in given else None
        wanted = sorted(
            (
                where
                for where, one in self._worker().book.invoices.items()
                if customer in ("", one.customer_id) and month in ("", where[0]) and state in ("", one.state)
            ),
            reverse=True,
        )
        if before is not None:
            wanted = [where for where in wanted if where < before]
        book = self._worker().book
        here = [book.invoices[where] for where in wanted[:limit]]
        cursor = _cursor(wanted[limit - 1]) if len(wanted) > limit else None
        return _json(InvoiceList([invoice_shown(one) for one in here], cursor))

    async def _one(self, request: web.Request) -> web.Response:
        book, number = self._worker().book, request.match_info["number"]
        invoice = book.numbered(number)
        if invoice is None:
            return _unknown(number)
        notes = [note_shown(note) for note in book.notes.values() if note.invoice == number]
        return _json(InvoiceWithNotes(invoice_shown(invoice), notes))

    async def _pay(self, request: web.Request) -> web.Response:
        asked = _payment.decode(await request.read())
        return await self._changed(
            request, lambda invoice: paid(invoice, asked.reference, asked.amount_cents, self._now())
        )

    async def _void(self, request: web.Request) -> web.Response:
        return await self._changed(request, lambda invoice: marked(invoice, "void"))

    async def _give_up(self, request: web.Request) -> web.Response:
        return await self._changed(request, lambda invoice: marked(invoice, "give_up"))

    async def _changed(self, request: web.Request, change: Callable[[Invoice], Invoice]) -> web.Response:
        number = request.match_info["number"]
        changed = await self._worker().change(number, change)
        return _unknown(number) if changed is None else _json(invoice_shown(changed))

    async def _run_month(self, request: web.Request) -> web.Response:
        asked = _run.decode(await request.read())
        made = await self._worker().run_month(asked.month, asked.dry_run)
        largest = sorted(made, key=lambda one: (-one.total, one.customer_id))[:SHOWN]
        total = sum(one.total for one in made)
        shown = [invoice_shown(one) for one in largest]
        return _json(RunResult(asked.month, asked.dry_run, len(made), total, shown))


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


def _json(body: msgspec.Struct) -> web.Response:
    return web.Response(body=_encode(body), content_type="application/json")


def _refusal(status: int, code: str, error: str) -> web.Response:
    return web.json_response({"error": error, "code": code}, status=status)


def _unknown(number: str) -> web.Response:
    return _refusal(404, "not_found", f"there is no invoice {number[:40]!r}")
