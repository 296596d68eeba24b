"""The shard host against a real broker: what one process does (DESIGN, "The shard")."""

import asyncio
import json

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams import position
from streams.errors import NotRecorded
from streams.rejects import RejectLimit
from streams.reply_receiver import ReplyReceiver
from streams.rocks import RocksStore
from streams.state import FORMAT, Checkpoint, MemoryStore
from streams.types import RetainedRecord

pytestmark = pytest.mark.integration

END = Checkpoint("e1", 0, 0, 0)


def count(n):
    return [(b"k%d" % (i % 3), {"do": "count", "id": i}) for i in range(n)]


def committed(log, n):
    """Whether so many entries stand."""

    async def there():
        return len(await log.entries()) == n

    return there


async def test_counts_and_answers(new_log, hosted, eventually):
    """Point 3: a command is applied once, its entry has the accepted time as timestamp, and who
    waits is answered, after the commit if it is about configuration."""
    log = await new_log()
    stores = {}
    host, stop = await hosted(log, lambda p: stores.setdefault(p, MemoryStore()))
    replies = ReplyReceiver(log.kafka, topic=log.names.replies)
    await replies.start()
    await eventually(lambda: not host.not_ready_reasons())
    expected = replies.expect()
    await log.send([(b"acme", {"do": "count"})], headers=[expected.header])
    reply = await asyncio.wait_for(expected.future, 10)
    assert (reply.n, reply.status) == (expected.n, 1)
    assert stores[0].get(b"count/acme") == b"1"
    (line,) = await log.read(log.names.entries)
    (raw,) = await log.read(log.names.raw)
    assert (line.key, line.timestamp) == (b"acme", raw.timestamp)
    await eventually(lambda: replies.positions == {0: 1})
    await replies.stop()
    await stop()


async def test_position_is_state(new_log, hosted, eventually):
    """Point 2: the position is taken from the state and nothing was ever committed to the group."""
    log = await new_log()
    host, stop = await hosted(log, lambda p: MemoryStore())
    await log.send(count(10))
    await eventually(lambda: host.shards() == {0: 10})
    await stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=log.kafka)
    await admin.start()
    committed = await admin.list_consumer_group_offsets(f"toy.{log.names.raw}")
    await admin.close()
    assert committed == {}
    host, stop = await hosted(log, lambda p: MemoryStore())
    await log.send(count(5))
    await eventually(lambda: host.shards() == {0: 15})
    await stop()
    entries = await log.entries()
    assert [entry["offset"] for entry in entries] == list(range(15))
    assert [entry["n"] for entry in entries if entry["id"] % 3 == 0][-1] == 6


async def test_rejected(new_log, hosted, eventually):
    """Point 4: a record that fails deterministically leaves a refusal and a dead letter, and
    stops nothing; the others of its batch are applied once."""
    log = await new_log()
    await log.send([*count(5), (b"bad", {"do": "fail"}), (b"worse", b"no json"), *count(5)])
    host, stop = await hosted(log, lambda p: MemoryStore())
    await eventually(lambda: host.shards() == {0: 12})
    await stop()
    entries = await log.entries()
    assert [entry["offset"] for entry in entries] == list(range(12))
    assert [entry["offset"] for entry in entries if "rejected" in entry] == [5, 6]
    dead = await log.read(log.names.dead)
    assert [(letter.key, letter.headers["key"]) for letter in dead] == [
        (f"{log.names.raw}/0/5".encode(), b"bad"),
        (f"{log.names.raw}/0/6".encode(), b"worse"),
    ]
    assert dead[1].value == b"no json" and b"told to fail" in dead[0].headers["reason"]


