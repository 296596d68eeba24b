"""All the shards that the group gives to this process: assignment, lives, rejoining.

The group says who owns which partition and nothing else: nothing is fetched through it and
none of its offsets are read. A producer is made only for an assignment that the group gave
after the last failure, so that a process which was away cannot fence the rightful owner.
"""

import asyncio
import random
from collections.abc import Callable, Iterable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from streams import clients, metrics
from streams.errors import Hung, ShardHalted
from streams.heartbeat_timeout import HeartbeatTimeout
from streams.rejects import BrokerRejections
from streams.reply_sender import Progress
from streams.shard import Shard, ShardConfig
from streams.state import StateStore

log = structlog.get_logger("streams.host")

POLL = 200
TELL = 0.25
"""Seconds between two looks at the positions; a changed one is told to every gateway."""
TELL_ANYWAY = 1.0
BACKOFF = (0.1, 5.0)
"""Seconds before a failed shard or membership is tried again: doubled from the first to the second."""
HANGING = 15.0
"""Seconds without a sign of life after which a membership is left behind."""
QUIET = 2.0
"""Seconds that an open transaction gets to end when the group takes its partition away. With
the closing of its clients this must stay below the session time-out."""
NOWHERE = Progress(-1, -1)
JOINING = 30.0
"""Seconds without an assignment after which the group's consumer is replaced."""


class ShardTask:
    """A shard, its task and its store."""

    def __init__(self, shard: Shard, task: "asyncio.Task[None]", store: StateStore) -> None:
        self.shard = shard
        self.task = task
        self.store = store


