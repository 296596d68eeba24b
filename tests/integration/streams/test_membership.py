"""The group that shares partitions out, against a real broker."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.membership import Membership

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


class Part:
    """A member and what it was told last."""

    def __init__(self, log: Any, group: str, ordinal: int) -> None:
        self.owns: frozenset[int] = frozenset()
        self.assignments = 0
        self.refuse = 0
        self.membership = Membership(
            log.kafka,
            group=group,
            instance=f"{group}-{ordinal}",
            session_timeout=2000,
            topic=log.names.entries,
            assign=self._assign,
        )
        self._running = asyncio.create_task(self.membership.run())

    async def _assign(self, partitions: frozenset[int]) -> None:
        self.assignments += 1
        if self.refuse:
            self.refuse -= 1
            raise OSError("no disk")
        self.owns = partitions

    async def stop(self) -> None:
        self.membership.stop()
        await self._running


async def test_the_partitions_are_shared_out_and_come_back(new_log: Any, eventually: Eventually) -> None:
    """Two members have every partition once between them; what one leaves the other gets, and a
    member that comes back under its name has its share again; no offset is ever committed."""
    log, group = await new_log(4), f"g{secrets.token_hex(4)}"
    one, two = Part(log, group, 0), Part(log, group, 1)
    whole = frozenset(range(4))
    try:
        await eventually(lambda: one.owns and two.owns and not one.owns & two.owns and one.owns | two.owns == whole)
        assert one.membership.not_ready_reason is None and two.membership.not_ready_reason is None
        await two.stop()
        await eventually(lambda: one.owns == whole)
        two = Part(log, group, 1)
        assert two.membership.not_ready_reason is not None
        await eventually(lambda: one.owns and two.owns and not one.owns & two.owns and one.owns | two.owns == whole)
    finally:
        await asyncio.gather(one.stop(), two.stop())
    reader = AIOKafkaConsumer(bootstrap_servers=log.kafka, group_id=group, enable_auto_commit=False)
    await reader.start()
    try:
        committed = [await reader.committed(TopicPartition(log.names.entries, p)) for p in whole]
    finally:
        await reader.stop()
    assert committed == [None] * 4


async def test_an_assignment_that_fails_is_asked_for_again(new_log: Any, eventually: Eventually) -> None:
    """If taking the partitions over raises, the group is joined anew instead of going on without them."""
    log = await new_log(2)
    one = Part(log, f"g{secrets.token_hex(4)}", 0)
    one.refuse = 1
    try:
        await eventually(lambda: one.owns == {0, 1})
        assert one.assignments == 2
        await eventually(lambda: one.membership.not_ready_reason is None)
    finally:
        await one.stop()
