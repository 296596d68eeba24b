"""The server around the application: what is refused before a handler is found.

Requests that are no HTTP are answered in the one shape of refusals too, and counted. What
HTTP is, the library decides; what a request means is decided elsewhere.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import uuid4

from aiohttp import web

from ingest import metrics
from ingest.middleware import http_refusal, refusal

MAX_WORDS = 200
"""Characters of the parser's explanation that are passed on."""


class GatewayRunner(web.AppRunner):
    """Runs the gateway's application; bodies are inflated by ingest.request_body, not by the server.
    ``shutdown_timeout``: seconds > 0 that requests under way have at the end."""

    def __init__(self, app: web.Application, shutdown_timeout: float) -> None:
        super().__init__(
            app, handle_signals=False, shutdown_timeout=shutdown_timeout, access_log=None, auto_decompress=False
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handler = _refusing(made.request_handler)
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
        """400 for what cannot be parsed; anything else is the library's own way out."""
        if status != HTTPStatus.BAD_REQUEST or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        metrics.MALFORMED.inc()
        why = (message or "it cannot be parsed").partition("\n")[0].rstrip(": ")[:MAX_WORDS]
        response = refusal(400, "invalid_request", f"the request is not valid HTTP: {why}", uuid4().hex)
        response.force_close()
        return response


Handling = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _refusing(handler: Handling) -> Handling:
    """The application, and in our words what it refuses outside of its middleware (Expect)."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return http_refusal(error, uuid4().hex)

    return handle
