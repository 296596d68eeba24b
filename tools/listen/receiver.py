"""HTTP server on loopback that verifies each delivery before it is shown."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from schemas import signing
from schemas.signing import SignatureError

MAX_BODY = 4 << 20
"""Maximum bytes of one delivery."""


class ReceivedWebhook(msgspec.Struct, frozen=True):
    """Delivery received: verified, or ``problem`` gives the reason not to trust it."""

    type: str
    event_id: str
    delivery_id: str
    body: bytes
    problem: str | None = None


def application(
    secrets: Callable[[], list[str]], show: Callable[[ReceivedWebhook], None], now: Callable[[], float]
) -> web.Application:
    """Return an application that responds with 204 to what verifies and with 400 to what does not.
    ``secrets``: those in force, none while the endpoint is being created: deliveries until then get 503, so
    that they are retried. ``now``: seconds since the epoch."""

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
