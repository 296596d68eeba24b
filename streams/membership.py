"""Which partitions of a topic this process works on: a consumer group that carries no data and no offsets.

Static membership: a killed process that comes back within the session time-out has its
partitions back without disturbing the others. The group only shares the work out: for a while
two processes may hold one partition (a zombie, a group that cannot be reached), and whoever
works on it must bear that.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams import clients, metrics
from streams.clients import Clock
from streams.heartbeat_timeout import HeartbeatTimeout

log = structlog.get_logger("streams.membership")

POLL = 200
"""ms; also how long stopping may take."""
HANGING = 15.0
"""Seconds without a sign of life after which the group's consumer is left behind."""
JOINING = 30.0
"""Seconds without an assignment after which it is replaced."""
AGAIN = 0.5
"""Seconds before the group is joined again."""
Assign = Callable[[frozenset[int]], Awaitable[None]]
"""Called with the partitions that are ours from now on, all of them. No heartbeat is sent until
it returns, so it must take less than the session time-out."""


class Membership:
    """Takes part in ``group`` as static member ``<service>-<ordinal>`` until stopped; joins again
    with a new consumer whenever that fails. ``session_timeout`` in ms. ``not_ready_reason`` is why nothing
    is assigned at this moment, or None; what was assigned stays so until the group says otherwise.
    """

    def __init__(
        self,
        kafka: str,
        *,
        group: str,
        service: str,
        ordinal: int,
        session_timeout: int,
        topic: str,
        assign: Assign,
        clock: Clock = time.monotonic,
    ) -> None:
        self.not_ready_reason: str | None = "not in its group yet"
        self._kafka = kafka
        self._group = group
        self._instance = f"{service}-{ordinal}"
        self._session_timeout = session_timeout
        self._topic = topic
        self._assign = assign
        self._clock = clock
        self._timeout = HeartbeatTimeout(HANGING, clock)
        self._stopping = asyncio.Event()
        self._consumer: AIOKafkaConsumer | None = None
        self._failed: Exception | None = None
        self._log = log.bind(group=group, instance=self._instance)

    def stop(self) -> None:
        """Ends :meth:`run`; nothing is assigned any more."""
        self._stopping.set()

    async def run(self) -> None:
        """Until stopped."""
        while not self._stopping.is_set():
            consumer = self._consumer = clients.group_consumer(
                self._kafka, self._group, self._instance, self._session_timeout
            )
            try:
                await self._timeout.run(self._take_part(consumer))
            except Exception as error:
                self.not_ready_reason = f"group {self._group}: {error!r}"
                self._log.error("group_failed", error=repr(error), exc_info=error)
                metrics.REJOINS.labels(type(error).__name__).inc()
            finally:
                self._consumer = None
                await clients.discard_consumer(consumer)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._stopping.wait()

    async def _take_part(self, consumer: AIOKafkaConsumer) -> None:
        self.not_ready_reason = self.not_ready_reason or "joining its group"
        self._failed = None
        await consumer.start()
        consumer.subscribe([self._topic], listener=_Listener(self, consumer))
        owned = self._clock()
        while not self._stopping.is_set():
            self._timeout.heartbeat()
            # everything is paused: this only drives the group and shows its errors
            await consumer.getmany(timeout_ms=POLL)
            if self._failed is not None:
                raise self._failed
            if self.not_ready_reason is None:
                owned = self._clock()
            elif self._clock() - owned > JOINING:
                raise KafkaError("the group gave no assignment")

    async def revoked(self, consumer: AIOKafkaConsumer) -> None:
        """Nothing is let go yet: a partition that comes back is not disturbed."""
        if consumer is self._consumer:
            self.not_ready_reason = "its group is being rearranged"

    async def assigned(self, consumer: AIOKafkaConsumer, partitions: frozenset[int]) -> None:
        """What the group says; a consumer that was left behind is not listened to."""
        if consumer is not self._consumer or self._stopping.is_set():
            return
        self._log.info("assigned", partitions=sorted(partitions))
        try:
            await self._assign(partitions)
            self.not_ready_reason = None
        except Exception as error:
            # aiokafka would log it and carry on without the partitions.
            self._failed = error


class _Listener(clients.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, membership: Membership, consumer: AIOKafkaConsumer) -> None:
        self._membership = membership
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._membership.revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        # A position, so that no committed offset is asked for; paused, so that nothing is fetched.
        for tp in assigned:
            self._consumer.seek(tp, 0)
        self._consumer.pause(*assigned)
        await self._membership.assigned(self._consumer, frozenset(tp.partition for tp in assigned))
