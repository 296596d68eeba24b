"""HTTP handlers of invoices. Lines are computed from the ledger as the invoice was, by the times that it names."""

import re
from collections.abc import Sequence
from typing import get_args
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from ingest.admin.configure import admin, admin_body
from ingest.auth import check_customer_id, customer_of, key_of, mode_of
from ingest.bodies import PaymentBody, RunBody
from ingest.collector_client import LONG, Collector
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid, InvoicesAway, NotFound, PayloadTooLarge
from ingest.reads import params
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.statements.downloads import download, drawn
from ingest.statements.pdf_documents import invoice_document
from ingest.statements.statement_params import MEDIA_TYPES, format_of
from ingest.statements.statement_views import StatementLine, line_shown, lines_csv
from schemas import times
from schemas.invoice_objects import (
    CreditNoteObject,
    InvoiceList,
    InvoiceObject,
    InvoiceWithNotes,
    PaymentRequest,
    RunRequest,
    RunResult,
)
from schemas.invoices import State
from schemas.months import MonthError, month_range
from warehouse.statement_rows import StatementQuery
from warehouse.statements import MAX_LINES, TooManyLines, statement
from warehouse.time_range import TimeRange

OWN, ALL = "/v1/invoices", "/api/admin/invoices"
ONE = "/{number}"
CUSTOMER = {"customer_id": "The customer; required with a platform key."}
FILTERS = {
    "month": "Only invoices of this month: 2026-11.",
    "state": "Only invoices in this state.",
    "limit": "Maximum number of items, 1 to 1000; 50 by default.",
    "cursor": "next_cursor of the previous page.",
}
OWN_QUERY = {**CUSTOMER, **FILTERS}
FORMAT = {"format": "json, csv or pdf; by default what Accept names, else json."}
ONE_QUERY = {**CUSTOMER, **FORMAT}
FILES = (MEDIA_TYPES["csv"], MEDIA_TYPES["pdf"])
ALL_QUERY = {"customer_id": "Only invoices of this customer.", **FILTERS}
STATES = get_args(State)
MAX_PAYMENT = 10**15
_payment = msgspec.json.Decoder(PaymentBody)
_run = msgspec.json.Decoder(RunBody)
_decode = msgspec.json.Decoder(InvoiceWithNotes).decode


class InvoiceShown(msgspec.Struct, frozen=True):
    """An invoice with its credit notes and its lines, as in a statement; ``late`` ones are from before the month."""

    invoice: InvoiceObject
    credit_notes: Sequence[CreditNoteObject]
    lines: Sequence[StatementLine]


def routes(context: Context) -> list[Route]:
    """Return the routes of this package."""
    get, post, admins = hdrs.METH_GET, hdrs.METH_POST, Auth.ADMIN
    changed = {200: InvoiceObject}
    rows = [
        (Operation(get, OWN, "List your invoices, the latest first.", Auth.KEY, {200: InvoiceList}, query=OWN_QUERY),
         own_list),
        (Operation(get, OWN + ONE, "Get an invoice with its lines.", Auth.KEY, {200: InvoiceShown}, query=ONE_QUERY,
                   also=FILES), own_invoice),
        (Operation(get, ALL, "List all invoices, the latest first.", admins, {200: InvoiceList}, query=ALL_QUERY),
         any_list),
        (Operation(post, ALL + "/run", "Make the invoices of a month, once.", admins, {200: RunResult}, RunBody),
         run_month),
        (Operation(get, ALL + ONE, "Get an invoice with its lines.", admins, {200: InvoiceShown}, query=FORMAT,
                   also=FILES), any_invoice),
        (Operation(post, ALL + ONE + "/payments", "Record a payment, once for each reference.", admins, changed,
                   PaymentBody), pay),
        (Operation(post, ALL + ONE + "/void", "Void an invoice that nothing was paid of.", admins, changed), void),
        (Operation(post, ALL + ONE + "/uncollectible", "Give an invoice up.", admins, changed), give_up),
    ]  # fmt: skip
    return [Route(operation, bound(context, handler)) for operation, handler in rows]


