"""Every client sends 1,000 events and more: too long for CI, whose 50 calls of each middleware show the same rules."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.dialects.all_clients import send_and_check

pytestmark = pytest.mark.crash
TIMES = 20
"""1,000 calls through each middleware and as many of Stripe's meter events, 20,000 of the others."""


async def test_a_thousand_events_of_each(stack: dict[str, Any], eventually: Callable[..., Awaitable[None]]) -> None:
    await send_and_check(stack["http"], stack["admin_token"], TIMES, eventually)
