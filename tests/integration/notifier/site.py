"""A log on a real broker, written to as the pricer does, and notifiers over it."""

import asyncio
import base64
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy import bootstrap
from deploy.children import spawn
from notifier.service import Notifier
from notifier.testing import MemorySender
from schemas import config
from schemas.config import Webhook
from schemas.deliveries import Attempt, Gap, decode_attempt, decode_gap
from schemas.secrets import Box, new_secret
from schemas.settings import Settings, read
from schemas.topics import BACKLOGS, CONFIG, CONFIG_KEY, DELIVERIES, ENTRIES, RAW, partition_of
from tests.unit.notifier.world import configured, metered

KEY = bytes(range(32))
CHILD = Path(__file__).with_name("child.py")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Site:
    """Topics of a new log, one producer that writes entries in transactions, and readers."""

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
        self._raw = 0
        self._at = 0
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
        self._at = max(self._at + 1, now_ms())
        return self._at

    async def hook(self, id: int, customer: str, url: str, **changes: object) -> Webhook:
        """Create or change an endpoint, as the configuration shard would."""
        sealed = Box(KEY).encrypt(new_secret(os.urandom), os.urandom)
        known = self.hooks.get(id) or Webhook(id, customer, url, ["*"], sealed, self.time())
        self.hooks[id] = msgspec.structs.replace(known, **changes)
        await self._send(CONFIG, 0, [(config.webhook_key(id), config.encode(self.hooks[id]))])
        return self.hooks[id]

    async def unhook(self, id: int) -> None:
        await self._send(CONFIG, 0, [(config.webhook_key(id), None)])

    async def meter(self, customer: str, records: int = 1, each: int = 1) -> list[str]:
        """Records of charged events in one transaction; the ids of their events."""
        partition = partition_of(customer.encode(), self.partitions)
        made, ids = [], []
        for _ in range(records):
            made.append((customer.encode(), metered(customer, self._raw, self.time(), each)))
            ids += [f"evt_{self._raw << 16 | partition << 10 | place}" for place in range(each)]
            self._raw += 1
        await self._send(ENTRIES, partition, made)
        return ids

    async def configure(self, type: str, detail: bytes, partition: int | None = None) -> None:
        at = partition_of(CONFIG_KEY, self.partitions) if partition is None else partition
        self._raw += 1
        await self._send(ENTRIES, at, [(CONFIG_KEY, configured(self._raw, self.time(), type, detail))])

    async def _send(self, topic: str, partition: int, pairs: list[tuple[bytes, bytes | None]]) -> None:
        async with self._producer.transaction():
            for key, value in pairs:
                future = await self._producer.send(
                    topic, value, key, partition=partition, timestamp_ms=self._at or self.time()
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

    async def left(self) -> dict[bytes, bytes]:
        """What rev.backlogs holds beside the positions."""
        found: dict[bytes, bytes] = {}
        for key, value in await self.read(BACKLOGS):
            if value is None:
                found.pop(key, None)
            elif not key.startswith(b"position"):
                found[key] = value
        return found

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
        return not self.notifier.troubles()

    def received(self, url: str | None = None) -> Counter[str]:
        """How often each event was sent (to one URL)."""
        return Counter(d.event_id for d in self.sender.sent if url in (None, d.url))

    async def stop(self) -> None:
        self.notifier.stop()
        await self._task

    async def abandon(self) -> None:
        """As a crash would: nothing is written down any more."""
        self._task.cancel()
        await asyncio.wait([self._task])


class Child:
    """A notifier in a process of its own."""

    def __init__(self, site: Site, log: Path, ordinal: int = 0) -> None:
        environment = {**site.environment, "REV_ORDINAL": str(ordinal)}
        with log.open("ab") as errors:
            self.process: subprocess.Popen[bytes] = spawn([sys.executable, str(CHILD)], env=environment, stderr=errors)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
