"""POST /v1/explain: what a client's body would become and cost. It records nothing."""

from typing import Any

import msgspec
from aiohttp import hdrs, web

from ingest.auth import key_of
from ingest.context import Context
from ingest.dialects.catalog import BY_NAME, route_of
from ingest.dialects.dialect import JSON, Dialect, DialectRoute, MappedEvent, renamed
from ingest.dialects.recording import check
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound
from ingest.quotes import NoQuote, quote
from ingest.request_body import body_of, query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.limits import MAX_BATCH_BODY
from schemas.meter_responses import CURRENCY, PriceResponse, pico
from schemas.money import format_cents
from schemas.objects import Number

QUERY = {
    "dialect": "The dialect of the body; `rev dialects` lists them.",
    "path": "The path that the body is for, if the dialect has several; the first one when absent.",
    "customer_id": "The customer of events that name none, with a platform key.",
}


class ExplainedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event of the body: the fields of POST /v1/meter that it becomes, and its price, or why it is refused.

    One without either is recorded at 0 until its action has a price.
    """

    index: int
    customer_id: str | None = None
    event: dict[str, Any] = {}
    price: PriceResponse | None = None
    error: str | None = None


class IgnoredPart(msgspec.Struct, frozen=True):
    reason: str
    count: int


class ExplainResponse(msgspec.Struct, frozen=True):
    """200: what the body would become and cost. Nothing is recorded, and no idempotency key is looked up."""

    dialect: str
    path: str
    events: list[ExplainedEvent]
    not_counted: list[IgnoredPart]
    total_cents: Number
    currency: str


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [
        Route(
            Operation(
                hdrs.METH_POST,
                "/v1/explain",
                "Show what the body of another product's client would become and cost; record nothing.",
                auth=Auth.KEY,
                responses={200: ExplainResponse},
                query=QUERY,
            ),
            bound(context, explain),
        )
    ]


async def explain(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/explain."""
    key_of(context, request)
    query = query_of(request, QUERY)
    dialect, route = _wanted(query)
    body = await body_of(request, MAX_BATCH_BODY, media_types=(*route.media_types, JSON) if route.media_types else ())
    mapped = route.read(request.headers, body)
    key = key_of(context, request)
    checked = await check(context, key, [_with_customer(one, query.get("customer_id")) for one in mapped.events])
    events = {one.index: ExplainedEvent(one.index, error=renamed(one.error, dialect.names)) for one in checked.refused}
    total = 0
    for customer_id, found in checked.customers.items():
        for one in found:
            event = one.event
            price = context.view.price_for(context.clock(), customer_id, event.action, event.model, event.provider)
            fields = {name: value for name, value in mapped.events[one.place].fields.items() if name != "customer_id"}
            if price is None:
                events[one.place] = ExplainedEvent(one.place, customer_id, fields)
                continue
            try:
                cost = quote(price, event)
            except NoQuote as error:
                events[one.place] = ExplainedEvent(one.place, customer_id, fields, error=str(error))
                continue
            events[one.place] = ExplainedEvent(one.place, customer_id, fields, cost)
            total += pico(bytes(cost.total_cents).decode())
    shown = ExplainResponse(
        dialect=dialect.name,
        path=route.path,
        events=[events[index] for index in sorted(events)],
        not_counted=[IgnoredPart(reason, count) for reason, count in mapped.ignored.items()],
        total_cents=msgspec.Raw(format_cents(total).encode()),
        currency=CURRENCY,
    )
    return http_response(encode(shown))


def _wanted(query: dict[str, str]) -> tuple[Dialect, DialectRoute]:
    name = query.get("dialect")
    if name is None:
        raise Invalid("dialect is required")
    dialect = BY_NAME.get(name)
    route = None if dialect is None else route_of(dialect, query.get("path"))
    if dialect is None:
        raise NotFound(f"dialect must be one of {', '.join(BY_NAME)}")
    if route is None:
        raise NotFound(f"path must be one of {', '.join(one.path for one in dialect.routes)}")
    return dialect, route


def _with_customer(one: MappedEvent, customer_id: str | None) -> MappedEvent:
    """Return the event with the query's customer if it names none."""
    if customer_id is None or one.fields.get("customer_id") is not None:
        return one
    return one._replace(fields={**one.fields, "customer_id": customer_id})
