"""What stands between services and the log while the broker is away (DESIGN, "Appends", "Topics", "The shard")."""

import asyncio
import gc
import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from streams import appends
from streams.appends import Appender
from streams.errors import AppendUnknown, NotRecorded
from streams.reply_receiver import ReplyReceiver
from streams.views import CompactedView
from tests.freezing import freeze, thaw

pytestmark = [
    pytest.mark.integration,
    # aiokafka loses a connection that it opens while it closes or when its start is cancelled: killed brokers do that
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def lost_connections():
    """Collect the lost connections here, where their warnings are expected, and not during another module's tests."""
    yield
    gc.collect()


class Broker:
    """A broker that can be killed, started again at the same address, and frozen."""

    def __init__(self, serve, data: Path) -> None:
        self._serve = serve
        self._data = data
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        ready, self.process = self._stack.enter_context(self._serve("deploy.kafka", self._data))
        self.address = f"127.0.0.1:{ready['port']}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self._stack.close()

    @property
    def pid(self) -> int:
        """Of the broker itself, not of its parent or its controller."""
        parent = self.process.pid
        children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        (found,) = (child for child in children if b"broker.properties" in Path(f"/proc/{child}/cmdline").read_bytes())
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            thaw(self.pid)
        self._stack.close()


@pytest.fixture
def broker(serve, tmp_path):
    one = Broker(serve, tmp_path / "broker")
    yield one
    one.stop()


@pytest.fixture
async def own_log(broker, log_of):
    return await log_of(broker.address, 2)


async def attempts(appender, numbers):
    """Append these numbers one after the other; what became of each."""
    outcomes = {}
    for number in numbers:
        try:
            outcomes[number] = await appender.append(b"k", b'{"do": "count", "id": %d}' % number, partition=0)
        except (NotRecorded, AppendUnknown) as error:
            outcomes[number] = type(error)
    return outcomes


async def test_broker_killed_and_back(own_log, broker, child, eventually):
    """Point 4 and Appends: after kill -9 of the broker shards, views, replies and appends come
    back by themselves; what was acknowledged is applied once, what was refused never was."""
    log, seen = own_log, []
    appender = Appender(log.kafka, append_timeout=2000, topic=log.names.raw)
    view = CompactedView(log.kafka, log.names.view, lambda key, value, offset: seen.append(key))
    replies = ReplyReceiver(log.kafka, topic=log.names.replies)
    await asyncio.gather(appender.start(), view.start(), replies.start())
    host = child(log)
    await eventually(host.ready([0, 1]))
    await eventually(lambda: view.confirmed_age() < 1)
    before = await attempts(appender, range(100))
    writing = asyncio.create_task(attempts(appender, range(100, 100_000)))
    await eventually(lambda: replies.positions.get(0, 0) > 150)
    broker.kill()
    await eventually(lambda: not appender.ready and view.confirmed_age() > 1)
    with pytest.raises(NotRecorded):
        await appender.append(b"k", b"refused", partition=0)
    writing.cancel()
    await asyncio.wait([writing])
    broker.start()
    await eventually(lambda: appender.ready and view.confirmed_age() < 1, 60)
    after = await attempts(appender, range(200_000, 200_100))
    await eventually(host.ready([0, 1]), 60)

    async def applied():
        return [entry["id"] for entry in await log.entries()][-1:] == [200_099]

    await eventually(applied, 60)
    lines = await log.read(log.names.entries, log.partitions)
    found = [json.loads(line.value) for line in lines]
    twice = [line for line, entry in zip(lines, found, strict=True) if entry["offset"] in _repeated(found)]
    assert twice == [], "one record was decided in two transactions"
    assert [entry["offset"] for entry in found] == list(range(len(found)))
    assert [entry["n"] for entry in found] == list(range(1, len(found) + 1))
    at = {entry["offset"]: entry["id"] for entry in found}
    for number, outcome in {**before, **after}.items():
        assert at[outcome.offset] == number
    end = await log.end(log.names.raw)
    await eventually(lambda: replies.positions.get(0) == end, 30)
    await log.send([(b"k", {"do": "send", "times": 1})])
    await eventually(lambda: seen == [b"sent"])
    host.stop()
    await asyncio.gather(appender.stop(), view.stop(), replies.stop())


def _repeated(entries):
    """Return the raw offsets that more than one entry has."""
    return {raw for raw, times in Counter(entry["offset"] for entry in entries).items() if times > 1}


async def test_frozen_broker(own_log, broker, eventually):
    """Appends: while the broker does not answer, what entered the producer is Unknown, the rest
    is refused at once; what Unknown was may be recorded later, what was refused never is."""
    log = own_log
    appender = Appender(log.kafka, append_timeout=1000, topic=log.names.raw)
    await appender.start()
    sure = await attempts(appender, range(3))
    freeze(broker.pid)
    together = await asyncio.gather(*(attempts(appender, [10 + i]) for i in range(5)))
    assert {outcome for one in together for outcome in one.values()} == {AppendUnknown}
    refused = await attempts(appender, range(100, 200))
    assert set(refused.values()) == {NotRecorded}
    assert not appender.ready
    thaw(broker.pid)
    await eventually(lambda: appender.ready, 30)
    sure |= await attempts(appender, range(3, 6))
    await appender.stop()
    lines = {line.offset: line.value for line in await log.read(log.names.raw)}
    for number, outcome in sure.items():
        assert b'"id": %d}' % number in lines[outcome.offset]
    assert not [
        value for value in lines.values() if b'"id": 1' in value and len(value) > len(b'{"do": "count", "id": 10}')
    ]


async def test_never_started_log(eventually):
    """Appends: without a broker every append is refused, and nothing hangs."""
    appender = Appender("127.0.0.1:1", append_timeout=300)
    await appender.start()
    with pytest.raises(NotRecorded):
        await appender.append(b"k", b"v")
    await appender.stop()


async def test_many_appends_at_once(new_log, monkeypatch):
    """Appends: concurrent appends get an address each, and the records are there, 2 MiB ones too."""
    monkeypatch.setattr(appends, "STALL", 10.0)  # a busy machine may take longer over so many
    log = await new_log(4)
    appender = Appender(log.kafka, append_timeout=10_000, topic=log.names.raw)
    await appender.start()
    values = [b"%d" % i * (1 + i % 200) for i in range(2000)] + [b"x" * (2 << 20)] * 3
    places = await asyncio.gather(*(appender.append(b"key %d" % i, value) for i, value in enumerate(values)))
    found = {(line.partition, line.offset): line for line in await log.read(log.names.raw, 4)}
    for value, place in zip(values, places, strict=True):
        line = found[place.partition, place.offset]
        assert (line.value, line.timestamp) == (value, place.timestamp_ms)
    assert len(found) == len(values)
    await appender.stop()
