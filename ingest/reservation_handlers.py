"""/v1/reservations: hold money before an agent runs, read what is held, release it. The customer's shard decides.

An event settles a reservation: POST /v1/meter with its ``reservation_id``.
"""

from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType
from msgspec.json import Decoder

from ingest import plain_names
from ingest.auth import customer_of, key_of, mode_of
from ingest.bodies import EventBody, ReservationBody
from ingest.command_log import outcome_reply
from ingest.context import Context
from ingest.meter_commands import bounds, unpriced
from ingest.middleware import http_response
from ingest.new_customers import admit, warned
from ingest.problems import Invalid, MaybeRecorded, NotFound
from ingest.rates import amount
from ingest.request_body import query_of
from ingest.routing import Auth, Operation, Route, bound
from ingest.validation import decode, event_of
from ingest.webhooks.webhook_requests import EmptyBody
from ingest.write_request import QUERY, REPLAYED, one_key, received
from schemas.commands import EventLabels, MeterEvent, ReadReservations, ReleaseReservation, Reserve, encode
from schemas.limits import MAX_BODY
from schemas.reservations import ReservationList, ReservationObject, number_of

PATH = "/v1/reservations"
ONE = PATH + "/{reservation_id}"
TTL = 600
"""Seconds after which a reservation expires that does not say."""
LABELS = ("agent_id", "action", "model")
_body = Decoder(ReservationBody).decode
_empty = Decoder(EmptyBody).decode


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    keys, shown = Auth.KEY, {200: ReservationObject}
    return [
        Route(
            Operation(
                hdrs.METH_POST,
                PATH,
                "Hold money of budgets and prepaid credit before an agent runs.",
                auth=keys,
                responses={201: ReservationObject},
                body=ReservationBody,
                query=QUERY,
            ),
            bound(context, reserve),
        ),
        Route(
            Operation(
                hdrs.METH_GET,
                PATH,
                "List your open reservations.",
                auth=keys,
                responses={200: ReservationList},
                body=None,
                query=QUERY,
            ),
            bound(context, listed),
        ),
        Route(
            Operation(hdrs.METH_GET, ONE, "Get a reservation.", auth=keys, responses=shown, body=None, query=QUERY),
            bound(context, read),
        ),
        Route(
            Operation(
                hdrs.METH_POST,
                ONE + "/release",
                "Release what a reservation holds.",
                auth=keys,
                responses=shown,
                body=EmptyBody,
                query=QUERY,
            ),
            bound(context, release),
        ),
    ]


async def reserve(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/reservations."""
    query, sent, key = await received(context, request, MAX_BODY)
    body: ReservationBody = decode(sent, _body, ReservationBody)
    customer_id = customer_of(context, key, body.customer_id, query.get("customer_id"))
    plain_names.check("idempotency_key", body.idempotency_key)
    own_key = one_key(request, body.idempotency_key)
    given = not isinstance(body.amount_cents, UnsetType) and bytes(body.amount_cents) != b"null"
    if given == (body.estimate is not None):
        raise Invalid("amount_cents or estimate is required, and only one of them")
    labels = {name: text for name in LABELS if (text := getattr(body, name)) is not None}
    for name, text in labels.items():
        if body.estimate is not None:
            raise Invalid(f"{name} must be absent with estimate, which has its own")
        plain_names.check(name, text)
    estimate = None if body.estimate is None else _estimate(context, body.estimate)
    held = amount("amount_cents", body.amount_cents) if given else None
    if estimate is not None and (missing := await unpriced(context, customer_id, [estimate])):
        raise Invalid(f"estimate: {missing[0].error}")
    warnings = await admit(context, key, customer_id)
    mode = mode_of(context, key, customer_id)
    command = Reserve(
        customer_id=customer_id,
        api_key_id=key.id,
        ttl=(TTL if body.ttl_seconds is None else body.ttl_seconds) * 1000,
        idempotency_window=context.settings.idempotency_window,
        amount=held,
        event=EventLabels(**labels) if labels else None,
        estimate=estimate,
        idempotency_key=own_key,
        test=mode == "test",
        mode=mode,
        on_empty=context.view.on_empty(customer_id),
    )
    return await _decided(context, customer_id, encode(command), warnings)


async def release(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/reservations/{id}/release. A repeat changes nothing, and gets the same response."""
    query, sent, key = await received(context, request, MAX_BODY)
    body: EmptyBody = decode(sent or b"{}", _empty, EmptyBody)
    customer_id = customer_of(context, key, body.customer_id, query.get("customer_id"))
    command = ReleaseReservation(customer_id, key.id, _id(request), mode_of(context, key, customer_id))
    return await _decided(context, customer_id, encode(command), ())


async def listed(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/reservations."""
    return await _shown(context, request, None)


async def read(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/reservations/{id}."""
    key_of(context, request)
    return await _shown(context, request, _id(request))


async def _shown(context: Context, request: web.Request, id: str | None) -> web.Response:
    key = key_of(context, request)
    customer_id = customer_of(context, key, query_of(request, QUERY).get("customer_id"))
    command = ReadReservations(customer_id, mode_of(context, key, customer_id), id)
    return http_response(bytes((await context.submitter.read(customer_id, encode(command))).result))


async def _decided(
    context: Context, customer_id: str, command: bytes, warnings: list[str] | tuple[str, ...]
) -> web.Response:
    submitted = await context.submitter.decide(customer_id, command, True)
    if submitted.reply is None:
        raise MaybeRecorded("the reservation is recorded but not confirmed yet; retry with the same Idempotency-Key")
    reply = outcome_reply(submitted.reply)
    return http_response(warned(bytes(reply.result), warnings), reply.status, REPLAYED if reply.replayed else None)


def _estimate(context: Context, body: EventBody) -> MeterEvent:
    """Return the event that is estimated. Raises Invalid."""
    for name in ("idempotency_key", "customer_id", "reservation_id", "timestamp", "expires_at", "on_expiry"):
        if getattr(body, name) is not None:
            raise Invalid(f"estimate.{name} must be absent")
    if body.metadata is not UNSET:
        raise Invalid("estimate.metadata must be absent")
    try:
        return event_of(body, None, bounds(context))
    except Invalid as error:
        raise Invalid(f"estimate.{error}") from None


def _id(request: web.Request) -> str:
    id = request.match_info["reservation_id"]
    if number_of(id) is None:
        raise NotFound(f"no reservation {id[:100]!r}")
    return id
