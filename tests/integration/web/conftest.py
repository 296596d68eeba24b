"""The owner of the running stack."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from tests.integration.own_stack import own_stack
from tests.integration.web.owner import Owner


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A `rev up` for these tests alone: figures of whole pages are compared with the whole ledger. Its demo is on."""
    with own_stack(tmp_path_factory.mktemp("web"), {"REV_DEMO": "1"}) as run:
        yield run


@pytest.fixture
async def owner(stack: dict[str, Any]) -> AsyncIterator[Owner]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Owner(session, stack)
