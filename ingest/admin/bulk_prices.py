"""POST /api/admin/pricing/bulk: set a whole price list, or preview what it would change."""

from collections.abc import Callable

import msgspec
from aiohttp import hdrs, web

from ingest import price_csv
from ingest.admin.configure import ACTOR, admin, configure
from ingest.bodies import PriceBody, PriceListBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.price_bodies import price_row
from ingest.problems import Invalid
from ingest.request_body import CSV, JSON, body_of, media_type, query_of
from ingest.routing import Auth, Operation, Route, bound
from ingest.validation import decode
from schemas.commands import ListedPrice, SetPriceList
from schemas.limits import MAX_BODY
from schemas.price_list import MAX_ROWS, PriceListResponse, change_of, encode, listed, response, same_scope
from schemas.price_match import PriceSlot
from schemas.replies import IndexedError

PATH = "/api/admin/pricing/bulk"
QUERY = {"preview": "true to see what the list would change, and record nothing."}
_decode_row = msgspec.json.Decoder(PriceBody).decode
_decode_list = msgspec.json.Decoder(PriceListBody).decode
Rows = list[bytes] | list[msgspec.Raw]


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    answers = {200: PriceListResponse, 201: PriceListResponse}
    what = "Set a price list: all of its rows or none."
    operation = Operation(hdrs.METH_POST, PATH, what, Auth.ADMIN, answers, body=PriceListBody, query=QUERY)
    return [Route(operation, bound(context, _set))]


async def _set(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    preview = query_of(request, QUERY).get("preview", "false")
    if preview not in ("true", "false"):
        raise Invalid("preview must be true or false")
    body = await body_of(request, MAX_BODY, media_types=(JSON, CSV))
    given: Rows = price_csv.rows_of(body) if media_type(request) == CSV else _rows_of(body)
    if not 1 <= len(given) <= MAX_ROWS:
        raise Invalid(f"rows must be 1 to {MAX_ROWS} price rows")
    rows = _checked(given, lambda body: price_row(context, body))
    if preview == "true":
        return http_response(encode(_preview(context, rows)))
    decided = await configure(context, SetPriceList(rows, ACTOR))
    return http_response(bytes(decided.result), decided.status)


def _rows_of(body: bytes) -> list[msgspec.Raw]:
    made: PriceListBody = decode(body, _decode_list, PriceListBody)
    if made.rows is None:
        raise Invalid("rows is required")
    return made.rows


def _checked(given: Rows, checked: Callable[[PriceBody], ListedPrice]) -> list[ListedPrice]:
    """Return the rows. Raises Invalid with every row that is wrong, by index."""
    rows: list[ListedPrice] = []
    errors: list[IndexedError] = []
    seen: dict[tuple[PriceSlot, int | None], int] = {}
    for number, one in enumerate(given):
        try:
            row = checked(decode(one, _decode_row, PriceBody))
        except Invalid as error:
            errors.append(IndexedError(number, f"rows[{number}]: {error.error.replace('the body', 'it')}"))
            continue
        first = seen.setdefault((row.slot, row.effective_at), number)
        if first != number:
            errors.append(IndexedError(number, same_scope(number, first)))
        rows.append(row)
    if errors:
        raise Invalid(f"{errors[0].error}; nothing of the list was recorded", errors)
    return rows


def _preview(context: Context, rows: list[ListedPrice]) -> PriceListResponse:
    now = context.clock()
    changes = [change_of(row, context.view.versions(row.slot), now) for row in rows]
    return response([listed(*one, None) for one in zip(range(len(rows)), rows, changes, strict=True)], preview=True)
