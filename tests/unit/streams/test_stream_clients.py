"""What this product adds to aiokafka's clients."""

from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams import clients


class Coordinator:
    """A static member's side of its group, as far as leaving it goes. ``error`` is what the broker's answer raises."""

    group_id = "g"
    _group_instance_id = "g-0"

    def __init__(self, member_id: str, error: Exception | None = None) -> None:
        self.member_id = member_id
        self.sent: list[bytes] = []
        self._error = error

    async def _send_req(self, request: Any) -> Any:
        assert request.API_KEY == 13
        self.sent.append(request.prepare({13: (0, 5)}).encode())
        if self._error is not None:
            raise self._error
        return clients._LeaveGroupResponse.decode(b"\0\0\0\0\0\0\0\0\0\1\0\1m\0\3g-0\0\0")

    async def _maybe_leave_group(self) -> None:
        raise AssertionError("a static member is not to time out")


class Consumer:
    def __init__(self, coordinator: Coordinator | None) -> None:
        self._coordinator = coordinator


@pytest.mark.parametrize("error", [None, KafkaError("away")])
async def test_a_static_member_that_is_to_leave_tells_the_group(error: Exception | None) -> None:
    """By its member id and instance id, so that it cannot remove the process that has replaced it. A broker that does
    not take it only means that the session has to time out."""
    coordinator = Coordinator("m", error)
    consumer: Any = Consumer(coordinator)
    clients.leave_when_closed(consumer)
    assert coordinator.sent == []
    await coordinator._maybe_leave_group()
    assert coordinator.sent == [b"\0\1g\0\0\0\1\0\1m\0\3g-0"]


async def test_one_that_never_joined_has_nothing_to_leave() -> None:
    coordinator = Coordinator("")
    consumer: Any = Consumer(coordinator)
    clients.leave_when_closed(consumer)
    await coordinator._maybe_leave_group()
    assert coordinator.sent == []
    unstarted: Any = Consumer(None)
    clients.leave_when_closed(unstarted)


async def test_a_broker_that_is_away_is_not_tried_again_at_once() -> None:
    """After each try to connect that found nobody there is a wait, and none after one that did."""
    found = [None, None, "a connection"]
    waits: list[float] = []

    async def connect(node: int, *, group: int) -> str | None:
        assert (node, group) == (1, 2)
        return found.pop(0)

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    patient = clients.patient(connect, wait)
    assert [await patient(1, group=2) for _ in range(3)] == [None, None, "a connection"]
    assert waits == [clients.AWAY] * 2


async def test_a_shards_producer_waits_between_tries() -> None:
    """A shard's producer, which repeats everything else within a millisecond, waits before it connects again."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    producer = clients.transactional_producer("127.0.0.1:1", "t", wait)
    try:
        assert not await producer.client.ready(1)
    finally:
        await clients.discard_producer(producer)
    assert waits == [clients.AWAY]
