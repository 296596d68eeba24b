"""A log of its own for every test (topics with a random prefix), and hosts as child processes."""

import asyncio
import contextlib
import importlib.util
import json
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from subprocess import Popen
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.children import spawn
from schemas.topics import topics
from streams.topic_names import TopicNames

MARKERS = 5.0
"""Seconds to wait for the markers of what was committed."""

TOY = Path(__file__).with_name("toy.py")


class Line(NamedTuple):
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: dict[str, bytes]


class Log:
    """The topics of one test, and what tests do with them."""

    def __init__(self, kafka: str, partitions: int) -> None:
        self.kafka = kafka
        self.partitions = partitions
        self.epoch = "e1"
        prefix = f"t{secrets.token_hex(4)}."
        self.names = TopicNames(*(prefix + name for name in TopicNames()))

    async def create(self) -> None:
        ours = {name.split(".", 1)[1]: name for name in self.names}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        await admin.create_topics(
            [
                NewTopic(ours[topic.name], topic.partitions, 1, topic_configs=topic.config)
                for topic in topics(self.partitions, 2)
                if topic.name in ours
            ]
        )
        await admin.close()

    async def send(
        self,
        commands: Sequence[tuple[bytes, dict[str, Any] | bytes]],
        partition: int = 0,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> list[int]:
        """Append to the raw topic; the offsets."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka,
            acks="all",
            enable_idempotence=True,
            max_batch_size=1 << 20,
            max_request_size=16 << 20,
        )
        await producer.start()
        futures = []
        for key, command in commands:
            value = command if isinstance(command, bytes) else json.dumps(command).encode()
            futures.append(await producer.send(self.names.raw, value, key, partition=partition, headers=list(headers)))
        found = [(await future).offset for future in futures]
        await producer.stop()
        return found

    async def read(self, topic: str, partitions: int = 1) -> list[Line]:
        """Everything committed in a topic, by partition and offset."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=16 << 20,
        )
        await consumer.start()
        try:
            tps = [TopicPartition(topic, p) for p in range(partitions)]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            # A commit is answered before its markers are written, so what was committed may not be readable yet.
            written = {tp: await self.end(topic, tp.partition) for tp in tps}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MARKERS):  # a transaction that stays open keeps its end
                    while any(ends[tp] < written[tp] for tp in tps):
                        await asyncio.sleep(0.02)
                        ends = await consumer.end_offsets(tps)
            lines: list[Line] = []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    lines += [
                        Line(r.partition, r.offset, r.key or b"", r.value or b"", r.timestamp, dict(r.headers))
                        for r in records
                    ]
            return sorted(lines)
        finally:
            await consumer.stop()

    async def entries(self) -> list[dict[str, Any]]:
        """The committed entries."""
        return [json.loads(line.value) for line in await self.read(self.names.entries, self.partitions)]

    async def end(self, topic: str, partition: int = 0) -> int:
        """Next offset of a partition, open transactions included."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            tp = TopicPartition(topic, partition)
            return int((await consumer.end_offsets([tp]))[tp])
        finally:
            await consumer.stop()


class Child:
    """A process that hosts the counting processor."""

    def __init__(self, log: Log, data: Path, ordinal: int) -> None:
        given = {
            "kafka": log.kafka,
            "names": list(log.names),
            "data": str(data),
            "ordinal": ordinal,
            "epoch": log.epoch,
            "partitions": log.partitions,
        }
        data.mkdir(parents=True, exist_ok=True)
        self._said = data / f"said-{ordinal}-{secrets.token_hex(2)}"
        self.log = self._said.with_suffix(".log")
        with self._said.open("wb") as out, self.log.open("wb") as errors:
            self.process: Popen[bytes] = spawn([sys.executable, str(TOY), json.dumps(given)], stdout=out, stderr=errors)

    def says(self) -> dict[str, Any]:
        """What it said last."""
        lines = self._said.read_bytes().split(b"\n")
        last: dict[str, Any] = json.loads(lines[-2]) if len(lines) > 1 else {"reasons": ["silent"], "shards": []}
        return last

    def ready(self, shards: list[int]) -> Callable[[], bool]:
        def check() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            return bool(self.says() == {"reasons": [], "shards": shards})

        return check

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy", TOY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def log_of() -> Callable[[str, int], Awaitable[Log]]:
    """``await log_of(kafka, partitions)``: topics of one's own on a broker."""

    async def make(kafka: str, partitions: int) -> Log:
        log = Log(kafka, partitions)
        await log.create()
        return log

    return make


@pytest.fixture
def new_log(kafka: str, log_of: Callable[[str, int], Awaitable[Log]]) -> Callable[..., Awaitable[Log]]:
    """``await new_log(partitions=1)``: topics of one's own on the shared broker."""

    async def make(partitions: int = 1) -> Log:
        return await log_of(kafka, partitions)

    return make


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """``child(log, ordinal=0)``: a host in a process of its own, gone after the test."""
    children: list[Child] = []

    def make(log: Log, ordinal: int = 0, data: Path | None = None) -> Child:
        children.append(Child(log, data or tmp_path / "data", ordinal))
        return children[-1]

    yield make
    for one in children:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
async def hosted(toy: ModuleType) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """``await hosted(log, store)``: a host in this process; (host, stop) with an awaitable stop."""
    stops: list[Callable[[], Awaitable[None]]] = []

    async def make(log: Log, store: Callable[[int], Any], **changes: Any) -> Any:
        from streams.appends import Appender
        from streams.host import ShardHost
        from streams.reply_sender import ReplySender

        reply_sender, appender = (
            ReplySender(log.kafka, log.names.replies),
            Appender(log.kafka, append_timeout=5000, topic=log.names.raw),
        )
        await reply_sender.start()
        await appender.start()
        config = toy.config(log.kafka, log.names, log.epoch, log.partitions, appender, reply_sender)._replace(**changes)
        host, stopping = ShardHost(config, "toy-0", store), asyncio.Event()
        running = asyncio.create_task(host.run(stopping))

        async def stop() -> None:
            if not stopping.is_set():
                stopping.set()
                await running
                await appender.stop()
                await reply_sender.stop()

        stops.append(stop)
        return host, stop

    yield make
    for stop in stops:
        await stop()
