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

log = structlog.get_logger("streams.partition_workers")

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
    def not_ready_reason(self) -> str | None:
        """Why it does not do all of its work now; None when it does."""
        ...

    async def run(self) -> None:
        """Until stopped."""
        ...

    def stop(self) -> None:
        """Ends :meth:`run` after what is in hand."""
        ...


class PartitionWorkers:
    """``make``: a new worker of a partition. ``permanent``: errors after which a partition is not
    worked on again; ``ended`` is told of each. ``backoff`` and ``patience`` as BACKOFF and PATIENCE."""

    def __init__(
        self,
        service: str,
        make: Callable[[int], Worker],
        *,
        permanent: tuple[type[Exception], ...] = (),
        ended: Callable[[Exception], None] = lambda error: None,
        backoff: tuple[float, float] = BACKOFF,
        patience: float = PATIENCE,
        clock: Clock = time.monotonic,
    ) -> None:
        self._service = service
        self._make = make
        self._permanent = permanent
        self._ended = ended
        self._backoff = backoff
        self._patience = patience
        self._clock = clock
        self._slots: dict[int, _Slot] = {}
        self._stopped = False

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._slots)

    def not_ready_reasons(self) -> list[str]:
        """Why it is not ready; nothing when it is."""
        not_ready_reasons = (slot.not_ready_reason for _, slot in sorted(self._slots.items()))
        return [not_ready_reason for not_ready_reason in not_ready_reasons if not_ready_reason]

    async def assign(self, partitions: frozenset[int]) -> None:
        """From now on exactly these; one that stays is not disturbed. Returns when the others are
        let go, after ``patience`` at most."""
        if self._stopped:
            return
        await self._release(self.partitions - partitions)
        for partition in sorted(partitions - self.partitions):
            if self._stopped:  # meanwhile
                return
            slot = self._slots[partition] = _Slot()
            slot.task = asyncio.create_task(self._supervise(partition, slot), name=f"{self._service}-{partition}")

    async def stop(self) -> None:
        """Everything is let go, and nothing is assigned any more."""
        self._stopped = True
        await self._release(self.partitions)

    async def _release(self, partitions: frozenset[int]) -> None:
        slots = [self._slots.pop(partition) for partition in partitions]
        for partition, slot in zip(partitions, slots, strict=True):
            slot.leave()
            metrics.WORKER_ENDED.labels(self._service, partition).set(0)
        tasks = {slot.task for slot in slots if slot.task is not None}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._patience)
            for task in late:
                forget(task)
            if late:
                await asyncio.wait(late, timeout=LAST)

    async def _supervise(self, partition: int, slot: "_Slot") -> None:
        """A worker at this slot until it is given up or one ends for good."""
        wait = 0.0
        while not slot.left.is_set():
            began = self._clock()
            try:
                slot.worker = self._make(partition)
                slot.failure = None
                await slot.worker.run()
                if not slot.left.is_set():
                    raise RuntimeError("ended without having been stopped")
            except self._permanent as error:
                self._note("worker_ended", partition, error)
                slot.failure = str(error)
                metrics.WORKER_ENDED.labels(self._service, partition).set(1)
                self._ended(error)
                return
            except Exception as error:
                self._note("worker_failed", partition, error)
                slot.failure = f"partition {partition}: {error!r}"
                metrics.WORKER_FAILURES.labels(self._service, type(error).__name__).inc()
                wait = next_delay(self._backoff, wait, self._clock() - began)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await slot.left.wait()

    def _note(self, event: str, partition: int, error: Exception) -> None:
        log.error(event, of=self._service, partition=partition, error=repr(error), exc_info=error)


def next_delay(backoff: tuple[float, float], last: float, lasted: float) -> float:
    """Seconds to wait after a worker that ``lasted`` so many and was waited ``last`` for."""
    first, most = backoff
    return first if lasted > most else min(most, max(first, last * 2))


class _Slot:
    """A partition that is ours, and who works at it."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.worker: Worker | None = None
        self.failure: str | None = "starting"

    @property
    def not_ready_reason(self) -> str | None:
        return self.failure or (self.worker.not_ready_reason if self.worker else None)

    def leave(self) -> None:
        self.left.set()
        if self.worker is not None:
            self.worker.stop()
