"""The writers of the partitions that are ours: started, watched and stopped one by one.

A partition that ends for good (halted, wrong log) stays in the list with its reason, so that
/readyz and the alarms say it until a human has acted and restarted the service.
"""

import asyncio
from collections.abc import Callable

import structlog

from ledger import metrics
from ledger.errors import WrongLog
from ledger.writer import Halted, PartitionWriter

log = structlog.get_logger("ledger.team")

PATIENCE = 10.0
"""Seconds that a writer has to finish the block in hand before it is cancelled."""


class Team:
    """``make``: the writer of a partition. ``wrong_log`` is set when one of them finds the log to be wrong."""

    def __init__(self, make: Callable[[int], PartitionWriter]) -> None:
        self.wrong_log = asyncio.Event()
        self._make = make
        self._writers: dict[int, PartitionWriter] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended: dict[int, str] = {}

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._tasks)

    def troubles(self) -> list[str]:
        """Why it is not ready; nothing when it is."""
        ended = list(self._ended.values())
        return ended + [w.trouble for p, w in self._writers.items() if p not in self._ended and w.trouble]

    async def assign(self, partitions: frozenset[int]) -> None:
        """From now on exactly these; one that stays is not disturbed."""
        await self._dismiss(self.partitions - partitions)
        for partition in sorted(partitions - self.partitions):
            writer = self._writers[partition] = self._make(partition)
            self._tasks[partition] = asyncio.create_task(self._guard(writer), name=f"ledger-{partition}")

    async def stop(self) -> None:
        await self._dismiss(self.partitions)

    async def _dismiss(self, partitions: frozenset[int]) -> None:
        tasks = [self._tasks.pop(partition) for partition in partitions]
        for partition in partitions:
            self._writers.pop(partition).stop()
            self._ended.pop(partition, None)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _guard(self, writer: PartitionWriter) -> None:
        try:
            await writer.run()
        except Halted as error:
            self._ended[writer.partition] = str(error)
        except WrongLog as error:
            self._ended[writer.partition] = str(error)
            self.wrong_log.set()
        except Exception as error:
            # a fault of this program: the partition stands still and says so, the others go on
            self._ended[writer.partition] = f"partition {writer.partition}: {error!r}"
            log.exception("ledger_writer_died", partition=writer.partition)
            metrics.HALTED.labels(writer.partition).set(1)
