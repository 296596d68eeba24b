"""A log on a real broker, written to as the pricer does, and notifiers over it."""

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy import bootstrap
from deploy.children import spawn
from notifier.service import Notifier
from notifier.testing import MemorySender
from schemas import config
from schemas.config import Webhook
from schemas.deliveries import Attempt, Gap, decode_attempt, decode_gap
from schemas.secrets import SecretBox, new_secret
from schemas.settings import Settings, read
from schemas.topics import BACKLOGS, CONFIG, CONFIG_KEY, DELIVERIES, ENTRIES, RAW, partition_of
from streams import clients
from tests.unit.notifier.world import configured, metered

KEY = bytes(range(32))
CHILD = Path(__file__).with_name("child.py")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Site:
    """Topics of a new log, one producer that writes entries in transactions, and readers."""

    last_hook = 0
    """Ids are never used twice, as in a real log."""
    last_raw = 0
    last_at = 0

    def __init__(self, kafka: str, partitions: int, data: Path, **more: str) -> None:
        self.environment = {
            "REV_KAFKA": kafka,
            "REV_PARTITIONS": str(partitions),
            "REV_SECRET_KEY": base64.b64encode(KEY).decode(),
            "REV_DATA": str(data),
            "REV_WEBHOOK_ALLOW_PRIVATE": "1",
            **more,
        }
        self.settings: Settings = read(self.environment)
        self.partitions = partitions
        self.hooks: dict[int, Webhook] = {}
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka, transactional_id=f"site-{secrets.token_hex(4)}", max_batch_size=1 << 20
        )

    async def __aenter__(self) -> "Site":
        await bootstrap.ensure(self.settings, "e1")
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    def time(self) -> int:
        """Accepted times never go back."""
        Site.last_at = max(Site.last_at + 1, now_ms())
        return Site.last_at

    def partition(self, customer: str) -> int:
        return partition_of(customer.encode(), self.partitions)

    def customer_in(self, partition: int, prefix: str) -> str:
        """A customer whose events are in this partition."""
        return next(name for n in range(1000) if self.partition(name := f"{prefix}-{n}") == partition)

    async def hook(self, customer: str, url: str, id: int | None = None, **changes: object) -> Webhook:
        """Create or change an endpoint, as the configuration shard would."""
        sealed = SecretBox(KEY).encrypt(new_secret(os.urandom), os.urandom)
        if id is None:
            id = Site.last_hook = Site.last_hook + 1
        known = self.hooks.get(id) or Webhook(id, customer, url, ["*"], sealed, self.time())
        self.hooks[id] = msgspec.structs.replace(known, **changes)
        await self._send(CONFIG, 0, [(config.webhook_key(id), config.encode(self.hooks[id]))])
        return self.hooks[id]

    async def unhook(self, id: int) -> None:
        await self._send(CONFIG, 0, [(config.webhook_key(id), None)])

    async def fence(self, customer: str) -> None:
        """Take the transactional id of the partition that holds the customer's events."""
        producer = clients.transactional_producer(self.settings.kafka, f"notifier-{self.partition(customer)}")
        await producer.start()
        await clients.discard_producer(producer)

    async def meter(self, customer: str, records: int = 1, each: int = 1) -> list[str]:
        """Records of charged events in one transaction; the ids of their events."""
        partition = partition_of(customer.encode(), self.partitions)
        made, ids = [], []
        for _ in range(records):
            made.append((customer.encode(), metered(customer, Site.last_raw, self.time(), each)))
            ids += [f"evt_{Site.last_raw << 16 | partition << 10 | event_index}" for event_index in range(each)]
            Site.last_raw += 1
        await self._send(ENTRIES, partition, made)
        return ids

    async def configure(self, type: str, detail: bytes, partition: int | None = None) -> None:
        at = partition_of(CONFIG_KEY, self.partitions) if partition is None else partition
        Site.last_raw += 1
        await self._send(ENTRIES, at, [(CONFIG_KEY, configured(Site.last_raw, self.time(), type, detail))])

    async def _send(self, topic: str, partition: int, pairs: list[tuple[bytes, bytes | None]]) -> None:
        async with self._producer.transaction():
            for key, value in pairs:
                future = await self._producer.send(
                    topic, value, key, partition=partition, timestamp_ms=Site.last_at or self.time()
                )
            await future

    async def read(self, topic: str) -> list[tuple[bytes, bytes | None]]:
        """Everything that was committed in a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka, isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        try:
            tps = [TopicPartition(topic, p) for p in await self._partitions_of(topic)]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            found = []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [(record.key, record.value) for record in records]
            return found
        finally:
            await consumer.stop()

    async def _partitions_of(self, topic: str) -> set[int]:
        found: set[int] = await self._producer.partitions_for(topic)
        return found

    async def deliveries(self) -> tuple[list[Attempt], list[Gap]]:
        values = [value for _, value in await self.read(DELIVERIES) if value is not None]
        gaps = [decode_gap(value) for value in values if b'"reason"' in value]
        return [decode_attempt(value) for value in values if b'"reason"' not in value], gaps

    async def left(self, customer: str) -> list[bytes]:
        """Keys that rev.backlogs holds for the customer's endpoints."""
        found: dict[bytes, bytes] = {}
        for key, value in await self.read(BACKLOGS):
            if value is None:
                found.pop(key, None)
            elif not key.startswith(b"position"):
                found[key] = value
        ours = {b"%d" % hook.id for hook in self.hooks.values() if hook.customer_id == customer}
        return [key for key in found if key.split(b"/")[1] in ours]

    async def commands(self) -> list[bytes]:
        return [value for key, value in await self.read(RAW) if key == CONFIG_KEY and value is not None]


