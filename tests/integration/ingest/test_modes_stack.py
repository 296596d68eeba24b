"""No mode sees or moves the other: the table of tests/modes.py over a running stack."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests import modes
from tests.modes import KINDS, POST

pytestmark = pytest.mark.integration


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)


class Running:
    """The session's stack as the table asks it; routes are those of its /openapi.json."""

    unsteady = ("/deliveries", "/v1/statement")

    def __init__(self, stack: dict[str, Any], session: aiohttp.ClientSession, eventually: Any) -> None:
        self._stack, self._session, self._eventually = stack, session, eventually
        self.routes: list[tuple[str, str]] = []
        self._latest: dict[str, tuple[str, str]] = {}

    async def open(self) -> None:
        paths = (await self.call("GET", "/openapi.json", None, "")).json["paths"]
        rows = [(method.upper(), path, row) for path, one in paths.items() for method, row in one.items()]
        keyed = [(method, path) for method, path, row in rows if row.get("security") == [{"key": []}]]
        assert len(keyed) > 15
        self.routes = keyed

    async def call(self, method: str, path: str, body: Any, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.request(method, self._stack["http"] + path, json=body, headers=headers) as response:
            answer = Answer(response.status, await response.text())
        if method == POST and path.partition("?")[0] == "/v1/outcomes" and answer.status == 201:
            self._latest[token] = path, answer.json["outcome_id"]
        return answer

    async def admin(self, method: str, path: str, body: Any) -> Answer:
        return await self.call(method, path, body, self._stack["admin_token"])

    async def settle(self) -> None:
        """The ledger takes a shard's entries in order: where the last outcome is, all before it is."""
        for token, (path, id) in list(self._latest.items()):

            async def there(token: str = token, path: str = path, id: str = id) -> bool:
                return id in (await self.call("GET", path, None, token)).text

            await self._eventually(there)

    def since(self) -> str:
        return f"{datetime.now(UTC) - timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
async def rev(stack: dict[str, Any], eventually: Any) -> AsyncIterator[Running]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        made = Running(stack, session, eventually)
        await made.open()
        yield made


@pytest.mark.parametrize("kind", KINDS)
async def test_no_mode_sees_or_moves_the_other(rev: Running, kind: Any) -> None:
    """Live and test of one customer, one after the other, then what each has of its own."""
    live, test = await kind(rev, f"modes-{kind.__name__}")
    await modes.check_apart(live, test)
    await modes.check_apart(test, live)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_mode_has_its_own(rev: Running, kind: Any) -> None:
    """Keys, tasks, totals and lists, under the same names."""
    for world in await kind(rev, f"own-{kind.__name__}"):
        await modes.check_own(world)
