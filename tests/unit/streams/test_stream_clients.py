"""What this product adds to aiokafka's clients."""

from streams import clients


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
