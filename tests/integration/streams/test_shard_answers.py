"""Answers that come before their commit: what a crash, a zombie and another version make of them."""

import asyncio

import pytest

from streams import committer, shard
from streams.reply_receiver import ReplyReceiver
from streams.state import MemoryStore
from streams.transaction_builder import SAFE_ENTRY

pytestmark = pytest.mark.integration


@pytest.fixture
def never(monkeypatch):
    """No commit is begun unless somebody waits for one."""
    monkeypatch.setattr(committer, "EVERY", 3600.0)


@pytest.fixture
async def asks(new_log):
    """``await asks(*commands)``: the counts that were answered, in order, on a log of one partition."""
    log = await new_log()
    replies = ReplyReceiver(log.kafka, topic=log.names.replies)
    await replies.start()

    async def ask(*commands):
        expected = [replies.expect() for _ in commands]
        for command, one in zip(commands, expected, strict=True):
            await log.send([(b"k", command)], headers=[one.header])
        found = await asyncio.wait_for(asyncio.gather(*(one.future for one in expected)), 20)
        return [int(reply.code) for reply in found]

    ask.log = log
    yield ask
    await replies.stop()


ASK = {"do": "ask"}


async def crashed(log, partition=0):
    """Whoever owned the shard can commit no more."""
    from streams import clients

    other = clients.transactional_producer(log.kafka, f"toy.{log.names.raw}-{partition}")
    await other.start()
    await clients.discard_producer(other)


async def test_what_was_answered_comes_out_the_same(asks, hosted, eventually, never):
    """Twenty answers stand in no commit when their shard is fenced; the next life decides the same from the log."""
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [1]  # the first of a life waits for its commit
    answered = await asks(*[ASK] * 20)
    assert answered == list(range(2, 22))
    assert len(await asks.log.entries()) == 1
    await crashed(asks.log)
    await stop()
    assert len(await asks.log.entries()) == 1
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [22]
    await stop()
    assert [entry["n"] for entry in await asks.log.entries()] == list(range(1, 23))


async def test_a_zombie_answers_what_the_owner_decides(asks, hosted, eventually, never):
    """A shard that lost its partition and does not know it answers from the same log: both say the same."""
    zombie, stop_zombie = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [1]
    assert await asks(ASK, ASK) == [2, 3]
    await crashed(asks.log)  # taken over, by one that is not heard of again
    assert await asks(ASK, ASK) == [4, 5]
    assert not zombie.not_ready_reasons()
    await stop_zombie()
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [6]
    await stop()
    assert [entry["n"] for entry in await asks.log.entries()] == list(range(1, 7))


async def test_a_record_that_fails_among_those_that_are_answered(asks, hosted, eventually, never):
    """What was answered before it is committed with it, what comes after it waits for nothing."""
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [1]
    commands = [ASK, ASK, {"do": "fail"}, ASK, b"no json", ASK]
    await asks.log.send([(b"k", command) for command in commands])
    assert await asks(ASK) == [6]
    await stop()
    entries = await asks.log.entries()
    assert [entry.get("n", "rejected") for entry in entries] == [1, 2, 3, "rejected", 4, "rejected", 5, 6]


async def test_what_kafka_may_refuse_is_committed_before_anything_rests_on_it(asks, hosted, eventually, never):
    """A large result is answered after its commit, and so is nothing that was decided on top of it before."""
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [1]
    assert await asks({**ASK, "size": SAFE_ENTRY}, ASK) == [2, 3]
    assert [entry["n"] for entry in await asks.log.entries()][:2] == [1, 2]
    await stop()


async def test_a_stop_commits_what_was_answered(asks, hosted, eventually, never):
    """In order, so that another version may take over."""
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [1]
    assert await asks(ASK, ASK) == [2, 3]
    await stop()
    assert [entry["n"] for entry in await asks.log.entries()] == [1, 2, 3]


async def test_other_rules_do_not_decide_what_was_answered(asks, hosted, eventually, never, toy):
    """After a crash a processor of another version stands still and says why; after a stop in order it goes on."""

    class Newer(toy.Counting):
        version = 2

    host, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [1]
    assert await asks(ASK) == [2]
    await crashed(asks.log)
    await stop()
    host, stop = await hosted(asks.log, lambda p: MemoryStore(), processor=Newer())
    await eventually(lambda: any("version 1 of the rules may have answered" in why for why in host.not_ready_reasons()))
    await stop()
    assert len(await asks.log.entries()) == 1
    _, stop = await hosted(asks.log, lambda p: MemoryStore())
    assert await asks(ASK) == [3]
    await stop()
    _, stop = await hosted(asks.log, lambda p: MemoryStore(), processor=Newer())
    assert await asks(ASK) == [4]
    await stop()
    assert [entry["n"] for entry in await asks.log.entries()] == [1, 2, 3, 4]


async def test_batch_boundaries_change_nothing(asks, hosted, eventually, monkeypatch):
    """The same log decided one record at a time, in one go, and cut anywhere by crashes: the same entries and state."""
    log = asks.log
    commands = [{"do": "remember", "id": str(n % 5)} if n % 3 else {"do": "count", "id": n} for n in range(60)]
    found = []
    await log.send([(b"k%d" % (n % 4), command) for n, command in enumerate(commands)])
    for at_once, every in ((1, 0.0), (7, 0.001), (500, 0.1)):
        monkeypatch.setattr(shard, "AT_ONCE", at_once)
        monkeypatch.setattr(committer, "EVERY", every)
        other = type(log)(log.kafka, 1)
        await other.create()
        await other.send([(line.key, line.value) for line in await log.read(log.names.raw)])
        store = MemoryStore()
        _, stop = await hosted(other, lambda p, store=store: store)
        for _ in range(3):
            await crashed(other)

        async def there(other=other):
            return len(await other.entries()) == 60

        await eventually(there, 60)
        await stop()
        entries = [{**entry, "at": 0} for entry in await other.entries()]
        state = {key: value for key, value in store.scan(b"") if not key.startswith(b"!")}
        found.append((entries, state))
    assert found[0] == found[1] == found[2]
