"""The gateway that imports are tried against, and how their summary is read."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from tests.unit.importer.serving import Lines, Serving
from tools.importer import command
from tools.importer.client import ImportClient
from tools.importer.memory import MemoryGateway


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.setenv("COLUMNS", "200")
    served = Serving(MemoryGateway())
    yield served
    served.stop()


@pytest.fixture
def told() -> Lines:
    """The summary's table as a dict."""

    def parse(text: str) -> dict[str, str]:
        names = "rows|imported|already there|bad|total_cents|dollars|events/s"
        return {m[1]: m[2] for m in re.finditer(rf"^\s*({names})\s+(\S+)\s*$", text, re.M)}

    return parse


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries that take no time."""

    class Quick(ImportClient):
        async def wait(self, tries: int, asked: float = 0.0) -> None:
            await asyncio.sleep(0)

    monkeypatch.setattr(command, "ImportClient", Quick)
