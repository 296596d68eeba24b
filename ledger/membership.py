"""Which partitions this process writes: a consumer group that carries no data and no offsets.

Static membership: a killed process that comes back within the session time-out has its
partitions back without disturbing the others. The group only shares the work out; that two
owners overlap for a while is normal and harmless (ledger/store.py is the fence).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import ENTRIES
from streams.clients import discard_consumer
from streams.errors import Hung
from streams.lifeline import within

log = structlog.get_logger("ledger.membership")

HANGING = 15.0
"""Seconds that one call of the consumer may take."""
GROUP = "rev-ledger"
Assign = Callable[[frozenset[int]], Awaitable[None]]
"""Called with the partitions that are ours from now on, all of them; returns when the others are let go."""


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: AIOKafkaConsumer, assign: Assign) -> None:
        self._consumer = consumer
        self._assign = assign

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Nothing yet: a partition that comes back keeps its writer warm; the table is the fence."""

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        await self._assign(frozenset(tp.partition for tp in assigned))


class Membership:
    """Takes part in the group until stopped; joins again with a new consumer whenever that fails."""

    def __init__(self, kafka: str, ordinal: int, session_timeout: int, assign: Assign, topic: str = ENTRIES) -> None:
        self.trouble: str | None = "has not joined its group yet"
        self._kafka = kafka
        self._ordinal = ordinal
        self._session_timeout = session_timeout
        self._assign = assign
        self._topic = topic
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._take_part()
            except (KafkaError, OSError, Hung) as error:
                self.trouble = f"group: {error!r}"
                log.warning("ledger_rejoins", error=repr(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def _take_part(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka,
            group_id=GROUP,
            group_instance_id=f"ledger-{self._ordinal}",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=self._session_timeout,
            heartbeat_interval_ms=max(self._session_timeout // 6, 100),
            max_poll_interval_ms=300_000,
            retry_backoff_ms=100,
        )
        try:
            await within(HANGING, consumer.start())
            consumer.subscribe([self._topic], listener=_Listener(consumer, self._joined))
            while not self._stopping.is_set():
                # everything is paused: this only drives the group and shows its errors
                await within(HANGING, consumer.getmany(timeout_ms=200))
        finally:
            await discard_consumer(consumer)

    async def _joined(self, partitions: frozenset[int]) -> None:
        self.trouble = None
        log.info("ledger_assigned", partitions=sorted(partitions))
        await self._assign(partitions)
