"""The receiving end: an HTTP server on loopback that verifies each delivery before it is shown."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from schemas import signing
from schemas.signing import SignatureError

MAX_BODY = 4 << 20
"""Bytes of one delivery."""


class ReceivedWebhook(msgspec.Struct, frozen=True):
    """A delivery that came: verified, or ``problem`` says why it is not to be trusted."""

    type: str
    event_id: str
    delivery_id: str
    body: bytes
    problem: str | None = None


def application(
    secrets: Callable[[], list[str]], show: Callable[[ReceivedWebhook], None], now: Callable[[], float]
) -> web.Application:
    """Answers 204 to what verifies and 400 to what does not. ``secrets``: those in force, none while the
    endpoint is being made: what comes already is to come again. ``now``: seconds since the epoch."""

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        given = request.headers
        if not secrets():
            return web.Response(status=503, text="not ready yet")
        problem = None
        try:
            signing.verify(secrets(), given, body, now())
        except SignatureError as error:
            problem = str(error)
        type, event_id = given.get(signing.EVENT, ""), given.get(signing.ID, "")
        show(ReceivedWebhook(type, event_id, given.get(signing.DELIVERY, ""), body, problem))
        return web.Response(status=204 if problem is None else 400, text=problem)

    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/{path:.*}", receive)
    return app
