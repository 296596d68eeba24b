"""No mode sees or moves the other: the table of tests/modes.py over a gateway in memory."""

from typing import Any

import pytest

from ingest.app import table
from ingest.routing import Auth
from schemas.objects import iso
from tests import modes
from tests.modes import BODIES, GET, KINDS, MODES


class NoInvoices:
    """A collector before its first month is closed."""

    async def call(self, *_: Any) -> bytes:
        return b'{"invoices": [], "next_cursor": null}'


class InMemory:
    """The fixture `gateway` as the table asks it."""

    unsteady = ("/none",)

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        object.__setattr__(gateway.context, "collector", NoInvoices())
        rows = [row.operation for row in table(gateway.context, gateway.shedder)]
        self.routes = [(row.method, row.path) for row in rows if row.auth is Auth.KEY]

    async def call(self, method: str, path: str, body: Any, token: str) -> Any:
        return await self._gateway.call(method, path, body, token)

    async def admin(self, method: str, path: str, body: Any) -> Any:
        return await self.call(method, path, body, "the-admin-token")

    async def settle(self) -> None:
        self._gateway.settle()

    def since(self) -> str:
        return iso(self._gateway.now - 1)


@pytest.fixture
def rev(gateway: Any) -> InMemory:
    return InMemory(gateway)


def test_every_route_is_in_the_table(rev: InMemory) -> None:
    """A route that takes a body says in the table what it is sent."""
    assert {row for row in rev.routes if row[0] not in (GET, "DELETE")} == BODIES.keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("acting", MODES)
async def test_no_mode_sees_or_moves_the_other(rev: InMemory, kind: Any, acting: str) -> None:
    """Live and test of one customer, whichever of them acts."""
    live, test = await kind(rev, "acme-corp")
    await modes.check_apart(*((live, test) if acting == "live" else (test, live)))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_mode_has_its_own(rev: InMemory, kind: Any) -> None:
    """Keys, tasks, totals and lists, under the same names."""
    for world in await kind(rev, "acme-corp"):
        await modes.check_own(world)
