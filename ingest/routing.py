"""The table of routes: what is served, to whom, and what /openapi.json says of it.

Each package of the gateway (metering, admin, reads, …) contributes rows; the application and
its description are made from the same rows, so that neither can forget one. No handler code
may come in.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import NamedTuple

from aiohttp import web

from ingest.context import Context

_PARAMETER = re.compile(r"{(\w+)}")
_ANY = r"[^/]+"
_OTHER = {"event_id": rf"(?!lookup(?:/|$)){_ANY}"}
"""Parameters in whose place another path has a word of its own."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def bound(context: Context, function: Callable[[Context, web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """A handler that is given what ``function`` needs beside the request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await function(context, request)

    return handle


class Auth(Enum):
    """Who may call a route."""

    NONE = "none"
    KEY = "key"
    """A customer's API key, or a platform's."""
    ADMIN = "admin"


class Operation(NamedTuple):
    """What a route takes and answers. ``responses``: struct type by status (None: no JSON of
    ours); refusals need not be listed. ``query``: parameter name to what it means.
    """

    method: str
    path: str
    summary: str
    auth: Auth
    responses: Mapping[int, type | None]
    body: type | None = None
    query: Mapping[str, str] = {}


class Route(NamedTuple):
    operation: Operation
    handler: Handler

    def definition(self) -> web.RouteDef:
        """The row as aiohttp wants it."""
        # the library's own pattern leaves out names with braces
        path = _PARAMETER.sub(lambda name: f"{{{name[1]}:{_OTHER.get(name[1], _ANY)}}}", self.operation.path)
        return web.route(self.operation.method, path, self.handler)
