"""GET /v1/key: what the API key of a request is."""

from aiohttp import hdrs, web
from msgspec.structs import replace

from ingest.auth import PLATFORM, customer_of, key_of, mode_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.write_request import QUERY
from schemas.objects import KeyObject, key_shown

PATH = "/v1/key"


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    asked = Operation(
        hdrs.METH_GET,
        PATH,
        "Get the API key of this request, masked.",
        auth=Auth.KEY,
        responses={200: KeyObject},
        body=None,
        query=QUERY,
    )
    return [Route(asked, bound(context, own_key))]


async def own_key(context: Context, request: web.Request) -> web.Response:
    """Return the key; ``test`` says whether its requests, for the named customer, are in test mode."""
    key = key_of(context, request)
    named = query_of(request, QUERY).get("customer_id")
    if key.customer_id == PLATFORM and named is None:
        test = key.test
    else:
        test = mode_of(context, key, customer_of(context, key, named)) == "test"
    return http_response(encode(replace(key_shown(key), test=test)))
