"""A log of two partitions on a broker of this module's own, and expirers as child processes."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from deploy import bootstrap
from schemas import ids
from schemas.settings import read
from tests.integration.expirer.shards import Expirer, Rival, Shard

P = 2
_numbers = itertools.count(1000)


@pytest.fixture
async def log(own_kafka: str) -> str:
    """Address of a broker with every topic."""
    await bootstrap.ensure(read({"REV_KAFKA": own_kafka, "REV_PARTITIONS": str(P)}), "aa")
    return own_kafka


@pytest.fixture
async def shards(log: str) -> AsyncIterator[list[Shard]]:
    made = [Shard(log, partition) for partition in range(P)]
    for shard in made:
        await shard.start()
    yield made
    for shard in made:
        await shard.stop()


@pytest.fixture
def new_id() -> Callable[[Shard], int]:
    """An event id of the shard that no other test has."""
    return lambda shard: ids.event_id(shard.partition, next(_numbers))


@pytest.fixture
def expirer(log: str, tmp_path: Path) -> Iterator[Callable[..., Expirer]]:
    """``expirer(ordinal=0, **environment)``: gone after the test."""
    made: list[Expirer] = []

    def start(ordinal: int = 0, **environment: str) -> Expirer:
        made.append(Expirer(log, tmp_path, ordinal, environment))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(30)


@pytest.fixture
async def rivals(log: str) -> AsyncIterator[Callable[[], Rival]]:
    """``rivals()``: a member that takes partitions and does not remind, gone after the test."""
    made: list[Rival] = []

    def join() -> Rival:
        made.append(Rival(log))
        return made[-1]

    yield join
    for one in made:
        await one.stop()
