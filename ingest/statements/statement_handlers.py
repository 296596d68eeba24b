"""HTTP handlers of statements: authenticate, read the ledger if it has everything until the time asked for, respond."""

import asyncio
from collections.abc import Callable

import structlog
from aiohttp import hdrs, web

from ingest.admin.configure import admin
from ingest.auth import customer_of, key_of, mode_of
from ingest.context import Context
from ingest.problems import Invalid, LedgerBehind, NotFound, PayloadTooLarge
from ingest.request_body import query_of
from ingest.routing import Auth, Operation, Route, bound
from ingest.statements import statement_params as params
from ingest.statements.downloads import currency_of, download, drawn
from ingest.statements.pdf_documents import statement_document
from ingest.statements.statement_views import StatementShown, as_csv, as_json, shown
from schemas.billing import DEFAULT_CURRENCY
from schemas.topics import partition_of
from warehouse.statement_rows import StatementQuery
from warehouse.statements import MAX_LINES, TooManyLines, statement

QUERY = {
    "month": "The calendar month, UTC, such as 2026-11; the current one by default.",
    "as_of": "Only entries accepted until this time; a few seconds ago by default. The same time gives the same bytes.",
    "format": "json, csv or pdf; by default what Accept names, else json.",
}
KEY_QUERY = {"customer_id": "The customer; required with a platform key.", **QUERY}
ADMIN_QUERY = {"customer_id": "The customer.", **QUERY}
RENDER: dict[str, Callable[[StatementShown], bytes]] = {"json": as_json, "csv": as_csv}
log = structlog.get_logger("ingest.statements")


def routes(context: Context) -> list[Route]:
    """Return the routes of this package."""
    words, responses = "Get what a customer owes for a month, line by line.", {200: StatementShown}
    also = [media for name, media in params.MEDIA_TYPES.items() if name != "json"]
    one = Operation(hdrs.METH_GET, "/v1/statement", words, Auth.KEY, responses, query=KEY_QUERY, also=also)
    any_customer = Operation(
        hdrs.METH_GET,
        "/api/admin/statements",
        words,
        Auth.ADMIN,
        responses,
        query=ADMIN_QUERY,
        required=("customer_id",),
        also=also,
    )
    return [Route(one, bound(context, own_statement)), Route(any_customer, bound(context, any_statement))]


async def own_statement(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/statement."""
    key = key_of(context, request)
    given = query_of(request, KEY_QUERY)
    customer = customer_of(context, key, given.get("customer_id"))
    return await _respond(context, request, given, customer, mode_of(context, key, customer) == "test")


async def any_statement(context: Context, request: web.Request) -> web.Response:
    """Handle GET /api/admin/statements."""
    admin(context, request)
    given = query_of(request, ADMIN_QUERY)
    if "customer_id" not in given:
        raise Invalid("customer_id is required")
    return await _respond(context, request, given, given["customer_id"], context.view.is_test(given["customer_id"]))


async def _respond(
    context: Context, request: web.Request, given: dict[str, str], customer: str, test: bool
) -> web.Response:
    format = params.format_of(given, request.headers.get("Accept", ""))
    now = context.clock()
    month, time = params.month(given, now)
    as_of = params.as_of(given, time, now)
    if customer not in context.view.customers:
        raise NotFound(f"customer_id must be a customer; there is no {customer[:100]!r}")
    reads = context.ledger()
    if not await reads.is_settled(partition_of(customer.encode(), context.settings.partitions), as_of):
        raise LedgerBehind("as_of is later than what the ledger holds so far; try again")
    query = StatementQuery(customer, test, time, as_of)
    try:
        made = statement(query, await reads.statement(query))
    except TooManyLines:
        raise PayloadTooLarge(
            f"the statement has more than {MAX_LINES} lines; query rev.lines in the ledger instead"
        ) from None
    currency = DEFAULT_CURRENCY if context.collector is None else await currency_of(context.collector, customer)
    told = shown(month, made, currency)
    if format == "pdf":
        body = await drawn(context, lambda: statement_document(told, context.settings.issuer))
    else:
        body = await asyncio.to_thread(RENDER[format], told)
    return download(body, format, f"statement-{month}")
