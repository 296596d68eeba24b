"""The table of routes: paths, handlers, who may call them, and their description in /openapi.json.

Each package of the gateway (metering, admin, reads, …) contributes rows. The application and its
description are made from the same rows, so that neither can miss one. No handler code belongs here.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from aiohttp import web

from ingest.context import Context

_PARAMETER = re.compile(r"{(\w+)}")
_ANY = r"[^/]+"
_OTHER = {
    name: rf"(?!{word}(?:/|$)){_ANY}" for name, word in (("event_id", "lookup"), ("number", "run"), ("id", "bulk"))
}
"""Patterns of parameters that share their place in the path with a fixed word."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def bound(context: Context, function: Callable[[Context, web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """Return a handler that calls ``function`` with the context and the request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await function(context, request)

    return handle


class Auth(Enum):
    """The credentials that a route requires."""

    NONE = "none"
    KEY = "key"
    """The API key of a customer or a platform."""
    ADMIN = "admin"
    CLIENT = "client"
    """The API key as the client of another product sends it; the bodies are that product's, too."""


class Operation(NamedTuple):
    """The request and responses of a route.

    ``responses`` maps a status to a struct type (None: no JSON of ours); refusals need not be listed.
    ``query`` maps a parameter to its description; those in ``required`` must be given.
    ``also``: media types other than JSON that a success can have.
    """

    method: str
    path: str
    summary: str
    auth: Auth
    responses: Mapping[int, type | None]
    body: type | None = None
    query: Mapping[str, str] = {}
    required: Sequence[str] = ()
    also: Sequence[str] = ()


class Route(NamedTuple):
    operation: Operation
    handler: Handler

    def definition(self) -> web.RouteDef:
        """Return the row as aiohttp's route definition."""
        # the library's own pattern leaves out names with braces
        path = _PARAMETER.sub(lambda name: f"{{{name[1]}:{_OTHER.get(name[1], _ANY)}}}", self.operation.path)
        return web.route(self.operation.method, path, self.handler)
