"""Assignment of a topic's partitions to this process, by a consumer group that carries no data and no offsets.

Membership is static: a killed process that returns within the session time-out gets its partitions back without
disturbing the others. The group only divides the work: for a while two processes may hold one partition (a zombie, or
an unreachable group), and the partition's workers must tolerate that.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams import clients, metrics
from streams.clients import Clock
from streams.heartbeat_timeout import HeartbeatTimeout
from streams.partition_workers import next_delay

log = structlog.get_logger("streams.membership")

POLL = 200
"""ms that one poll waits; also the longest that stopping takes."""
HANGING = 15.0
"""Seconds without a sign of life after which the group's consumer is abandoned."""
JOINING = 30.0
"""Seconds without an assignment after which the consumer is replaced."""
BACKOFF = (0.1, 5.0)
"""Seconds before rejoining the group: doubles from the first to the second, and restarts at the first once a membership
has lasted longer than the second."""
Assign = Callable[[frozenset[int]], Awaitable[None]]
"""Called with all the partitions assigned to this process from now on. No heartbeat is sent until it returns, so it
must take less than the session time-out."""
Revoke = Callable[[], Awaitable[None]]
"""Called when the group begins to rebalance. Partitions stay assigned until :data:`Assign`, in case they come back."""


class Membership:
    """A static member ``instance`` of ``group`` until stopped; rejoins with a new consumer after every failure.
    ``session_timeout`` is in ms; ``jitter`` returns numbers in [0, 1). ``not_ready_reason`` is why nothing is assigned
    now, or None; earlier assignments remain until the group says otherwise."""

    def __init__(
        self,
        kafka: str,
        *,
        group: str,
        instance: str,
        session_timeout: int,
        topic: str,
        assign: Assign,
        revoke: Revoke | None = None,
        clock: Clock = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.not_ready_reason: str | None = "not in its group yet"
        self._kafka = kafka
        self._group = group
        self._instance = instance
        self._session_timeout = session_timeout
        self._topic = topic
        self._assign = assign
        self._revoke = revoke
        self._clock = clock
        self._jitter = jitter
        self._timeout = HeartbeatTimeout(HANGING, clock)
        self._stopping = asyncio.Event()
        self._leaving = False
        self._consumer: AIOKafkaConsumer | None = None
        self._failed: Exception | None = None
        self._rejoin = asyncio.Event()
        self._log = log.bind(group=group, instance=self._instance)

    def stop(self, leave: bool = False) -> None:
        """End :meth:`run`; nothing is assigned any more. With ``leave`` the group shares out this member's partitions
        at once; otherwise it keeps them for the rest of the session time-out, in case the member comes back."""
        self._leaving = leave
        self._stopping.set()

    def rejoin(self) -> None:
        """Rejoin with a new consumer after a failure that a new assignment may repair."""
        self._rejoin.set()

    async def run(self) -> None:
        """Run until stopped."""
        wait = 0.0
        while not self._stopping.is_set():
            began, why = self._clock(), "rejoin"
            self._rejoin.clear()
            consumer = self._consumer = clients.group_consumer(
                self._kafka, self._group, self._instance, self._session_timeout
            )
            try:
                await self._timeout.run(self._take_part(consumer))
            except Exception as error:
                why = type(error).__name__
                self.not_ready_reason = f"group {self._group}: {error!r}"
                self._log.error("group_failed", error=repr(error), exc_info=error)
            finally:
                self._consumer = None
                self.not_ready_reason = self.not_ready_reason or "not in its group"
                if self._leaving:
                    clients.leave_when_closed(consumer)
                await clients.discard_consumer(consumer)
            if self._stopping.is_set():
                return
            metrics.REJOINS.labels(why).inc()
            wait = next_delay(BACKOFF, wait, self._clock() - began)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait * (0.5 + self._jitter() / 2)):
                    await self._stopping.wait()

    async def _take_part(self, consumer: AIOKafkaConsumer) -> None:
        self.not_ready_reason = self.not_ready_reason or "joining its group"
        self._failed = None
        await consumer.start()
        consumer.subscribe([self._topic], listener=_Listener(self, consumer))
        owned = self._clock()
        while not (self._stopping.is_set() or self._rejoin.is_set()):
            self._timeout.heartbeat()
            # all partitions are paused: this only drives the group and surfaces its errors
            await consumer.getmany(timeout_ms=POLL)
            if self._failed is not None:
                raise self._failed
            if self.not_ready_reason is None:
                owned = self._clock()
            elif self._clock() - owned > JOINING:
                raise KafkaError(f"the group assigned no partitions within {JOINING:g} s")

    async def revoked(self, consumer: AIOKafkaConsumer) -> None:
        """Mark the member as not ready, but release nothing: a partition that comes back is not disturbed."""
        if consumer is not self._consumer:
            return
        self.not_ready_reason = "its group is rebalancing"
        if self._revoke is not None:
            await self._revoke()

    async def assigned(self, consumer: AIOKafkaConsumer, partitions: frozenset[int]) -> None:
        """Pass on the group's assignment. Calls from an abandoned consumer are ignored."""
        if self._consumer is None or consumer is not self._consumer or self._stopping.is_set():
            return
        if not partitions and not consumer.partitions_for_topic(self._topic):
            # A topic that is only just there: the group shared out nothing, and aiokafka would look again in minutes.
            self._failed = KafkaError(f"the group found no partition of {self._topic}")
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
        # Positioned, so that no committed offset is requested; paused, so that nothing is fetched.
        for tp in assigned:
            self._consumer.seek(tp, 0)
        self._consumer.pause(*assigned)
        await self._membership.assigned(self._consumer, frozenset(tp.partition for tp in assigned))
