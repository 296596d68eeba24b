"""A reader that gives no sign of life is left behind; nothing waits for it."""

import asyncio
import contextlib
import itertools

import pytest

from streams.errors import Hung
from streams.heartbeat_timeout import HeartbeatTimeout, within


async def deaf() -> None:
    """Waits for ever and swallows one cancellation, as aiokafka does while it closes."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_a_reader_that_hangs_is_given_up_though_it_swallows_its_cancellation() -> None:
    """Hung is raised when the clock has passed the limit without a beat."""
    ticks = itertools.count(0.0, 1.0)
    with pytest.raises(Hung):
        await HeartbeatTimeout(0.05, lambda: next(ticks)).run(deaf())


async def test_what_a_reader_returns_and_raises_is_handed_on() -> None:
    """A line that is held to the end is invisible."""
    line = HeartbeatTimeout(60.0, lambda: 0.0)

    async def seven() -> int:
        line.heartbeat()
        return 7

    async def broken() -> None:
        raise OSError("gone")

    assert await line.run(seven()) == 7
    with pytest.raises(OSError, match="gone"):
        await line.run(broken())


async def test_cancelling_the_holder_does_not_wait_for_a_deaf_reader() -> None:
    """A cancellation gets through at once, whatever the reader does with its own."""
    holding = asyncio.create_task(HeartbeatTimeout(60.0, lambda: 0.0).run(deaf()))
    await asyncio.sleep(0)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding


async def test_a_call_that_takes_too_long_is_left_behind() -> None:
    """One call is a reader that never beats."""
    with pytest.raises(Hung):
        await within(0.0, deaf())
    assert await within(60.0, asyncio.sleep(0, 7)) == 7


async def test_a_beat_puts_the_limit_off() -> None:
    """The limit counts from the last beat, not from the beginning."""
    now = 0.0
    line = HeartbeatTimeout(1.0, lambda: now)

    async def slow() -> str:
        nonlocal now
        for _ in range(5):
            now += 0.9
            line.heartbeat()
            await asyncio.sleep(0)
        return "done"

    assert await line.run(slow()) == "done"
