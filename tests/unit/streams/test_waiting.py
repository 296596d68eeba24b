"""Waiting for work or for a stop."""

import asyncio

import pytest

from streams.waiting import finished, first_of


async def test_what_is_first_ends_the_wait() -> None:
    """A task or an event; both are left as they are."""
    never, stop = asyncio.create_task(asyncio.Event().wait()), asyncio.Event()
    waiting = asyncio.create_task(first_of([never], asyncio.Event(), stop))
    await asyncio.sleep(0)
    assert not waiting.done()
    stop.set()
    await waiting
    assert not never.done()
    never.cancel()
    await first_of([never], asyncio.Event())
    assert never.cancelled()


async def test_work_that_is_done_counts_although_a_stop_came() -> None:
    stop = asyncio.Event()
    stop.set()
    done = asyncio.create_task(asyncio.sleep(0, "result"))
    await done
    assert await finished(done, stop) and done.result() == "result"


async def test_a_stop_cancels_the_work_and_waits_until_it_has_ended() -> None:
    ended, stop = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert not await finished(work(), stop) and ended.is_set()


async def test_what_the_work_raises_is_raised() -> None:
    """A start that fails is no start."""

    async def work() -> None:
        raise OSError("no broker")

    with pytest.raises(OSError, match="no broker"):
        await finished(work(), asyncio.Event())


async def test_a_cancelled_wait_cancels_the_work() -> None:
    work = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(finished(work, asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.cancelled()
