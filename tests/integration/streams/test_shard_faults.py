"""Hosts in processes of their own that are killed, stopped and outnumbered (DESIGN, "The shard")."""

import asyncio
from collections import Counter

import pytest

from streams.errors import InstanceTaken
from streams.instance import Instance
from streams.state import MemoryStore
from tests.freezing import freeze, thaw

pytestmark = pytest.mark.integration


async def feed(log, rounds, size=40):
    """Append rounds of commands to every partition; how many each got."""
    for number in range(rounds):
        for partition in range(log.partitions):
            commands = [(b"k%d.%d" % (partition, i % 4), {"do": "count", "id": f"{number}-{i}"}) for i in range(size)]
            await log.send(commands, partition)
    return rounds * size


async def exactly_once(log, expected, eventually):
    """Every raw record of every partition left one entry, and every key was counted without a gap."""

    async def applied():
        return len(await log.entries()) >= expected * log.partitions

    await eventually(applied, 60)
    entries = await log.read(log.names.entries, log.partitions)
    found = await log.entries()
    assert Counter((e["partition"], e["offset"]) for e in found) == Counter(
        (p, offset) for p in range(log.partitions) for offset in range(expected)
    )
    counts = {}
    for line, entry in zip(entries, found, strict=True):
        counts[line.key] = counts.get(line.key, 0) + 1
        assert entry["n"] == counts[line.key]


async def test_killed_in_the_middle(new_log, child, eventually):
    """Point 1 and 3: kill -9 under load, three times, loses nothing and applies nothing twice."""
    log = await new_log(2)
    feeding = asyncio.create_task(feed(log, 30))
    host = child(log)
    for enough in (100, 500, 900):

        async def far(enough=enough):
            return await log.end(log.names.entries) >= enough

        await eventually(far, 60)
        host.kill()
        host = child(log)
    await exactly_once(log, await feeding, eventually)
    await eventually(host.ready([0, 1]))
    host.stop()


async def test_zombie_does_not_double(new_log, child, eventually):
    """Point 7: a process stopped beyond its session and continued is fenced: it applies nothing
    twice, joins again and gets its share."""
    log = await new_log(2)
    zombie = child(log, 0)
    await eventually(zombie.ready([0, 1]))
    feeding = asyncio.create_task(feed(log, 20))

    async def busy():
        return await log.end(log.names.entries) > 50

    await eventually(busy)
    freeze(zombie.process.pid)
    heir = child(log, 1)
    await eventually(heir.ready([0, 1]), 60)
    await exactly_once(log, await feeding, eventually)
    thaw(zombie.process.pid)
    await eventually(lambda: sorted(zombie.says()["shards"] + heir.says()["shards"]) == [0, 1], 60)
    await eventually(lambda: len(zombie.says()["shards"]) == 1 and not zombie.says()["reasons"], 60)
    total = 20 * 40 + await feed(log, 2)
    await exactly_once(log, total, eventually)
    zombie.stop()
    heir.stop()


async def test_scale_out_and_in(new_log, hosted, child, eventually):
    """Point 7: 1 -> 2 -> 1 processes under load; the shard that comes back stays warm, with its store."""
    log = await new_log(2)
    made = []
    host, stop = await hosted(log, lambda p: made.append(p) or MemoryStore())
    await eventually(lambda: sorted(host.shards()) == [0, 1])
    feeding = asyncio.create_task(feed(log, 60))
    second = child(log, 1)
    await eventually(lambda: len(host.shards()) == 1 and not host.not_ready_reasons(), 60)
    (kept,) = host.shards()
    await eventually(second.ready([1 - kept]), 60)
    second.stop()
    await eventually(lambda: sorted(host.shards()) == [0, 1], 60)
    await exactly_once(log, await feeding, eventually)
    assert made.count(kept) == 1 and made.count(1 - kept) == 2
    await stop()


async def test_one_process_an_ordinal(tmp_path):
    """Point 7: a second process with the same ordinal is refused by the file lock, and may have it later."""
    first = Instance(tmp_path, "toy", 0)
    with pytest.raises(InstanceTaken):
        Instance(tmp_path, "toy", 0)
    first.release()
    Instance(tmp_path, "toy", 0).release()
