"""A Sender in memory, for tests: what it was given, and answers as they are wanted. No network."""

import asyncio
from collections.abc import Awaitable, Callable

from notifier.sender import WebhookRequest, WebhookResponse

OK = WebhookResponse(200)
Behaviour = Callable[[WebhookRequest], Awaitable[WebhookResponse]]


async def accept(delivery: WebhookRequest) -> WebhookResponse:
    return OK


async def never(delivery: WebhookRequest) -> WebhookResponse:
    """A black hole; ends only when it is cancelled."""
    await asyncio.Event().wait()
    raise AssertionError("not reached")


class MemorySender:
    """``behaviours``: by URL; any other is answered with 200 at once."""

    def __init__(self, behaviours: dict[str, Behaviour] | None = None) -> None:
        self.sent: list[WebhookRequest] = []
        self.behaviours = behaviours or {}
        self.closed = False

    async def send(self, delivery: WebhookRequest) -> WebhookResponse:
        self.sent.append(delivery)
        return await self.behaviours.get(delivery.url, accept)(delivery)

    async def close(self) -> None:
        self.closed = True
