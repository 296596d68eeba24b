"""Streams of server-sent events: each frame is made once and handed to everybody who listens.

A listener has a short queue. One that does not read as fast as things happen is dropped, and its browser connects
again; so memory is bounded, and nobody waits for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from web import metrics
from web.web_refusals import Refusal

QUEUED = 16
"""Frames that wait for a listener at most."""
MOST_LISTENERS = 1000
BEAT = b": \n\n"
"""A comment that shows that the stream lives, and finds out who has left."""


def frame(event: str, text: str) -> bytes:
    """Return a server-sent event."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {event}\n{lines}\n".encode()


class Listener:
    """One stream. ``drop`` breaks its connection off."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._drop = drop

    def offer(self, frame: bytes) -> bool:
        """Queue a frame and return True; or drop the listener if it has not taken those before."""
        if self._queue.qsize() >= QUEUED:
            self.end()
            self._drop()
            return False
        self._queue.put_nowait(frame)
        return True

    def end(self) -> None:
        """End the stream; what waits for it is forgotten."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield frames until the stream ends."""
        while (frame := await self._queue.get()) is not None:
            yield frame


class Broadcast:
    """Everybody who listens to one thing."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, drop: Callable[[], None]) -> Listener:
        """Return a new listener, who must ``leave``. Raises Refusal if there are too many."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refusal(503, "too_many", "Too many people look at live pages. The page works without.")
        listener = Listener(drop)
        self._listeners.add(listener)
        metrics.LIVE_LISTENERS.inc()
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            metrics.LIVE_LISTENERS.dec()

    def send(self, news: bytes) -> None:
        """Hand a frame to everybody, and drop who does not keep up."""
        for listener in list(self._listeners):
            if not listener.offer(news):
                metrics.LIVE_DROPPED.inc()
                self.leave(listener)

    def end(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.end()