async def test_too_many_rejects_stop_the_shard(new_log, hosted, eventually):
    """Point 4: many bad records are an outage: the shard stands still and says why."""
    log = await new_log()
    await log.send([(b"bad", {"do": "fail"})] * 5)
    host, stop = await hosted(log, lambda p: MemoryStore(), rejects=lambda: RejectLimit(3, 10))
    await eventually(lambda: any("stands still" in reason for reason in host.not_ready_reasons()))
    await stop()
    assert len(await log.entries()) == 3


async def test_refused_by_kafka(new_log, hosted, eventually):
    """Point 4: what Kafka never takes is found by halving, rejected alone, and stops nothing."""
    log = await new_log()
    await log.send([*count(3), (b"big", {"do": "huge", "size": 17 << 20}), *count(3)])
    _, stop = await hosted(log, lambda p: MemoryStore())
    await eventually(committed(log, 7), 60)
    await stop()
    entries = await log.entries()
    assert [entry["offset"] for entry in entries] == list(range(7))
    assert [entry["offset"] for entry in entries if "rejected" in entry] == [3]


async def test_large_batches_lose_nothing(new_log, hosted, eventually):
    """Point 5: entries that need many batches in one transaction all arrive."""
    log = await new_log()
    await log.send([(b"k", {"do": "huge", "size": 1500})] * 1000 + [(b"k", {"do": "huge", "size": 150_000})] * 100)
    host, stop = await hosted(log, lambda p: MemoryStore())
    await eventually(lambda: host.shards() == {0: 1100})
    await stop()
    sizes = [len(line.value) for line in await log.read(log.names.entries)]
    assert sizes == [1500] * 1000 + [150_000] * 100


async def test_fenced_rejoins(new_log, hosted, eventually):
    """Point 4: a fenced shard is given up, the group joined again, and nothing is applied twice."""
    from streams import clients

    log = await new_log()
    host, stop = await hosted(log, lambda p: MemoryStore())
    await log.send(count(3))
    await eventually(lambda: host.shards() == {0: 3})
    other = clients.transactional_producer(log.kafka, f"toy.{log.names.raw}-0")
    await other.start()
    await other.stop()
    await log.send(count(3))
    await eventually(committed(log, 6))
    await stop()
    assert [entry["n"] for entry in await log.entries()] == [1, 1, 1, 2, 2, 2]


async def test_checkpoint_equals_rebuild(new_log, hosted, eventually, tmp_path):
    """Point 8: a store taken up from its checkpoint equals one rebuilt from the whole log."""
    log = await new_log()
    await log.send(count(50))
    host, stop = await hosted(log, lambda p: RocksStore(tmp_path / str(p)))
    await eventually(lambda: host.shards() == {0: 50})
    await stop()
    before = RocksStore(tmp_path / "0")
    assert before.checkpoint().state > 0
    before.close()
    await log.send(count(25))
    made = []
    host, stop = await hosted(log, lambda p: made.append(MemoryStore()) or made[-1])
    await eventually(lambda: host.shards() == {0: 75})
    await stop()
    host, stop = await hosted(log, lambda p: RocksStore(tmp_path / str(p)))
    await eventually(lambda: host.shards() == {0: 75})
    await stop()
    taken_up = RocksStore(tmp_path / "0")
    assert dict(taken_up.scan(b"")) == dict(made[0].scan(b"")) != {}
    taken_up.close()


async def test_checkpoint_of_another_log(new_log, hosted, eventually):
    """Point 8: a checkpoint of another epoch or format, or beyond the log's end, is thrown away and rebuilt."""
    log = await new_log()
    await log.send(count(6))
    for checkpoint in (
        Checkpoint("another", 0, 0, 2**62, FORMAT),
        Checkpoint("e1", 0, 0, 2**62),
        Checkpoint("e1", 10**6, 0, 2**62, FORMAT),
    ):
        store = MemoryStore()
        store.write({b"count/k0": b"999"}, (), checkpoint)
        host, stop = await hosted(log, lambda p, store=store: store)
        await eventually(lambda host=host: host.shards() == {0: 6})
        await stop()
        assert store.get(b"count/k0") == b"2"


