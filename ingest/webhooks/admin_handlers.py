"""/api/admin/webhooks: the endpoints of all customers, and replays by an administrator."""

from aiohttp import hdrs, web
from msgspec.json import Decoder

from ingest import paging
from ingest.admin.configure import ACTOR, admin, admin_body, id_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import NotFound
from ingest.reads import params
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.webhooks.delivery_handlers import replayed
from ingest.webhooks.webhook_requests import ReplayBody, WebhookList
from schemas.config import Webhook
from schemas.webhooks import WebhookObject, webhook_object, webhook_shown

PATH = "/api/admin/webhooks"
ONE = PATH + "/{id}"
LIST_QUERY = {"customer_id": "Only webhooks of this customer.", **paging.QUERY}
_body = Decoder(ReplayBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    get, admins = hdrs.METH_GET, Auth.ADMIN
    listed = Operation(get, PATH, "List the webhooks of all customers.", admins, {200: WebhookList}, query=LIST_QUERY)
    one = Operation(get, ONE, "Get a webhook of any customer.", admins, {200: WebhookObject})
    again = Operation(
        hdrs.METH_POST,
        ONE + "/replay",
        "Replay one delivery, or all events since a time.",
        auth=admins,
        responses={202: WebhookObject},
        body=ReplayBody,
    )
    return [
        Route(listed, bound(context, _list)),
        Route(one, bound(context, _one)),
        Route(again, bound(context, _replay)),
    ]


async def _list(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query = query_of(request, LIST_QUERY)
    customer = params.name(query, "customer_id")
    some = [webhook for webhook in context.view.webhooks.values() if customer in ("", webhook.customer_id)]
    shown, cursor = paging.page(some, lambda webhook: (webhook.id, ""), query)
    return http_response(encode(WebhookList([webhook_shown(webhook) for webhook in shown], cursor)))


async def _one(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    return http_response(bytes(webhook_object(_found(context, request))))


async def _replay(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    return http_response(await replayed(context, _found(context, request), body, ACTOR), 202)


def _found(context: Context, request: web.Request) -> Webhook:
    id = id_of(request, "webhook")
    webhook = context.view.webhooks.get(id)
    if webhook is None:
        raise NotFound(f"no webhook {id}")
    return webhook
