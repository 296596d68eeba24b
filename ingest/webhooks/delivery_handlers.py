"""/v1/webhooks/{id}/deliveries: list attempts; /v1/webhooks/{id}/replay: deliver again."""

import msgspec
from aiohttp import hdrs, web

from ingest.admin.configure import configure
from ingest.auth import customer_of, key_of, mode_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound
from ingest.reads import cursors, params
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.webhooks.endpoint_handlers import ACTOR, ONE, NotActive, asked, webhook_of
from ingest.webhooks.webhook_requests import ReplayBody, since_of
from ingest.write_request import QUERY
from schemas.commands import ReplayWebhook
from schemas.config import Webhook
from schemas.deliveries import KEPT
from schemas.objects import iso
from schemas.webhooks import WebhookObject
from warehouse.rows import DeliveryPosition, DeliveryRow

DELIVERIES = "deliveries"
"""The list that a cursor belongs to."""
NEWEST: DeliveryPosition = (2**53, 0, 0)
LIST_QUERY = {
    **QUERY,
    "limit": "Maximum number of items, 1 to 1000; 50 by default.",
    "cursor": "next_cursor of the previous page.",
    "delivery_id": "Only attempts at this delivery.",
}


class DeliveryShown(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, newest first. ``answer``: the first bytes of the response.

    ``outcome``: delivered, retry, dead, or dropped without a try; gap: events of a period were not sent,
    and can be replayed.
    """

    delivery_id: str | None
    event_id: str | None
    type: str | None
    attempt: int
    outcome: str
    attempted_at: str
    http_status: int | None
    latency_ms: int
    error: str | None
    answer: str | None
    next_attempt_at: str | None
    replay: bool
    since: str | None
    until: str | None
    test: bool


class DeliveryList(msgspec.Struct, frozen=True):
    deliveries: list[DeliveryShown]
    next_cursor: str | None


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    keys, again = Auth.KEY, {202: WebhookObject}
    where, listed = ONE + "/deliveries", {200: DeliveryList}
    return [
        Route(
            Operation(
                hdrs.METH_GET,
                where,
                "List all attempts, newest first.",
                auth=keys,
                responses=listed,
                body=None,
                query=LIST_QUERY,
            ),
            bound(context, _list),
        ),
        Route(
            Operation(
                hdrs.METH_POST,
                ONE + "/replay",
                "Replay one delivery, or all events since a time.",
                auth=keys,
                responses=again,
                body=ReplayBody,
                query=QUERY,
            ),
            bound(context, _replay),
        ),
    ]


async def _list(context: Context, request: web.Request) -> web.Response:
    key = key_of(context, request)
    given = query_of(request, LIST_QUERY)
    customer_id = customer_of(context, key, given.get("customer_id"))
    webhook = webhook_of(context, request, customer_id, mode_of(context, key, customer_id))
    limit, cursor = params.limit(given), params.cursor(given, DELIVERIES, 3)
    before = NEWEST if cursor is None else (cursor[0], cursor[1], cursor[2])
    delivery = params.name(given, "delivery_id")
    rows = await context.ledger().deliveries(webhook.id, before, limit + 1, delivery)
    here = rows[:limit]
    more = cursors.encode(DELIVERIES, *here[-1].position) if len(rows) > limit else None
    return http_response(encode(DeliveryList([shown(row, webhook.test) for row in here], more)))


async def _replay(context: Context, request: web.Request) -> web.Response:
    body, customer_id, mode = await asked(context, request, ReplayBody)
    webhook = webhook_of(context, request, customer_id, mode)
    return http_response(await replayed(context, webhook, body, ACTOR), 202)


async def replayed(context: Context, webhook: Webhook, body: ReplayBody, actor: str) -> bytes:
    """Deliver again what the body names, and return the endpoint as JSON. Raises Problem."""
    if body.customer_id not in (None, webhook.customer_id):
        raise Invalid("customer_id must be the customer of this webhook")
    if (body.delivery_id is None) == (body.since is None):
        raise Invalid("either delivery_id or since is required, not both")
    if not webhook.active:
        raise NotActive("the webhook is not active; set active to true, then replay")
    id, customer_id = webhook.id, webhook.customer_id
    if body.since is not None:
        since = since_of(body.since, context.clock(), KEPT)
        command = ReplayWebhook(id, customer_id, since, actor=actor)
    else:
        assert body.delivery_id is not None
        rows = await context.ledger().deliveries(id, NEWEST, 1, body.delivery_id)
        if not rows or not body.delivery_id:
            raise NotFound(f"webhook {id} has no delivery {body.delivery_id[:50]!r}")
        position = rows[0]
        command = ReplayWebhook(id, customer_id, None, position.partition, position.offset, position.index, actor=actor)
    return bytes((await configure(context, command)).result)


def shown(row: DeliveryRow, test: bool) -> DeliveryShown:
    """Return a row as the API shows it; ``test``: the mode of its endpoint."""
    return DeliveryShown(
        delivery_id=row.delivery_id or None,
        event_id=row.event_id or None,
        type=row.type or None,
        attempt=row.attempt,
        outcome="gap" if row.gap else row.outcome,
        attempted_at=iso(row.at),
        http_status=row.status,
        latency_ms=row.latency,
        error=(row.reason if row.gap else row.error) or None,
        answer=row.answer or None,
        next_attempt_at=None if row.next_at is None else iso(row.next_at),
        replay=row.replay,
        since=iso(row.since) if row.gap else None,
        until=iso(row.until) if row.gap else None,
        test=test,
    )
