"""A time-out for readers that must send heartbeats. A reader that sends none is abandoned.

aiokafka can wait for ever inside a call after its broker was killed, and it swallows the one cancellation that a
time-out sends. So nothing here waits for an abandoned reader.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from streams.clients import Clock, forget
from streams.errors import Hung

T = TypeVar("T")


class HeartbeatTimeout:
    """A time-out of ``limit`` seconds without a :meth:`heartbeat`, after which the reader is abandoned."""

    def __init__(self, limit: float, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._last = clock()

    def heartbeat(self) -> None:
        """Record that the reader is alive."""
        self._last = self._clock()

    async def run(self, reader: Coroutine[Any, Any, T]) -> T:
        """Run the reader and return its result. Raises Hung if it sends no heartbeat in time. Then, and when this call
        is cancelled, the reader is cancelled but not awaited."""
        self.heartbeat()
        task = asyncio.create_task(reader)
        try:
            while not task.done():
                left = self._last + self._limit - self._clock()
                if left <= 0:
                    raise Hung(f"no heartbeat for {self._limit} s")
                await asyncio.wait([task], timeout=left)
            return task.result()
        finally:
            forget(task)


async def within(limit: float, call: Coroutine[Any, Any, T]) -> T:
    """Await one call and return its result. Raises Hung if it takes more than ``limit`` seconds."""
    return await HeartbeatTimeout(limit, time.monotonic).run(call)
