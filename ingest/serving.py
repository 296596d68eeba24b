"""The server around the application: refuses requests before a handler is found.

Requests that are not valid HTTP also get a refusal in the common JSON shape, and are counted. The
library decides what is valid HTTP; other modules decide what a request means.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import uuid4

from aiohttp import hdrs, web

from ingest import metrics
from ingest.middleware import http_refusal, refusal
from ingest.routing import Handler

DIRECT = web.AppKey("direct", dict[tuple[str, str], Handler])
"""Of an application: handlers by method and target that are called without it. Finding a route and its middleware take
a fifth of the library's time for a request."""
_Handling = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
MAX_WORDS = 200
"""Characters of the parser's explanation that are passed on."""


class GatewayRunner(web.AppRunner):
    """A runner of the gateway's application; ingest.request_body inflates bodies, not the server.

    ``shutdown_timeout``: seconds > 0 that requests in progress have at the end.
    """

    def __init__(self, app: web.Application, shutdown_timeout: float) -> None:
        super().__init__(
            app, handle_signals=False, shutdown_timeout=shutdown_timeout, access_log=None, auto_decompress=False
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handler = _refusing(made.request_handler, self.app.get(DIRECT, {}))
        return _Server(handler, request_factory=made.request_factory, access_log=None, auto_decompress=False)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return 400 for a request that cannot be parsed; leave everything else to the library."""
        if status != HTTPStatus.BAD_REQUEST or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        metrics.MALFORMED.inc()
        why = (message or "it cannot be parsed").partition("\n")[0].rstrip(": ")[:MAX_WORDS]
        response = refusal(400, "invalid_request", f"the request is not valid HTTP: {why}", uuid4().hex)
        response.force_close()
        return response


def _refusing(handler: _Handling, direct: dict[tuple[str, str], Handler]) -> _Handling:
    """Wrap the application so that refusals outside its middleware (Expect) have Rev's shape."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            known = direct.get((request.method, request.raw_path))
            if known is not None and hdrs.EXPECT not in request.headers:
                assert isinstance(request, web.Request)
                return await known(request)
            return await handler(request)
        except web.HTTPException as error:
            return http_refusal(error, uuid4().hex)

    return handle
