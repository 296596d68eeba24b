"""One log, one pricer and one gateway for the pricer's tests on a real broker."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy import bootstrap
from schemas.settings import Settings, read
from tests.integration.pricer.harness import PARTITIONS, Gateway, end, start


@pytest.fixture(scope="module")
def settings(own_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a log with its topics, epoch and genesis."""
    data = tmp_path_factory.mktemp("pricer")
    made = read({"REV_KAFKA": own_kafka, "REV_PARTITIONS": str(PARTITIONS), "REV_DATA": str(data)})
    asyncio.run(bootstrap.ensure(made))
    return made


@pytest.fixture
def pricer(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """One running pricer."""
    process = start(settings)
    yield process
    if process.poll() is None:
        end(process)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway whose view holds the default prices."""
    made = Gateway(settings)
    await made.appender.start()
    await made.replies.start()
    await made.follower.start()
    yield made
    await made.follower.stop()
    await made.replies.stop()
    await made.appender.stop()
