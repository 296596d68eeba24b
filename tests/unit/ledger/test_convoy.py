"""Blocks that travel together: who goes with whom, and who is told what."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ledger.blocks import Block, Record
from ledger.convoy import MAX_BYTES, MAX_ROWS, Convoy, Load
from ledger.errors import Fenced, Refused, TooLarge, Unavailable

Eventually = Callable[..., Awaitable[None]]
MARCH, APRIL = 1_774_915_200_000, 1_775_001_600_000


def load(partition: int, at: int = MARCH, value: bytes = b'{"kind":"event"}') -> Load:
    return Load(partition, Block(-1, (Record(0, at, value),)), f"stage-{partition}")


class Road:
    """Statements as they were sent; one at a time waits until it is let through."""

    def __init__(self, fails: Callable[[Sequence[Load]], Exception | None] = lambda loads: None) -> None:
        self.sent: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self._fails = fails
        self.convoy = Convoy(self._send)

    async def _send(self, loads: Sequence[Load]) -> int:
        assert not self.running, "two statements at once"
        self.running += 1
        self.sent.append([load.partition for load in loads])
        await self.gate.wait()
        self.running -= 1
        error = self._fails(loads)
        if error:
            raise error
        return 10 * len(loads)

    def carry(self, load: Load, stage: Awaitable[object] | None = None) -> "asyncio.Task[int]":
        return asyncio.create_task(self.convoy.carry(load, stage or asyncio.sleep(0)))


async def test_who_is_ready_at_once_travels_together() -> None:
    """Blocks that are staged at the same time go in one statement; its rows are counted once."""
    road = Road()
    assert await asyncio.gather(*(road.carry(load(partition)) for partition in range(4))) == [40, 0, 0, 0]
    assert road.sent == [[0, 1, 2, 3]]
    assert road.convoy.idle


async def test_a_statement_waits_for_who_is_being_staged(eventually: Eventually) -> None:
    """Nobody leaves while a block is on its way into its stage, and everyone leaves when its staging fails."""
    road, staging = Road(), asyncio.get_running_loop().create_future()
    late, early = road.carry(load(1), staging), road.carry(load(0))
    for _ in range(5):
        await asyncio.sleep(0)
    assert road.sent == []
    staging.set_exception(Refused("no JSON"))
    assert await early == 10
    with pytest.raises(Refused):
        await late
    assert road.sent == [[0]]


async def test_who_comes_during_a_statement_goes_with_the_next(eventually: Eventually) -> None:
    """One statement at a time; whoever arrives meanwhile shares the next one."""
    road = Road()
    road.gate.clear()
    first = road.carry(load(0))
    await eventually(lambda: road.running == 1)
    assert not road.convoy.idle
    others = [road.carry(load(partition)) for partition in (1, 2, 0)]
    for _ in range(5):
        await asyncio.sleep(0)
    road.gate.set()
    assert await first == 10
    assert await asyncio.gather(*others) == [30, 0, 0]
    assert road.sent == [[0], [1, 2, 0]]


async def test_two_months_do_not_travel_together() -> None:
    """A statement holds one month, so that it makes one part."""
    road = Road()
    await asyncio.gather(road.carry(load(0)), road.carry(load(1, APRIL)), road.carry(load(2)))
    assert road.sent == [[0, 2], [1]]


@pytest.mark.parametrize("value", [b'{"kind":"' * (MAX_ROWS // 2 + 1), b"x" * (MAX_BYTES // 2 + 1)])
async def test_a_statement_is_bounded(value: bytes) -> None:
    """Blocks that are too much together go one after the other, the largest one alone."""
    road = Road()
    await asyncio.gather(*(road.carry(load(partition, value=value)) for partition in range(3)))
    assert road.sent == [[0], [1], [2]]


@pytest.mark.parametrize("error", [Fenced("resync"), Refused("no"), TooLarge("memory")])
async def test_only_who_is_to_blame_fails(error: Exception) -> None:
    """A statement that is refused is sent again block by block: the others are written."""
    road = Road(lambda loads: error if 2 in [load.partition for load in loads] else None)
    told = await asyncio.gather(*(road.carry(load(at)) for at in range(4)), return_exceptions=True)
    assert told == [10, 10, error, 10]
    assert road.sent == [[0, 1, 2, 3], [0], [1], [2], [3]]


async def test_an_outage_is_told_to_everyone() -> None:
    """Whether a statement was done is not known: nothing is repeated, everyone starts over from the maximum."""
    error = Unavailable("gone")
    road = Road(lambda loads: error)
    told = await asyncio.gather(*(road.carry(load(at)) for at in range(3)), return_exceptions=True)
    assert list(told) == [error, error, error]
    assert road.sent == [[0, 1, 2]]


async def test_who_gave_up_waiting_is_left_behind(eventually: Eventually) -> None:
    """A block whose writer was cancelled before its statement is not sent, and the others are."""
    road = Road()
    road.gate.clear()
    first = road.carry(load(0))
    await eventually(lambda: road.running == 1)
    gone, stays = road.carry(load(1)), road.carry(load(2))
    for _ in range(5):
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    road.gate.set()
    assert [await first, await stays] == [10, 10]
    assert road.sent == [[0], [2]]
