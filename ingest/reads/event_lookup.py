"""POST /v1/events/lookup: the charged events of many idempotency keys at once, from the ledger."""

import msgspec
from aiohttp import hdrs, web

from ingest.auth import customer_of, mode_of
from ingest.bodies import LookupBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid
from ingest.reads.eventviews import EventShown, shown
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.validation import decode, no_control
from ingest.write_request import QUERY, received
from schemas.limits import MAX_BATCH_BODY, MAX_EVENTS
from warehouse.rows import EventRow

PATH = "/v1/events/lookup"
_body = msgspec.json.Decoder(LookupBody).decode


class EventFound(EventShown, frozen=True, kw_only=True):
    """An event as GET /v1/events shows it; ``void_reason``: why it was voided, if it was."""

    void_reason: str | None = None


class EventsFound(msgspec.Struct, frozen=True):
    """The charged events that have one of the keys, in no particular order."""

    events: list[EventFound]


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    words = "Look up the charged events of up to 1000 idempotency keys."
    asked = Operation(
        hdrs.METH_POST, PATH, words, auth=Auth.KEY, responses={200: EventsFound}, body=LookupBody, query=QUERY
    )
    return [Route(asked, bound(context, lookup))]


async def lookup(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/events/lookup."""
    query, sent, key = await received(context, request, MAX_BATCH_BODY)
    body: LookupBody = decode(sent, _body, LookupBody)
    customer = customer_of(context, key, body.customer_id, query.get("customer_id"))
    test = mode_of(context, key, customer) == "test"
    reads = context.ledger()
    rows = await reads.lookup(customer, test, _keys(body))
    reasons = await reads.voided(customer, [row.event_id for row in rows])
    return http_response(encode(EventsFound([_found(row, reasons.get(row.event_id)) for row in rows])))


def _keys(body: LookupBody) -> list[str]:
    """Return the keys, each once. Raises Invalid."""
    keys = body.idempotency_keys or []
    if not 1 <= len(keys) <= MAX_EVENTS:
        raise Invalid(f"idempotency_keys is required: a list of 1 to {MAX_EVENTS} keys")
    for index, key in enumerate(keys):
        no_control(f"idempotency_keys[{index}]", key)
    return list(dict.fromkeys(keys))


def _found(row: EventRow, reason: str | None) -> EventFound:
    """Return an event of the ledger; ``reason``: why it was voided, None if it was not."""
    return EventFound(**msgspec.structs.asdict(shown(row, reason is not None)), void_reason=reason)