async def test_position_of_another_log(new_log, hosted, eventually):
    """Point 8: a shard whose position is of another log stands still and says so."""
    log = await new_log()
    host, stop = await hosted(log, lambda p: MemoryStore())
    await log.send(count(1))
    await eventually(lambda: host.shards() == {0: 1})
    await stop()
    host, stop = await hosted(log, lambda p: MemoryStore(), epoch="another")
    await eventually(lambda: any("position belongs to log e1" in reason for reason in host.not_ready_reasons()))
    await stop()


async def test_remembered_is_restored(new_log, hosted, eventually):
    """Point 9: what was remembered comes back from the output topic, value and time alike."""
    log = await new_log()
    host, stop = await hosted(log, lambda p: MemoryStore())
    await log.send([(b"k", {"do": "remember", "id": "a"})])
    await eventually(lambda: host.shards() == {0: 1})
    await stop()
    made = []
    host, stop = await hosted(log, lambda p: made.append(MemoryStore()) or made[-1])
    await log.send([(b"k", {"do": "remember", "id": "a"}), (b"k", {"do": "remember", "id": "b"})])
    await eventually(lambda: host.shards() == {0: 3})
    await stop()
    entries = await log.entries()
    assert [entry["seen"] for entry in entries] == [None, "0", None]
    assert made[0].get_retained(b"a") == RetainedRecord(b"a", b"0", entries[0]["at"])


class Dumb:
    """A sender that never gets through."""

    async def append(self, key, value, headers=(), partition=None):
        raise NotRecorded("dumb")


async def test_outbox_is_sent_again(new_log, hosted, eventually):
    """Configuration: what a commit owes is sent after a restart, in order, to every partition, and then forgotten."""
    log = await new_log(2)
    host, stop = await hosted(log, lambda p: MemoryStore(), sender=Dumb())
    await log.send([(b"k", {"do": "send", "times": 3})])
    await eventually(lambda: host.shards() == {0: 1, 1: 0})
    await stop()
    stores = {}
    host, stop = await hosted(log, lambda p: stores.setdefault(p, MemoryStore()))
    await eventually(lambda: host.shards() == {0: 4, 1: 3})
    await eventually(lambda: 0 in stores and not list(stores[0].scan(b"!outbox/")))
    await stop()
    assert [(entry["partition"], entry["id"]) for entry in await log.entries()] == [
        (partition, f"0-{i}") for partition in (0, 1) for i in range(3)
    ]


async def test_owing_answers_wait(new_log, hosted, eventually):
    """Configuration: the answer comes after the owed appends stand, and names the view record's offset."""
    log = await new_log(2)
    host, stop = await hosted(log, lambda p: MemoryStore())
    replies = ReplyReceiver(log.kafka, topic=log.names.replies)
    await replies.start()
    await eventually(lambda: not host.not_ready_reasons())
    expected = replies.expect()
    await log.send([(b"k", {"do": "send", "times": 2})], headers=[expected.header])
    reply = await asyncio.wait_for(expected.future, 10)
    assert [await log.end(log.names.raw, p) for p in (0, 1)] == [3, 2]
    (view,) = await log.read(log.names.view)
    assert reply.view_offset == view.offset == 0
    await replies.stop()
    await stop()


async def test_position_record(new_log, hosted, eventually):
    """Point 2: every transaction writes the position, time and epoch into the state topic."""
    log = await new_log()
    host, stop = await hosted(log, lambda p: MemoryStore())
    await log.send(count(4))
    await eventually(lambda: host.shards() == {0: 4})
    await stop()
    raw = await log.read(log.names.raw)
    last = [line for line in await log.read(log.names.state) if line.key == position.KEY][-1]
    assert position.decode(last.value) == position.Position(4, raw[-1].timestamp, "e1", 1, True)
    assert json.loads(last.value)["next"] == 4