async def own_list(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/invoices."""
    key = key_of(context, request)
    given = query_of(request, OWN_QUERY)
    customer = customer_of(context, key, given.get("customer_id"))
    asked = {**_filters(given), "customer_id": customer}
    if mode_of(context, key, customer) == "test":
        return http_response(encode(InvoiceList([], None)))  # test entries are never invoiced
    return http_response(await collector_of(context).call(hdrs.METH_GET, "/invoices", asked))


async def any_list(context: Context, request: web.Request) -> web.Response:
    """Handle GET /api/admin/invoices."""
    admin(context, request)
    given = query_of(request, ALL_QUERY)
    if "customer_id" in given:
        check_customer_id(context, given["customer_id"])
    return http_response(await collector_of(context).call(hdrs.METH_GET, "/invoices", _filters(given)))


async def own_invoice(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/invoices/{number}."""
    key = key_of(context, request)
    given = query_of(request, ONE_QUERY)
    customer = customer_of(context, key, given.get("customer_id"))
    format = format_of(given, request.headers.get("Accept", ""))
    found = await _invoice(context, request)
    if found.invoice.customer_id != customer or mode_of(context, key, customer) == "test":
        raise _unknown(request.match_info["number"])
    return await _with_lines(context, found, format)


async def any_invoice(context: Context, request: web.Request) -> web.Response:
    """Handle GET /api/admin/invoices/{number}."""
    admin(context, request)
    format = format_of(query_of(request, FORMAT), request.headers.get("Accept", ""))
    return await _with_lines(context, await _invoice(context, request), format)


async def run_month(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/invoices/run."""
    body = await admin_body(context, request, _run)
    query_of(request, ())
    if body.month is None:
        raise Invalid("month is required, such as 2026-11")
    check_month(body.month)
    asked = encode(RunRequest(body.month, bool(body.dry_run)))
    return http_response(await collector_of(context).call(hdrs.METH_POST, "/invoices/run", body=asked, timeout=LONG))


async def pay(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/invoices/{number}/payments."""
    body = await admin_body(context, request, _payment)
    query_of(request, ())
    if body.reference is None:
        raise Invalid("reference is required: what names the payment, such as the id of the transfer")
    params.name({"reference": body.reference}, "reference")
    if body.amount_cents is None:
        raise Invalid("amount_cents is required")
    if not 1 <= body.amount_cents <= MAX_PAYMENT:
        raise Invalid(f"amount_cents must be an integer from 1 to {MAX_PAYMENT}")
    asked = encode(PaymentRequest(body.reference, body.amount_cents))
    return await _changed(context, request, "/payments", asked)


async def void(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/invoices/{number}/void."""
    admin(context, request)
    query_of(request, ())
    return await _changed(context, request, "/void")


async def give_up(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/invoices/{number}/uncollectible."""
    admin(context, request)
    query_of(request, ())
    return await _changed(context, request, "/uncollectible")


async def _changed(context: Context, request: web.Request, path: str, body: bytes | None = None) -> web.Response:
    return http_response(await collector_of(context).call(hdrs.METH_POST, path_of(request) + path, body=body))


async def _invoice(context: Context, request: web.Request) -> InvoiceWithNotes:
    return _decode(await collector_of(context).call(hdrs.METH_GET, path_of(request)))


async def _with_lines(context: Context, found: InvoiceWithNotes, format: str) -> web.Response:
    invoice = found.invoice
    query = StatementQuery(
        invoice.customer_id,
        False,
        TimeRange(times.parse(invoice.start), times.parse(invoice.end)),
        as_of=times.parse(invoice.as_of),
        late_after=times.parse(invoice.late_after),
        first=times.parse(invoice.invoicing_since),
    )
    try:
        made = statement(query, await context.ledger().statement(query))
    except TooManyLines:
        raise PayloadTooLarge(
            f"the invoice has more than {MAX_LINES} lines; query rev.lines in the ledger instead"
        ) from None
    lines = [line_shown(row) for row in made.lines]
    if format == "json":
        return http_response(encode(InvoiceShown(invoice, found.credit_notes, lines)))
    if format == "csv":
        head = (invoice.customer_id, invoice.month, invoice.as_of, invoice.currency)
        return download(lines_csv(head, lines), format, invoice.number or "draft")
    issuer = context.settings.issuer
    body = await drawn(context, lambda: invoice_document(invoice, found.credit_notes, lines, issuer))
    return download(body, format, invoice.number or "draft")


def _filters(given: params.Given) -> dict[str, str]:
    """Return the checked filters of a list. Raises Invalid."""
    if "month" in given:
        check_month(given["month"])
    params.choice(given, "state", STATES)
    return {**given, "limit": str(params.limit(given))}


def check_month(text: str) -> None:
    """Raise Invalid for what is no month."""
    try:
        month_range(text)
    except MonthError as error:
        raise Invalid(f"month {error}") from error


def collector_of(context: Context) -> Collector:
    """Return the collector. Raises InvoicesAway without one."""
    if context.collector is None:
        raise InvoicesAway("this gateway has no collector; set REV_COLLECTOR_URL")
    return context.collector


def path_of(request: web.Request) -> str:
    """Return the collector's path of an invoice. Raises NotFound for what is no number."""
    number = request.match_info["number"]
    if not re.fullmatch(r"INV-[0-9]{6,12}", number):
        raise _unknown(number)
    return f"/invoices/{quote(number)}"


def _unknown(number: str) -> NotFound:
    return NotFound(f"there is no invoice {number[:40]!r}")
