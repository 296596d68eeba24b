"""The hand-over of partitions from one expirer to another, without a time in which nobody reminds.

A new owner first reads all of rev.state, which takes it seconds or minutes. So the old one works on until a heartbeat
of another expirer announces the partition. Meanwhile both may remind, which the pricer permits.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import structlog

from expirer import metrics
from expirer.peers import Peers
from streams.clients import Clock
from streams.partition_workers import PartitionWorkers, Worker

log = structlog.get_logger("expirer.handover")

CHECK = 0.2
"""Seconds between checks for announced partitions."""
LIMIT = 300.0
"""Seconds after which a partition that nobody has announced is released: expirers of earlier versions announce none,
and their timers must not stay in memory for ever."""
LEAVING = 20.0
"""Seconds that a process that was asked to stop goes on reminding. Kubernetes kills it after 30."""


class Reminding(Worker, Protocol):
    """The worker of a partition."""

    @property
    def complete(self) -> bool:
        """True once it has read rev.state and reminds."""
        ...


class _Lost(NamedTuple):
    """When the group gave a partition to another expirer: broker's time in ms UTC, and our clock in seconds."""

    since: int
    at: float


class Handover:
    """The partitions of this process: those that the group gives it, and those that it has lost and that no other
    expirer has announced yet. ``make`` creates a partition's worker. ``now`` returns the broker's time in ms UTC, or
    None if it is unknown."""

    def __init__(
        self,
        service: str,
        make: Callable[[int], Reminding],
        peers: Peers,
        now: Callable[[], int | None],
        *,
        check: float = CHECK,
        clock: Clock = time.monotonic,
    ) -> None:
        self._make = make
        self._peers = peers
        self._now = now
        self._check = check
        self._clock = clock
        self._workers = PartitionWorkers(service, self._worker)
        self._last: dict[int, Reminding] = {}
        """The last worker made for each partition."""
        self._assigned: frozenset[int] = frozenset()
        self._lost: dict[int, _Lost] = {}
        self._leaving = False
        self._changing = asyncio.Lock()
        self._stopping = asyncio.Event()

    @property
    def announced(self) -> tuple[int, ...]:
        """The partitions that are assigned to this process and that it reminds for."""
        return tuple(partition for partition in sorted(self._assigned) if self._complete(partition))

    @property
    def possible(self) -> bool:
        """True if another expirer is there to take over."""
        now = self._now()
        return now is not None and self._peers.present(now)

    def not_ready_reasons(self) -> list[str]:
        """Return the reasons why it does not work on every assigned partition; empty if it does."""
        return self._workers.not_ready_reasons(self._assigned)

    async def assign(self, partitions: frozenset[int]) -> None:
        """Work on these partitions. Those that were taken away are kept until another expirer announces them; one that
        is given back meanwhile is not disturbed."""
        async with self._changing:
            if self._leaving:
                return
            lost = self._assigned - partitions
            since, at = self._now(), self._clock()
            self._assigned = partitions
            for partition in partitions & self._lost.keys():
                del self._lost[partition]
            if since is not None:
                self._lost |= {partition: _Lost(since, at) for partition in lost if self._complete(partition)}
            if kept := lost & self._lost.keys():
                log.info("handing_over", partitions=sorted(kept))
            await self._apply()

    async def release(self) -> None:
        """Release the lost partitions that another expirer has announced, or that nobody did within LIMIT."""
        async with self._changing:
            for partition, (since, at) in list(self._lost.items()):
                seconds = self._clock() - at
                if self._peers.remind_for(partition, since):
                    log.info("handed_over", partition=partition, seconds=round(seconds, 2))
                elif seconds > LIMIT:
                    log.warning("handed_over_to_nobody", partition=partition, seconds=round(seconds, 2))
                else:
                    continue
                del self._lost[partition]
            await self._apply()

    async def run(self) -> None:
        """Release partitions until stopped."""
        while not self._stopping.is_set():
            await self.release()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._check):
                    await self._stopping.wait()

    async def leave(self) -> None:
        """Give all partitions away. Return once other expirers have announced them all, or no other one is present, or
        after LEAVING seconds."""
        until = self._clock() + LEAVING
        await self.assign(frozenset())
        self._leaving = True
        while self._lost and self.possible and self._clock() < until:
            await asyncio.sleep(self._check)
            await self.release()

    async def stop(self) -> None:
        """Release all partitions and ignore later assignments."""
        self._stopping.set()
        await self._workers.stop()

    def _worker(self, partition: int) -> Reminding:
        worker = self._last[partition] = self._make(partition)
        return worker

    def _complete(self, partition: int) -> bool:
        worker = self._last.get(partition)
        return worker is not None and worker.complete

    async def _apply(self) -> None:
        wanted = self._assigned | self._lost.keys()
        await self._workers.assign(wanted)
        metrics.HANDING_OVER.set(len(self._lost))
        for partition in self._last.keys() - wanted:
            del self._last[partition]
