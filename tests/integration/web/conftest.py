"""The owner of the running stack."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.integration.web.owner import Owner


@pytest.fixture
async def owner(stack: dict[str, Any]) -> AsyncIterator[Owner]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Owner(session, stack)
