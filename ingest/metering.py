"""POST /v1/meter and POST /v1/meter/batch: events in, exact prices out."""

from aiohttp import hdrs, web

from ingest import render
from ingest.auth import customer_of, mode_of
from ingest.bodies import BatchBody, EventBody
from ingest.context import Context
from ingest.import_ids import import_id_of
from ingest.meter_commands import bounds, meter_command, note_unpriced, unpriced
from ingest.middleware import http_response
from ingest.new_customers import admit, warned
from ingest.problems import Invalid
from ingest.responses import AcceptedBatch, AcceptedResponse, BatchResponse
from ingest.routing import Auth, Operation, Route, bound
from ingest.unpriced_actions import OWN
from ingest.validation import decode_batch, decode_event, event_of, events_of, failed
from ingest.write_request import QUERY, REPLAYED, given_key, location, one_key, received, waits
from schemas.commands import encode
from schemas.ids import event_id
from schemas.limits import MAX_BATCH_BODY, MAX_BODY
from schemas.meter_responses import MeterResponse, metered
from schemas.replies import BatchChargedReply, ChargedReply


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    return [
        Route(
            Operation(
                hdrs.METH_POST,
                "/v1/meter",
                "Record one event; the response holds its exact price.",
                auth=Auth.KEY,
                responses={201: MeterResponse, 202: AcceptedResponse},
                body=EventBody,
                query=QUERY,
            ),
            bound(context, one),
        ),
        Route(
            Operation(
                hdrs.METH_POST,
                "/v1/meter/batch",
                "Record 1 to 1000 events of one customer, all or none.",
                auth=Auth.KEY,
                responses={201: BatchResponse, 202: AcceptedBatch},
                body=BatchBody,
                query=QUERY,
            ),
            bound(context, many),
        ),
    ]


async def one(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/meter."""
    query, sent, key = await received(context, request, MAX_BODY)
    body = decode_event(sent)
    customer_id = customer_of(context, key, body.customer_id, query.get("customer_id"))
    event = event_of(body, one_key(request, body.idempotency_key), bounds(context))
    missing = await unpriced(context, customer_id, [event])
    if missing:
        note_unpriced(context, key, customer_id, [event], missing, OWN)
        raise Invalid(missing[0].error)
    warnings = await admit(context, key, customer_id)
    mode = mode_of(context, key, customer_id)
    test = mode == "test"
    command = encode(meter_command(context, key, customer_id, [event], mode, batch=False))
    submitted = await context.submitter.meter(customer_id, command, 1, waits(request))
    reply, appended = submitted.reply, submitted.appended
    if isinstance(reply, ChargedReply):
        shown = metered(customer_id, event, reply.receipt, test, reply.voided)
        return http_response(warned(shown, warnings), 201, REPLAYED if reply.replayed else None)
    if reply is not None:
        raise TypeError(f"unexpected reply to a meter command: {type(reply).__name__}")
    id = event_id(appended.partition, appended.offset)
    where = location(key, customer_id, "events", str(id))
    shown = render.accepted(customer_id, event, id, appended.timestamp_ms, test)
    return http_response(warned(shown, warnings), 202, where)


async def many(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/meter/batch."""
    query, sent, key = await received(context, request, MAX_BATCH_BODY)
    batch = decode_batch(sent)
    customer_id = customer_of(context, key, batch.customer_id, query.get("customer_id"))
    assert batch.events is not None
    import_id = import_id_of(batch.import_id)
    events = events_of(batch.events, customer_id, given_key(request), bounds(context))
    missing = await unpriced(context, customer_id, events)
    if missing:
        note_unpriced(context, key, customer_id, events, missing, OWN)
        raise failed(missing)
    warnings = await admit(context, key, customer_id)
    mode = mode_of(context, key, customer_id)
    command = encode(meter_command(context, key, customer_id, events, mode, batch=True, import_id=import_id))
    submitted = await context.submitter.meter(customer_id, command, len(events), waits(request))
    reply, (partition, offset) = submitted.reply, (submitted.appended.partition, submitted.appended.offset)
    if isinstance(reply, BatchChargedReply):
        replayed = len(reply.replayed) == len(events)
        shown = render.batch_metered(partition, offset, reply, mode == "test")
        return http_response(warned(shown, warnings), 201, REPLAYED if replayed else None)
    if reply is not None:
        raise TypeError(f"unexpected reply to a batch: {type(reply).__name__}")
    where = location(key, customer_id, "events", str(event_id(partition, offset)))
    shown = render.batch_accepted(partition, offset, events, mode == "test")
    return http_response(warned(shown, warnings), 202, where)
