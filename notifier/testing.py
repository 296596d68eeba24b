"""A Sender in memory, for tests: what it was given, and answers as they are wanted. No network."""

import asyncio
from collections.abc import Awaitable, Callable

from notifier.sending import Answer, Delivery

OK = Answer(200)
Behaviour = Callable[[Delivery], Awaitable[Answer]]


async def accept(delivery: Delivery) -> Answer:
    return OK


async def never(delivery: Delivery) -> Answer:
    """A black hole; ends only when it is cancelled."""
    await asyncio.Event().wait()
    raise AssertionError("not reached")


class MemorySender:
    """``behaviours``: by URL; any other is answered with 200 at once."""

    def __init__(self, behaviours: dict[str, Behaviour] | None = None) -> None:
        self.sent: list[Delivery] = []
        self.behaviours = behaviours or {}
        self.closed = False

    async def send(self, delivery: Delivery) -> Answer:
        self.sent.append(delivery)
        return await self.behaviours.get(delivery.url, accept)(delivery)

    async def close(self) -> None:
        self.closed = True
