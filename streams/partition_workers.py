"""Supervised workers, one for each assigned partition: started, watched and stopped individually.

A failed worker is recreated after a pause. One that ends with a permanent error stays in the list with its reason, so
that /readyz and the alarms report it until a person has acted and restarted the service. This module contains nothing
specific to a worker.
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
"""Seconds that a worker has to finish its current work before it is cancelled. Less than the session time-out, because
no heartbeats are sent while partitions are released."""
LAST = 1.0
"""Seconds to wait for a cancelled worker; one that swallows the cancellation is abandoned."""
BACKOFF = (0.2, 5.0)
"""Seconds before a failed worker is recreated: doubles from the first to the second, and restarts at the first once a
worker has lasted longer than the second."""


class Worker(Protocol):
    """The work on one partition. For a while another process may run a worker for the same partition."""

    @property
    def partition(self) -> int: ...

    @property
    def not_ready_reason(self) -> str | None:
        """Why it does not do all of its work now, or None."""
        ...

    async def run(self) -> None:
        """Run until stopped."""
        ...

    def stop(self) -> None:
        """End :meth:`run` after the current work."""
        ...


class PartitionWorkers:
    """The workers of all assigned partitions. ``make`` creates a partition's worker. ``permanent`` lists the errors
    after which a partition is not worked on again; ``ended`` is called with each. For ``backoff`` and ``patience`` see
    BACKOFF and PATIENCE."""

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

    def not_ready_reasons(self, of: frozenset[int] | None = None) -> list[str]:
        """Return the reasons why it is not ready; empty if it is. Only those ``of`` these partitions, if given."""
        slots = [slot for partition, slot in sorted(self._slots.items()) if of is None or partition in of]
        not_ready_reasons = (slot.not_ready_reason for slot in slots)
        return [not_ready_reason for not_ready_reason in not_ready_reasons if not_ready_reason]

    async def assign(self, partitions: frozenset[int]) -> None:
        """Work on exactly these partitions from now on, without disturbing those that stay. Returns once the others are
        released, after at most ``patience``."""
        if self._stopped:
            return
        await self._release(self.partitions - partitions)
        for partition in sorted(partitions - self.partitions):
            if self._stopped:  # stopped meanwhile
                return
            slot = self._slots[partition] = _Slot()
            slot.task = asyncio.create_task(self._supervise(partition, slot), name=f"{self._service}-{partition}")

    async def stop(self) -> None:
        """Release all partitions and ignore later assignments."""
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
        """Keep a worker running in this slot until the slot is released or a worker ends permanently."""
        wait = 0.0
        while not slot.left.is_set():
            began = self._clock()
            try:
                slot.worker = self._make(partition)
                slot.failure = None
                await slot.worker.run()
                if not slot.left.is_set():
                    raise RuntimeError("ended unexpectedly")
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
    """Return the seconds to wait after a worker that ran ``lasted`` seconds, when the previous wait was ``last``."""
    first, most = backoff
    return first if lasted > most else min(most, max(first, last * 2))


class _Slot:
    """An assigned partition and its current worker."""

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
