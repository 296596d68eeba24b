"""Several bootstraps of one new cluster at the same moment."""

import asyncio

import pytest

from deploy import bootstrap
from schemas import config, topics
from schemas.settings import read
from tests.integration.deploy.records import all_records

pytestmark = pytest.mark.integration


async def test_two_bootstraps_at_once_agree_on_one_epoch(own_kafka: str) -> None:
    """Whoever is fenced says so and may be run again; there is one epoch, and everyone has it."""
    settings = read({"REV_KAFKA": own_kafka, "REV_PARTITIONS": "3"})
    told = await asyncio.gather(
        bootstrap.ensure(settings, "aa"), bootstrap.ensure(settings, "bb"), return_exceptions=True
    )
    epochs = [found for found in told if isinstance(found, str)]
    assert all(isinstance(found, str | bootstrap.BootstrapError) for found in told) and epochs
    assert {*epochs, await bootstrap.ensure(settings, "cc")} == {epochs[0]}
    assert [key for key, _ in await all_records(own_kafka, topics.CONFIG, 0)] == [config.EPOCH]