class ShardHost:
    """``store`` makes a shard's store, ``jitter`` gives numbers in [0, 1)."""

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
        self._session_timeout = session_timeout
        self._jitter = jitter
        self._lives: dict[int, ShardTask] = {}
        self._rejections: dict[int, BrokerRejections] = {}
        self._stopped: dict[int, str] = {}
        self._assigned: set[int] | None = None
        self._rejoin = asyncio.Event()
        self._timeout = HeartbeatTimeout(HANGING, config.clock)
        self._failures = 0
        self._told: dict[int, tuple[Progress, float]] = {}

    def reasons(self) -> list[str]:
        """Why this host does not do all of its work now (empty: it does)."""
        if self._assigned is None:
            return ["not in the group"]
        running = {partition for partition, life in self._lives.items() if life.shard.running}
        reasons = [f"shard {p} stands still: {why}" for p, why in sorted(self._stopped.items())]
        return reasons + [f"shard {p} is not running" for p in sorted(self._assigned - running - set(self._stopped))]

    def shards(self) -> dict[int, int]:
        """Next raw offset to decide of every shard that runs here."""
        return {partition: at.decided for partition, at in self._progress().items()}

    def _progress(self) -> dict[int, Progress]:
        return {partition: life.shard.progress for partition, life in self._lives.items() if life.shard.running}

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when ``stop`` is set and every shard has finished its transaction."""
        telling = asyncio.create_task(self._announce())
        try:
            while not stop.is_set():
                await self._member(stop)
        finally:
            telling.cancel()
            await asyncio.wait([telling])
            await self._close(list(self._lives))

    async def _member(self, stop: asyncio.Event) -> None:
        """One membership: until stopped, or until a failure asks for a new one."""
        self._rejoin.clear()
        consumer = clients.group_consumer(
            self._config.kafka, self._config.service, self._instance, self._session_timeout
        )
        why = "rejoin"
        try:
            await self._timeout.run(self._belong(consumer, stop))
        except (KafkaError, OSError, Hung) as error:
            why = type(error).__name__
            log.error("group_failed", group=self._config.service, instance=self._instance, error=repr(error))
        finally:
            self._assigned = None
            await clients.discard_consumer(consumer)
        if not stop.is_set():
            metrics.REJOINS.labels(why).inc()
            await self._back_off(stop)

    async def _belong(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        await consumer.start()
        consumer.subscribe([self._config.names.raw], listener=_Listener(self, consumer))
        owned = self._config.clock()
        while not stop.is_set() and not self._rejoin.is_set():
            self._timeout.heartbeat()
            await consumer.getmany(timeout_ms=POLL)
            if self._assigned is not None:
                owned = self._config.clock()
            elif self._config.clock() - owned > JOINING:
                raise KafkaError("the group gave no assignment")
            if self._lives and all(life.shard.running for life in self._lives.values()):
                self._failures = 0

    async def _back_off(self, stop: asyncio.Event) -> None:
        first, most = BACKOFF
        wait = min(most, first * 2**self._failures) * (0.5 + self._jitter() / 2)
        self._failures = min(self._failures + 1, 10)
        try:
            async with asyncio.timeout(wait):
                await stop.wait()
        except TimeoutError:
            return

    async def revoked(self) -> None:
        """The group is being rearranged: no transaction is begun until it is known who owns what."""
        self._assigned = None
        await asyncio.gather(*(self._pause(life.shard) for life in self._lives.values()))

    async def assigned(self, partitions: Iterable[int]) -> None:
        """What this process owns from now on. Shards that come back are still warm."""
        wanted = set(partitions)
        self._stopped = {partition: why for partition, why in self._stopped.items() if partition in wanted}
        await self._close([partition for partition in self._lives if partition not in wanted])
        for partition in sorted(wanted):
            life = self._lives.get(partition)
            if life is not None:
                life.shard.resume()
            elif partition not in self._stopped:
                self._begin(partition)
        self._assigned = wanted
        log.info("assigned", group=self._config.service, instance=self._instance, shards=sorted(wanted))

    def again(self, error: Exception) -> None:
        """Something failed that a new membership may repair."""
        log.error("host_failed", instance=self._instance, error=repr(error), exc_info=error)
        metrics.HOST_FAILURES.labels(type(error).__name__).inc()
        self._rejoin.set()

    def _begin(self, partition: int) -> None:
        store = self._make_store(partition)
        shard = Shard(self._config, partition, store, self._rejections.setdefault(partition, BrokerRejections()))
        task = asyncio.create_task(shard.run())
        self._lives[partition] = ShardTask(shard, task, store)
        task.add_done_callback(lambda done: self._ended(partition, done))

    def _ended(self, partition: int, task: "asyncio.Task[None]") -> None:
        """A shard's life is over. Every end but a wanted one asks for a new membership."""
        error = None if task.cancelled() else task.exception()
        life = self._lives.get(partition)
        if life is None or life.task is not task:
            return
        del self._lives[partition]
        life.store.close()
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
        self._rejoin.set()

    async def _pause(self, shard: Shard) -> None:
        try:
            async with asyncio.timeout(QUIET):
                await shard.pause()
        except TimeoutError:
            # Its transaction hangs; whoever owns the partition next fences it.
            log.warning("shard_not_quiet", shard=shard.partition)

    async def _close(self, partitions: list[int]) -> None:
        lives = [self._lives.pop(partition) for partition in partitions if partition in self._lives]
        await asyncio.gather(*(self._end(life) for life in lives))

    async def _end(self, life: ShardTask) -> None:
        await self._pause(life.shard)
        life.shard.end()
        life.task.cancel()
        await asyncio.wait([life.task])
        life.store.close()
        metrics.SHARD_STATE.labels(life.shard.partition).set(0)

    async def _announce(self) -> None:
        """Tell every gateway how far the shards are: the load is shed by it."""
        while True:
            await asyncio.sleep(TELL)
            now = self._config.clock()
            due = [
                (partition, at)
                for partition, at in self._progress().items()
                if self._told.get(partition, (NOWHERE, 0.0))[0] != at or now - self._told[partition][1] >= TELL_ANYWAY
            ]
            for partition, at in due:
                self._told[partition] = at, now
            try:
                await self._config.reply_sender.announce(due)
            except Exception as error:
                # A hint, and the next one is due in a moment; but it must not end the telling.
                log.error("telling_failed", instance=self._instance, error=repr(error))
                metrics.HOST_FAILURES.labels(type(error).__name__).inc()


class _Listener(clients.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, host: ShardHost, consumer: AIOKafkaConsumer) -> None:
        self._host = host
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            await self._host.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        # A position, so that no committed offset is asked for; paused, so that nothing is fetched.
        for tp in assigned:
            self._consumer.seek(tp, 0)
        self._consumer.pause(*assigned)
        try:
            await self._host.assigned(tp.partition for tp in assigned)
        except Exception as error:
            # aiokafka would log it and carry on without the shards.
            self._host.again(error)
