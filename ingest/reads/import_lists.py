"""GET /v1/imports: the charges and voids of each import, from the ledger."""

import msgspec
from aiohttp import hdrs, web

from ingest.auth import PLATFORM, customer_of, key_of, mode_of
from ingest.context import Context
from ingest.import_ids import import_id_of
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound
from ingest.reads import params
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.money import format_cents, parse_cents
from schemas.objects import Number, iso, number
from warehouse.rows import ImportQuery, ImportRow

PATH = "/v1/imports"
CUSTOMER = {"customer_id": "The customer; required with a platform key."}
LIST_QUERY = {
    "customer_id": "The customer, with a platform key; all customers by default.",
    "import_id": "Only this import.",
    "limit": "Maximum number of items, 1 to 1000; 50 by default.",
    "cursor": "next_cursor of the previous page.",
}


class ImportShown(msgspec.Struct, frozen=True):
    """The sums of an import.

    ``first_at``, ``last_at``: when its first and last event were accepted. ``charged_cents``: charges of its
    events and of the outcomes that they opened. ``voided_cents``: sum of the voids, negative.
    """

    import_id: str
    customer_id: str
    test: bool
    first_at: str
    last_at: str
    events: int
    voided_events: int
    charged_cents: Number
    voided_cents: Number
    total_cents: Number


class ImportList(msgspec.Struct, frozen=True):
    """GET /v1/imports, the most recently extended import first."""

    imports: list[ImportShown]
    next_cursor: str | None


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    get, one = hdrs.METH_GET, PATH + "/{import_id}"
    words = "List imports and their totals, the most recently extended first."
    return [
        Route(Operation(get, PATH, words, Auth.KEY, {200: ImportList}, query=LIST_QUERY), bound(context, import_list)),
        Route(
            Operation(get, one, "Get an import and its totals.", Auth.KEY, {200: ImportShown}, query=CUSTOMER),
            bound(context, one_import),
        ),
    ]


async def import_list(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/imports.

    A live platform key that names no customer gets the live rows of all customers, so not the rows of
    customers flagged as test.
    """
    key = key_of(context, request)
    given = query_of(request, LIST_QUERY)
    if key.customer_id == PLATFORM and "customer_id" not in given:
        asked = params.import_query(given, "", key.test)
    else:
        customer = customer_of(context, key, given.get("customer_id"))
        asked = params.import_query(given, customer, mode_of(context, key, customer) == "test")
    rows = await context.ledger().imports(asked._replace(limit=asked.limit + 1))
    here = rows[: asked.limit]
    more = params.import_cursor(here[-1]) if len(rows) > len(here) else None
    return http_response(encode(ImportList([_shown(asked, row) for row in here], more)))


async def one_import(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/imports/{import_id}."""
    key = key_of(context, request)
    customer = customer_of(context, key, query_of(request, CUSTOMER).get("customer_id"))
    id = request.match_info["import_id"]
    unknown = NotFound(f"there is no import {id[:64]!r}")
    try:
        import_id_of(id)
    except Invalid:
        raise unknown from None
    asked = ImportQuery(customer, mode_of(context, key, customer) == "test", id, limit=1)
    rows = await context.ledger().imports(asked)
    if not rows:
        raise unknown
    return http_response(encode(_shown(asked, rows[0])))


def _shown(asked: ImportQuery, row: ImportRow) -> ImportShown:
    charged, taken = parse_cents(row.cents), parse_cents(row.taken)
    return ImportShown(
        import_id=row.import_id,
        customer_id=row.customer_id,
        test=asked.test,
        first_at=iso(row.first),
        last_at=iso(row.last),
        events=row.events,
        voided_events=row.voided,
        charged_cents=number(format_cents(charged)),
        voided_cents=number(format_cents(taken)),
        total_cents=number(format_cents(charged + taken)),
    )
