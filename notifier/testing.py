"""In-memory sender for tests: it records requests and returns chosen responses. No network."""

import asyncio
from collections.abc import Awaitable, Callable

from notifier.sender import WebhookRequest, WebhookResponse

OK = WebhookResponse(200)
Behaviour = Callable[[WebhookRequest], Awaitable[WebhookResponse]]


async def accept(delivery: WebhookRequest) -> WebhookResponse:
    return OK


async def never(delivery: WebhookRequest) -> WebhookResponse:
    """Never respond; ends only when cancelled."""
    await asyncio.Event().wait()
    raise AssertionError("not reached")


class MemorySender:
    """Sender in memory. ``behaviours``: by URL; any other URL responds with 200 at once."""

    def __init__(self, behaviours: dict[str, Behaviour] | None = None) -> None:
        self.sent: list[WebhookRequest] = []
        self.behaviours = behaviours or {}
        self.closed = False

    async def send(self, delivery: WebhookRequest) -> WebhookResponse:
        self.sent.append(delivery)
        return await self.behaviours.get(delivery.url, accept)(delivery)

    async def close(self) -> None:
        self.closed = True
