"""One supervised worker for each partition that is ours: started, watched and stopped one by one.

A worker that fails is made anew after a pause. One that ends with an error that is for good
stays in the list with its reason, so that /readyz and the alarms say it until a person has
acted and restarted the service. What a worker does may not come in here.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from streams import metrics
from streams.clients import Clock, forget

log = structlog.get_logger("streams.team")

PATIENCE = 3.0
"""Seconds that a worker has to finish what it has in hand before it is cancelled. Below the
session time-out, since the group's heartbeat rests while partitions are let go."""
LAST = 1.0
"""Seconds that a cancelled worker is waited for; one that swallows it is left behind."""
BACKOFF = (0.2, 5.0)
"""Seconds before a worker that failed is made anew: doubled from the first to the second, and
from the first again once one has lasted longer than the second."""


class Worker(Protocol):
    """The work on one partition. Another worker may be at the same partition elsewhere for a while."""

    @property
    def partition(self) -> int: ...

    @property
    def trouble(self) -> str | None:
        """Why it does not do all of its work now; None when it does."""
        ...

    async def run(self) -> None:
        """Until stopped."""
        ...

    def stop(self) -> None:
        """Ends :meth:`run` after what is in hand."""
        ...


class Team:
    """``make``: a new worker of a partition. ``for_good``: errors after which a partition is not
    worked on again; ``ended`` is told of each. ``backoff`` and ``patience`` as BACKOFF and PATIENCE."""

    def __init__(
        self,
        service: str,
        make: Callable[[int], Worker],
        *,
        for_good: tuple[type[Exception], ...] = (),
        ended: Callable[[Exception], None] = lambda error: None,
        backoff: tuple[float, float] = BACKOFF,
        patience: float = PATIENCE,
        clock: Clock = time.monotonic,
    ) -> None:
        self._service = service
        self._make = make
        self._for_good = for_good
        self._ended = ended
        self._backoff = backoff
        self._patience = patience
        self._clock = clock
        self._posts: dict[int, _Post] = {}
        self._stopped = False

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._posts)

    def troubles(self) -> list[str]:
        """Why it is not ready; nothing when it is."""
        troubles = (post.trouble for _, post in sorted(self._posts.items()))
        return [trouble for trouble in troubles if trouble]

    async def assign(self, partitions: frozenset[int]) -> None:
        """From now on exactly these; one that stays is not disturbed. Returns when the others are
        let go, after ``patience`` at most."""
        if self._stopped:
            return
        await self._dismiss(self.partitions - partitions)
        for partition in sorted(partitions - self.partitions):
            if self._stopped:  # meanwhile
                return
            post = self._posts[partition] = _Post()
            post.task = asyncio.create_task(self._keep(partition, post), name=f"{self._service}-{partition}")

    async def stop(self) -> None:
        """Everything is let go, and nothing is assigned any more."""
        self._stopped = True
        await self._dismiss(self.partitions)

    async def _dismiss(self, partitions: frozenset[int]) -> None:
        posts = [self._posts.pop(partition) for partition in partitions]
        for partition, post in zip(partitions, posts, strict=True):
            post.leave()
            metrics.WORKER_ENDED.labels(self._service, partition).set(0)
        tasks = {post.task for post in posts if post.task is not None}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._patience)
            for task in late:
                forget(task)
            if late:
                await asyncio.wait(late, timeout=LAST)

    async def _keep(self, partition: int, post: "_Post") -> None:
        """A worker at this post until it is given up or one ends for good."""
        wait = 0.0
        while not post.left.is_set():
            began = self._clock()
            try:
                post.worker = self._make(partition)
                post.failure = None
                await post.worker.run()
                if not post.left.is_set():
                    raise RuntimeError("ended without having been stopped")
            except self._for_good as error:
                self._note("worker_ended", partition, error)
                post.failure = str(error)
                metrics.WORKER_ENDED.labels(self._service, partition).set(1)
                self._ended(error)
                return
            except Exception as error:
                self._note("worker_failed", partition, error)
                post.failure = f"partition {partition}: {error!r}"
                metrics.WORKER_FAILURES.labels(self._service, type(error).__name__).inc()
                wait = pause(self._backoff, wait, self._clock() - began)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await post.left.wait()

    def _note(self, event: str, partition: int, error: Exception) -> None:
        log.error(event, of=self._service, partition=partition, error=repr(error), exc_info=error)


def pause(backoff: tuple[float, float], last: float, lasted: float) -> float:
    """Seconds to wait after a worker that ``lasted`` so many and was waited ``last`` for."""
    first, most = backoff
    return first if lasted > most else min(most, max(first, last * 2))


class _Post:
    """A partition that is ours, and who works at it."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.worker: Worker | None = None
        self.failure: str | None = "starting"

    @property
    def trouble(self) -> str | None:
        return self.failure or (self.worker.trouble if self.worker else None)

    def leave(self) -> None:
        self.left.set()
        if self.worker is not None:
            self.worker.stop()
