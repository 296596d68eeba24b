"""An engine of the ledger's own, since its tests kill it."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from ledger.clickhouse import ClickHouse
from ledger.migrate import migrate
from tests.integration.ledger.engine import Engine


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


_partitions = itertools.count()


@pytest.fixture
def partition() -> int:
    """A partition that no other test of the run uses."""
    return next(_partitions)
