"""/v1/webhooks: make, list, change, delete, rotate and test a customer's endpoints."""

from typing import TypeVar

from aiohttp import hdrs, web
from msgspec.json import Decoder
from msgspec.structs import asdict

from ingest import paging
from ingest.admin.configure import configure, id_of
from ingest.auth import customer_of, key_of, mode_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound, Problem
from ingest.request_body import query_of
from ingest.responses import DoneResponse, encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.validation import decode
from ingest.webhooks.webhook_requests import (
    ChangeBody,
    EmptyBody,
    ReplayBody,
    WebhookBody,
    WebhookList,
    WebhookMade,
    types_of,
    url_of,
)
from ingest.write_request import QUERY, received
from schemas.commands import CreateWebhook, DeleteWebhook, Mode, ProbeWebhook, RotateWebhook, UpdateWebhook
from schemas.config import Webhook
from schemas.limits import MAX_BODY
from schemas.replies import ConfiguredReply
from schemas.secrets import SecretBox, new_secret
from schemas.webhooks import WebhookObject, webhook_object, webhook_shown

PATH = "/v1/webhooks"
ONE = PATH + "/{id}"
ACTOR = "customer"
LIST_QUERY = {**QUERY, **paging.QUERY}
Body = TypeVar("Body", WebhookBody, ChangeBody, ReplayBody, EmptyBody)
_shown = Decoder(WebhookObject).decode


class WebhooksOff(Problem):
    """A refusal: no key is configured to encrypt secrets with."""

    status, code = 503, "webhooks_off"


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    keys = Auth.KEY
    post, made, shown = hdrs.METH_POST, {201: WebhookMade}, {200: WebhookObject}
    listed, done, rotated = {200: WebhookList}, {200: DoneResponse}, {200: WebhookMade}
    return [
        Route(
            Operation(
                post,
                PATH,
                "Create a webhook; only this response has its secret.",
                auth=keys,
                responses=made,
                body=WebhookBody,
                query=QUERY,
            ),
            bound(context, _make),
        ),
        Route(
            Operation(
                hdrs.METH_GET, PATH, "List your webhooks.", auth=keys, responses=listed, body=None, query=LIST_QUERY
            ),
            bound(context, _list),
        ),
        Route(
            Operation(hdrs.METH_GET, ONE, "Get a webhook.", auth=keys, responses=shown, body=None, query=QUERY),
            bound(context, _show),
        ),
        Route(
            Operation(
                hdrs.METH_PATCH, ONE, "Update a webhook.", auth=keys, responses=shown, body=ChangeBody, query=QUERY
            ),
            bound(context, _change),
        ),
        Route(
            Operation(hdrs.METH_DELETE, ONE, "Delete a webhook.", auth=keys, responses=done, body=None, query=QUERY),
            bound(context, _delete),
        ),
        Route(
            Operation(
                post,
                ONE + "/rotate",
                "Replace the secret of a webhook; only this response has the new one.",
                auth=keys,
                responses=rotated,
                body=EmptyBody,
                query=QUERY,
            ),
            bound(context, _rotate),
        ),
        Route(
            Operation(
                post,
                ONE + "/test",
                "Send a test event to a webhook.",
                auth=keys,
                responses={202: WebhookObject},
                body=EmptyBody,
                query=QUERY,
            ),
            bound(context, _test),
        ),
    ]


async def _make(context: Context, request: web.Request) -> web.Response:
    body, customer_id, mode = await asked(context, request, WebhookBody)
    if body.url is None:
        raise Invalid("url is required")
    if body.events is None:
        raise Invalid("events is required")
    url = url_of(body.url, context.settings.webhook_allow_private)
    events = types_of(body.events)
    secret = new_secret(context.random_bytes)
    sealed = _box(context).encrypt(secret, context.random_bytes)
    decided = await configure(context, CreateWebhook(customer_id, url, events, sealed, ACTOR, mode == "test"))
    return http_response(_with_secret(decided, secret), 201)


