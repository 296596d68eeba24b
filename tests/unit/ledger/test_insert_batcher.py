"""Blocks that travel together: who goes with whom, and who is told what."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ledger.blocks import Block, LogRecord
from ledger.insert_batcher import MAX_BYTES, MAX_ROWS, InsertBatcher, PendingInsert
from warehouse.errors import InsertRefused, InsertTooLarge, LedgerFenced, Unavailable

Eventually = Callable[..., Awaitable[None]]
MARCH, APRIL = 1_774_915_200_000, 1_775_001_600_000


def insert(partition: int, at: int = MARCH, value: bytes = b'{"kind":"event"}') -> PendingInsert:
    return PendingInsert(partition, Block(-1, (LogRecord(0, at, value),)), f"stage-{partition}")


class Road:
    """Statements as they were sent; one at a time waits until it is let through."""

    def __init__(self, fails: Callable[[Sequence[PendingInsert]], Exception | None] = lambda loads: None) -> None:
        self.sent: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self._fails = fails
        self.batcher = InsertBatcher(self._send)

    async def _send(self, loads: Sequence[PendingInsert]) -> int:
        assert not self.running, "two statements at once"
        self.running += 1
        self.sent.append([insert.partition for insert in loads])
        await self.gate.wait()
        self.running -= 1
        error = self._fails(loads)
        if error:
            raise error
        return 10 * len(loads)

    def submit(self, insert: PendingInsert, stage: Awaitable[object] | None = None) -> "asyncio.Task[int]":
        return asyncio.create_task(self.batcher.submit(insert, stage or asyncio.sleep(0)))


async def test_who_is_ready_at_once_travels_together() -> None:
    """Blocks that are staged at the same time go in one statement; its rows are counted once."""
    road = Road()
    assert await asyncio.gather(*(road.submit(insert(partition)) for partition in range(4))) == [40, 0, 0, 0]
    assert road.sent == [[0, 1, 2, 3]]
    assert road.batcher.idle


async def test_a_statement_waits_for_who_is_being_staged(eventually: Eventually) -> None:
    """Nobody leaves while a block is on its way into its stage, and everyone leaves when its staging fails."""
    road, staging = Road(), asyncio.get_running_loop().create_future()
    late, early = road.submit(insert(1), staging), road.submit(insert(0))
    for _ in range(5):
        await asyncio.sleep(0)
    assert road.sent == []
    staging.set_exception(InsertRefused("no JSON"))
    assert await early == 10
    with pytest.raises(InsertRefused):
        await late
    assert road.sent == [[0]]


async def test_who_comes_during_a_statement_goes_with_the_next(eventually: Eventually) -> None:
    """One statement at a time; whoever arrives meanwhile shares the next one."""
    road = Road()
    road.gate.clear()
    first = road.submit(insert(0))
    await eventually(lambda: road.running == 1)
    assert not road.batcher.idle
    others = [road.submit(insert(partition)) for partition in (1, 2, 0)]
    for _ in range(5):
        await asyncio.sleep(0)
    road.gate.set()
    assert await first == 10
    assert await asyncio.gather(*others) == [30, 0, 0]
    assert road.sent == [[0], [1, 2, 0]]


async def test_two_months_do_not_travel_together() -> None:
    """A statement holds one month, so that it makes one part."""
    road = Road()
    await asyncio.gather(road.submit(insert(0)), road.submit(insert(1, APRIL)), road.submit(insert(2)))
    assert road.sent == [[0, 2], [1]]


@pytest.mark.parametrize("value", [b'{"kind":"' * (MAX_ROWS // 2 + 1), b"x" * (MAX_BYTES // 2 + 1)])
async def test_a_statement_is_bounded(value: bytes) -> None:
    """Blocks that are too much together go one after the other, the largest one alone."""
    road = Road()
    await asyncio.gather(*(road.submit(insert(partition, value=value)) for partition in range(3)))
    assert road.sent == [[0], [1], [2]]


@pytest.mark.parametrize("error", [LedgerFenced("resync"), InsertRefused("no"), InsertTooLarge("memory")])
async def test_only_who_is_to_blame_fails(error: Exception) -> None:
    """A statement that is refused is sent again block by block: the others are written."""
    road = Road(lambda loads: error if 2 in [insert.partition for insert in loads] else None)
    told = await asyncio.gather(*(road.submit(insert(at)) for at in range(4)), return_exceptions=True)
    assert told == [10, 10, error, 10]
    assert road.sent == [[0, 1, 2, 3], [0], [1], [2], [3]]


async def test_an_outage_is_told_to_everyone() -> None:
    """Whether a statement was done is not known: nothing is repeated, everyone starts over from the maximum."""
    error = Unavailable("gone")
    road = Road(lambda loads: error)
    told = await asyncio.gather(*(road.submit(insert(at)) for at in range(3)), return_exceptions=True)
    assert list(told) == [error, error, error]
    assert road.sent == [[0, 1, 2]]


async def test_who_gave_up_waiting_is_left_behind(eventually: Eventually) -> None:
    """A block whose writer was cancelled before its statement is not sent, and the others are."""
    road = Road()
    road.gate.clear()
    first = road.submit(insert(0))
    await eventually(lambda: road.running == 1)
    gone, stays = road.submit(insert(1)), road.submit(insert(2))
    for _ in range(5):
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    road.gate.set()
    assert [await first, await stays] == [10, 10]
    assert road.sent == [[0], [2]]
