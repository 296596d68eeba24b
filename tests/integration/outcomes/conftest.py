"""The session's stack as these tests see it."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.integration.outcomes.api import Stack


@pytest.fixture
async def here(stack: dict[str, Any]) -> AsyncIterator[Stack]:
    """Requests to the running stack, as many at once as a test likes."""
    timeout, connector = aiohttp.ClientTimeout(total=60), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Stack(stack, session)
