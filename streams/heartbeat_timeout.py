"""Runs a reader that must give signs of life, and leaves one behind that gives none.

aiokafka can wait for ever inside a call after its broker was killed, and it swallows the one
cancellation that a time-out sends. So nothing here waits for what it has given up.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from streams.clients import Clock, forget
from streams.errors import Hung

T = TypeVar("T")


class HeartbeatTimeout:
    """``limit``: seconds without a :meth:`heartbeat` after which the reader is given up."""

    def __init__(self, limit: float, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._last = clock()

    def heartbeat(self) -> None:
        """The reader lives."""
        self._last = self._clock()

    async def run(self, reader: Coroutine[Any, Any, T]) -> T:
        """What the reader returns or raises. Raises Hung when it gives no sign of life; it is
        then cancelled and not waited for, and so it is when this call is cancelled."""
        self.heartbeat()
        task = asyncio.create_task(reader)
        try:
            while not task.done():
                left = self._last + self._limit - self._clock()
                if left <= 0:
                    raise Hung(f"no sign of life for {self._limit} s")
                await asyncio.wait([task], timeout=left)
            return task.result()
        finally:
            forget(task)


async def within(limit: float, call: Coroutine[Any, Any, T]) -> T:
    """What one call returns or raises; Hung when it takes more than ``limit`` seconds."""
    return await HeartbeatTimeout(limit, time.monotonic).run(call)
