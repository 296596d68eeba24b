"""A host for all the shards that the group assigns to this process: assigns, runs and rejoins.

The group only decides who owns which partition: nothing is fetched through it and none of its offsets are read. A
producer is created only for an assignment made after the last failure, so that a process that was away cannot fence the
rightful owner.
"""

import asyncio
import random
from collections.abc import Callable

import structlog
from aiokafka.errors import ProducerFenced

from streams import metrics
from streams.errors import ShardHalted
from streams.membership import Membership
from streams.rejects import BrokerRejections
from streams.reply_sender import Progress
from streams.shard import Shard, ShardConfig
from streams.state import StateStore

log = structlog.get_logger("streams.host")

ANNOUNCE = 0.25
"""Seconds between checks of the positions. A changed one is announced to every gateway."""
ANNOUNCE_ANYWAY = 1.0
QUIET = 2.0
"""Seconds that an open transaction has to finish when the group revokes its partition. Together with closing the
clients this must be less than the session time-out."""
NOWHERE = Progress(-1, -1)


class ShardTask:
    """A shard, its task and its store."""

    def __init__(self, shard: Shard, task: "asyncio.Task[None]", store: StateStore) -> None:
        self.shard = shard
        self.task = task
        self.store = store


class ShardHost:
    """The shards of one process. ``store`` creates a shard's store; ``jitter`` returns numbers in [0, 1)."""

    def __init__(
        self,
        config: ShardConfig,
        instance: str,
        store: Callable[[int], StateStore],
        *,
        session_timeout: int = 6_000,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._instance = instance
        self._make_store = store
        self._tasks: dict[int, ShardTask] = {}
        self._rejections: dict[int, BrokerRejections] = {}
        self._stopped: dict[int, str] = {}
        self._assigned: frozenset[int] = frozenset()
        self._membership = Membership(
            config.kafka,
            group=config.service,
            instance=instance,
            session_timeout=session_timeout,
            topic=config.names.raw,
            assign=self._assign,
            revoke=self._revoked,
            clock=config.clock,
            jitter=jitter,
        )
        self._announced: dict[int, tuple[Progress, float]] = {}

    def not_ready_reasons(self) -> list[str]:
        """Return why this host does not do all of its work now; empty if it does."""
        if self._membership.not_ready_reason is not None:
            return [self._membership.not_ready_reason]
        running = {partition for partition, task in self._tasks.items() if task.shard.running}
        reasons = [f"shard {p} stands still: {why}" for p, why in sorted(self._stopped.items())]
        return reasons + [f"shard {p} is not running" for p in sorted(self._assigned - running - set(self._stopped))]

    def shards(self) -> dict[int, int]:
        """Return the next rev.raw offset to decide for every shard running here."""
        return {partition: at.decided for partition, at in self._progress().items()}

    def _progress(self) -> dict[int, Progress]:
        return {partition: task.shard.progress for partition, task in self._tasks.items() if task.shard.running}

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set and every shard has finished its transaction."""
        announcing = asyncio.create_task(self._announce())
        taking_part = asyncio.create_task(self._membership.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([taking_part, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._membership.stop()
            announcing.cancel()
            stopping.cancel()
            await asyncio.wait([announcing, taking_part, stopping])
            await self._close(list(self._tasks))
        taking_part.result()

    async def _revoked(self) -> None:
        """Pause all shards: no transaction begins until the group has rebalanced."""
        await asyncio.gather(*(self._pause(task.shard) for task in self._tasks.values()))

    async def _assign(self, wanted: frozenset[int]) -> None:
        """Take ownership of exactly these partitions. Shards that come back are still warm."""
        try:
            await self._own(wanted)
        except Exception as error:
            log.error("host_failed", instance=self._instance, error=repr(error), exc_info=error)
            metrics.HOST_FAILURES.labels(type(error).__name__).inc()
            raise

    async def _own(self, wanted: frozenset[int]) -> None:
        self._stopped = {partition: why for partition, why in self._stopped.items() if partition in wanted}
        await self._close([partition for partition in self._tasks if partition not in wanted])
        for partition in sorted(wanted):
            task = self._tasks.get(partition)
            if task is not None:
                task.shard.resume()
            elif partition not in self._stopped:
                self._begin(partition)
        self._assigned = wanted

    def _begin(self, partition: int) -> None:
        store = self._make_store(partition)
        shard = Shard(self._config, partition, store, self._rejections.setdefault(partition, BrokerRejections()))
        task = asyncio.create_task(shard.run())
        self._tasks[partition] = ShardTask(shard, task, store)
        task.add_done_callback(lambda done: self._ended(partition, done))

    def _ended(self, partition: int, done: "asyncio.Task[None]") -> None:
        """Clean up after a shard's run. Unless the end was requested or the shard has halted, rejoin the group."""
        error = None if done.cancelled() else done.exception()
        task = self._tasks.get(partition)
        if task is None or task.task is not done:
            return
        del self._tasks[partition]
        task.store.close()
        if error is not None and not isinstance(error, Exception):
            raise error
        if isinstance(error, ShardHalted):
            self._stopped[partition] = str(error)
            metrics.SHARD_STATE.labels(partition).set(4)
            log.critical("shard_stopped", shard=partition, error=repr(error))
            return
        metrics.SHARD_STATE.labels(partition).set(3)
        if isinstance(error, ProducerFenced):
            metrics.SHARD_FENCED.labels(partition).inc()
        metrics.SHARD_FAILURES.labels(partition, type(error).__name__).inc()
        log.error("shard_failed", shard=partition, error=repr(error), exc_info=error)
        self._membership.rejoin()

    async def _pause(self, shard: Shard) -> None:
        try:
            async with asyncio.timeout(QUIET):
                await shard.pause()
        except TimeoutError:
            # Its transaction hangs; the partition's next owner fences it.
            log.warning("shard_not_quiet", shard=shard.partition)

    async def _close(self, partitions: list[int]) -> None:
        tasks = [self._tasks.pop(partition) for partition in partitions if partition in self._tasks]
        await asyncio.gather(*(self._end(task) for task in tasks))

    async def _end(self, task: ShardTask) -> None:
        await self._pause(task.shard)
        task.shard.end()
        task.task.cancel()
        await asyncio.wait([task.task])
        task.store.close()
        metrics.SHARD_STATE.labels(task.shard.partition).set(0)

    async def _announce(self) -> None:
        """Announce the shards' positions to every gateway, which shed load by them."""
        while True:
            await asyncio.sleep(ANNOUNCE)
            now = self._config.clock()
            due = [
                (partition, at)
                for partition, at in self._progress().items()
                if self._announced.get(partition, (NOWHERE, 0.0))[0] != at
                or now - self._announced[partition][1] >= ANNOUNCE_ANYWAY
            ]
            for partition, at in due:
                self._announced[partition] = at, now
            try:
                await self._config.reply_sender.announce(due)
            except Exception as error:
                # A hint, and the next one follows shortly; but a failure must not end this loop.
                log.error("telling_failed", instance=self._instance, error=repr(error))
                metrics.HOST_FAILURES.labels(type(error).__name__).inc()
