"""The service where it must not work, and its clock."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from notifier.service import Notifier, forward_wall
from notifier.testing import MemorySender
from schemas.settings import read


@pytest.mark.parametrize("key", ["", "short", "!" * 44])
async def test_without_a_key_it_stands_still_and_says_so(key: str, eventually: Callable[..., Awaitable[None]]) -> None:
    """Secrets that cannot be decrypted mean unsigned webhooks: it is not ready, and ends when told to."""
    notifier = Notifier(read({})._replace(secret_key=key), MemorySender)
    running = asyncio.create_task(notifier.run())
    await eventually(lambda: any("webhooks are off" in reason for reason in notifier.not_ready_reasons()))
    if key:
        assert key not in notifier.not_ready_reasons()[0]
    notifier.stop()
    await running


def test_its_time_goes_forward() -> None:
    """Whatever is done to the wall clock, a retry that was due stays due."""
    now = forward_wall()
    found = [now() for _ in range(1000)]
    assert found == sorted(found) and found[0] > 1_600_000_000_000