class Running:
    """A notifier in this process, with a sender in memory."""

    def __init__(self, site: Site, sender: MemorySender | None = None, ordinal: int = 0) -> None:
        self.sender = sender or MemorySender()
        self.notifier = Notifier(site.settings._replace(ordinal=ordinal), lambda: self.sender)
        self._task = asyncio.create_task(self.notifier.run())

    def ready(self) -> bool:
        if self._task.done():
            self._task.result()
        return not self.notifier.not_ready_reasons()

    def received(self, url: str | None = None) -> Counter[str]:
        """How often each event was sent (to one URL)."""
        return Counter(d.event_id for d in self.sender.sent if url in (None, d.url))

    def partitions(self) -> set[int]:
        return set(self.notifier.partitions())

    async def stop(self) -> None:
        self.notifier.stop()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def cancel(self) -> None:
        """Its requests under way get no time."""
        self._task.cancel()
        await asyncio.wait([self._task])


class Request(NamedTuple):
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A real HTTP server that takes deliveries. ``got``: event, delivery and status of each request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.status = 200
        self.got: list[tuple[str, str, int]] = []
        self.fail_every = 0
        self._seen: set[str] = set()
        self.url = ""
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Also after a stop, at the same place."""
        app = web.Application()
        app.add_routes([web.post("/", self._take)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def accepted(self) -> Counter[str]:
        return Counter(event for event, _, status in self.got if status == 200)

    async def _take(self, request: web.Request) -> web.Response:
        self.requests.append(Request(dict(request.headers), await request.read()))
        # only at the first time: what fails again and again is tried again after minutes
        new = request.headers["webhook-id"] not in self._seen
        self._seen.add(request.headers["webhook-id"])
        status = 500 if new and self.fail_every and len(self._seen) % self.fail_every == 0 else self.status
        self.got.append((request.headers["webhook-id"], request.headers["X-Rev-Delivery"], status))
        return web.Response(status=status)


class Child:
    """A notifier in a process of its own."""

    def __init__(self, site: Site, log: Path, ordinal: int = 0) -> None:
        environment = {**site.environment, "REV_ORDINAL": str(ordinal)}
        with log.open("ab") as errors:
            self.process: subprocess.Popen[bytes] = spawn([sys.executable, str(CHILD)], env=environment, stderr=errors)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
