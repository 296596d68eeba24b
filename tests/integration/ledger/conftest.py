"""An engine of the ledger's own, since its tests kill it."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.ledger.engine import Engine
from warehouse.client import ClickHouse
from warehouse.migrate import migrate


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for the module."""
    made = Engine(tmp_path_factory.mktemp("ledger") / "engine")
    yield made
    made.kill()


@pytest.fixture
async def db(engine: Engine) -> AsyncIterator[ClickHouse]:
    """A client of a migrated engine."""
    async with engine.client() as client:
        await migrate(client)
        yield client


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Of partitions, from 0 on: an engine is one module's."""
    return itertools.count()


@pytest.fixture
def partition(numbers: Iterator[int]) -> int:
    """A partition that no other test of the module uses."""
    return next(numbers)


@pytest.fixture
def four(numbers: Iterator[int]) -> list[int]:
    """Four of them."""
    return [next(numbers) for _ in range(4)]
