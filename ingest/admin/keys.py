"""/api/admin/api-keys: make, list and revoke API keys. A secret is shown once and never stored."""

import structlog
from aiohttp import hdrs, web
from msgspec.json import Decoder
from msgspec.structs import asdict

from ingest import paging, plain_names
from ingest.admin.configure import ACTOR, admin, admin_body, configure, id_of
from ingest.auth import PLATFORM, check_customer_id, hash_of, mask_of
from ingest.bodies import KeyBody, SignupBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound
from ingest.request_body import query_of
from ingest.responses import DoneResponse, KeyCreated, KeyList, KeyShown, encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.commands import CreateKey, RevokeKey, Signup
from schemas.config import ApiKey
from schemas.objects import KeyObject, iso, key_shown
from warehouse.errors import ReadsUnavailable

PATH = "/api/admin/api-keys"
RANDOM_BYTES = 20
SIGNUP = "signup"
"""Actor of a key that a visitor made."""
_body = Decoder(KeyBody)
_decided = Decoder(KeyObject)
_log = structlog.get_logger("ingest")


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    admins, listed = Auth.ADMIN, {200: KeyList}
    create, show, one, revoke = (bound(context, handler) for handler in (_create, _list, _one, _revoke))
    return [
        Route(Operation(hdrs.METH_POST, PATH, "Create an API key.", admins, {201: KeyCreated}, KeyBody), create),
        Route(
            Operation(
                hdrs.METH_GET,
                PATH,
                "List all API keys, masked.",
                auth=admins,
                responses=listed,
                body=None,
                query=paging.QUERY,
            ),
            show,
        ),
        Route(Operation(hdrs.METH_GET, PATH + "/{id}", "Get an API key, masked.", admins, {200: KeyShown}), one),
        Route(Operation(hdrs.METH_DELETE, PATH + "/{id}", "Revoke an API key.", admins, {200: DoneResponse}), revoke),
    ]


async def _create(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    if body.customer_id is None:
        raise Invalid("customer_id is required")
    if body.customer_id != PLATFORM:
        check_customer_id(context, body.customer_id)
    plain_names.check("customer_name", body.customer_name)
    secret = ("rg_test_" if body.test else "rg_") + context.token(RANDOM_BYTES)
    signup = _signup(body.signup)
    command = CreateKey(
        customer_id=body.customer_id,
        hash=hash_of(secret),
        mask=mask_of(secret),
        customer_name=body.customer_name,
        test=bool(body.test),
        actor=ACTOR if signup is None else SIGNUP,
        signup=signup,
    )
    made = _decided.decode((await configure(context, command)).result)
    return http_response(encode(KeyCreated(**asdict(made), api_key=secret)), 201)


def _signup(body: SignupBody | None) -> Signup | None:
    if body is None:
        return None
    if body.email is None:
        raise Invalid("signup.email is required")
    named = asdict(body)
    for field, value in named.items():
        plain_names.check(f"signup.{field}", value)
    return Signup(**named)


async def _revoke(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    await configure(context, RevokeKey(id_of(request, "API key"), ACTOR))
    return http_response(encode(DoneResponse(True)))


async def _list(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query = query_of(request, paging.QUERY)
    keys, cursor = paging.page(context.view.keys.values(), lambda key: (key.id, ""), query)
    used = await _last_used(context, keys)
    return http_response(encode(KeyList([_shown(key, used.get(key.id)) for key in keys], cursor)))


async def _one(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    id = id_of(request, "API key")
    key = context.view.keys.get(id)
    if key is None:
        raise NotFound(f"there is no API key {id}")
    used = await _last_used(context, [key])
    return http_response(encode(_shown(key, used.get(id))))


async def _last_used(context: Context, keys: list[ApiKey]) -> dict[int, int]:
    """Return the last use of each key in ms, by key id.

    Empty while the ledger cannot be read, since the list must not depend on it.
    """
    if context.clickhouse is None:
        return {}
    try:
        return await context.clickhouse.last_used([key.id for key in keys])
    except ReadsUnavailable as error:
        _log.warning("last use of keys is not known", error=str(error))
        return {}


def _shown(key: ApiKey, used: int | None) -> KeyShown:
    return KeyShown(**asdict(key_shown(key)), last_used_at=None if used is None else iso(used))
