"""A whole service of shards on the real topics, as the services start it."""

import asyncio
import random

import aiohttp
import pytest

from deploy.bootstrap import ensure
from deploy.ports import choose
from schemas.settings import read
from streams.epoch import log_epoch
from streams.errors import InstanceTaken
from streams.serving import serve

pytestmark = pytest.mark.integration


async def test_serve(own_kafka, toy, tmp_path, eventually):
    """A service waits for its log, becomes ready when all of its shards run, refuses a second
    process with its ordinal, and ends in order."""
    env = {"REV_KAFKA": own_kafka, "REV_DATA": str(tmp_path), "REV_PARTITIONS": "2"}
    settings = read(env)._replace(metrics_port=choose(random.Random(), set()))
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, "toy", toy.Counting(), stop))

    async def status():
        url = f"http://127.0.0.1:{settings.metrics_port}/readyz"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, (await answer.json())["reasons"]
        except aiohttp.ClientConnectionError:
            return 0, []

    async def waiting():
        return await status() == (503, ["no log yet"])

    async def ready():
        return await status() == (200, [])

    await eventually(waiting)
    epoch = await ensure(settings)
    assert await log_epoch(own_kafka) == epoch
    await eventually(ready)
    with pytest.raises(InstanceTaken):
        await serve(settings, "toy", toy.Counting(), stop)
    stop.set()
    await asyncio.wait_for(serving, 20)
    assert sorted(path.name for path in (tmp_path / "state" / "toy-0").iterdir()) == ["0", "1", "lock"]