async def _list(context: Context, request: web.Request) -> web.Response:
    key = key_of(context, request)
    query = query_of(request, LIST_QUERY)
    customer_id = customer_of(context, key, query.get("customer_id"))
    mode = mode_of(context, key, customer_id)
    own = [webhook for webhook in context.view.webhooks.values() if is_of(webhook, customer_id, mode)]
    shown, cursor = paging.page(own, lambda webhook: (webhook.id, ""), query)
    return http_response(encode(WebhookList([webhook_shown(webhook) for webhook in shown], cursor)))


async def _show(context: Context, request: web.Request) -> web.Response:
    key = key_of(context, request)
    customer_id = customer_of(context, key, query_of(request, QUERY).get("customer_id"))
    mode = mode_of(context, key, customer_id)
    return http_response(bytes(webhook_object(webhook_of(context, request, customer_id, mode))))


async def _change(context: Context, request: web.Request) -> web.Response:
    body, customer_id, mode = await asked(context, request, ChangeBody)
    webhook = webhook_of(context, request, customer_id, mode)
    if body.url is None and body.events is None and body.active is None:
        raise Invalid("at least one of url, events and active is required")
    url = None if body.url is None else url_of(body.url, context.settings.webhook_allow_private)
    events = None if body.events is None else types_of(body.events)
    command = UpdateWebhook(webhook.id, customer_id, url, events, body.active, actor=ACTOR)
    return http_response(bytes((await configure(context, command)).result))


async def _delete(context: Context, request: web.Request) -> web.Response:
    key = key_of(context, request)
    customer_id = customer_of(context, key, query_of(request, QUERY).get("customer_id"))
    webhook = webhook_of(context, request, customer_id, mode_of(context, key, customer_id))
    await configure(context, DeleteWebhook(webhook.id, customer_id, ACTOR))
    return http_response(encode(DoneResponse(True, webhook.id)))


async def _rotate(context: Context, request: web.Request) -> web.Response:
    _, customer_id, mode = await asked(context, request, EmptyBody)
    webhook = webhook_of(context, request, customer_id, mode)
    secret = new_secret(context.random_bytes)
    sealed = _box(context).encrypt(secret, context.random_bytes)
    decided = await configure(context, RotateWebhook(webhook.id, customer_id, sealed, ACTOR))
    return http_response(_with_secret(decided, secret))


async def _test(context: Context, request: web.Request) -> web.Response:
    _, customer_id, mode = await asked(context, request, EmptyBody)
    webhook = webhook_of(context, request, customer_id, mode)
    if not webhook.active:
        raise NotActive("the webhook is not active; nothing is sent to it")
    decided = await configure(context, ProbeWebhook(webhook.id, customer_id, ACTOR))
    return http_response(bytes(decided.result), 202)


class NotActive(Problem):
    """A refusal: the request would send to an endpoint that is not active."""

    status, code = 409, "webhook_inactive"


async def asked(context: Context, request: web.Request, struct: type[Body]) -> tuple[Body, str, Mode]:
    """Return the body of a request (an empty one counts as {}), its customer and its mode.

    Raises Problem.
    """
    query, text, key = await received(context, request, MAX_BODY)
    body: Body = decode(text or b"{}", Decoder(struct).decode, struct)
    customer_id = customer_of(context, key, body.customer_id, query.get("customer_id"))
    return body, customer_id, mode_of(context, key, customer_id)


def is_of(webhook: Webhook, customer_id: str, mode: Mode) -> bool:
    """True if an endpoint belongs to a customer and a mode."""
    return webhook.customer_id == customer_id and webhook.test == (mode == "test")


def webhook_of(context: Context, request: web.Request, customer_id: str, mode: Mode) -> Webhook:
    """Return the endpoint in the path, of this customer and mode. Raises NotFound."""
    id = id_of(request, "webhook")
    webhook = context.view.webhooks.get(id)
    if webhook is None or not is_of(webhook, customer_id, mode):
        raise NotFound(f"no webhook {id}")
    return webhook


def _box(context: Context) -> SecretBox:
    if context.box is None:
        raise WebhooksOff("webhooks are off: REV_SECRET_KEY is not set")
    return context.box


def _with_secret(decided: ConfiguredReply, secret: str) -> bytes:
    return encode(WebhookMade(**asdict(_shown(decided.result)), secret=secret))
