"""GET /v1/key: what the API key of a request is."""

from aiohttp import hdrs, web
from msgspec.structs import replace

from ingest.auth import PLATFORM, key_of, mode_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.objects import KeyObject, key_shown

PATH = "/v1/key"


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    asked = Operation(hdrs.METH_GET, PATH, "Get the API key of this request, masked.", Auth.KEY, {200: KeyObject})
    return [Route(asked, bound(context, own_key))]


async def own_key(context: Context, request: web.Request) -> web.Response:
    """Return the key; ``test`` says whether its requests are in test mode."""
    key = key_of(context, request)
    query_of(request, ())
    test = key.test if key.customer_id == PLATFORM else mode_of(context, key, key.customer_id) == "test"
    return http_response(encode(replace(key_shown(key), test=test)))
