"""A gateway on a port of this process, before a log in memory that the real pricer decides."""

import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from ingest.app import application
from ingest.auth import hash_of
from ingest.command_log import CommandLog
from ingest.config_view import ConfigView
from ingest.context import Context
from ingest.disk_reserve import DiskReserve
from ingest.serving import GatewayRunner
from ingest.shedding import Shedder
from ingest.testing import FakeLog
from pricer.processor import Pricer
from schemas import commands, entries
from schemas.prices import DEFAULTS
from schemas.secrets import SecretBox
from schemas.settings import Settings, read
from schemas.topics import CONFIG_KEY, partition_of
from streams.log_ends import PartitionEnds
from warehouse.ledger_row import rows_of
from warehouse.memory import MemoryReads

ADMIN = "the-admin-token"
NOW = 1_777_204_800_000
"""2026-04-26T12:00:00.000Z"""


class Answer(NamedTuple):
    status: int
    headers: Any
    text: str

    @property
    def body(self) -> bytes:
        return self.text.encode(errors="surrogateescape")

    @property
    def json(self) -> Any:
        """The body with exact numbers."""
        return json.loads(self.text, parse_float=Decimal)


class Gateway:
    """What a test sees of a gateway: HTTP, and the log behind it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = NOW
        self.monotonic = 100.0
        self.free = 10**12
        view = ConfigView()
        self.log = FakeLog(Pricer(settings.partitions), view, settings.partitions, lambda: self.now)
        self.reserve = DiskReserve("data", 1 << 20, lambda path: _Disk(self.free, 1))
        self.shedder = Shedder(lambda: self.monotonic, self.log.replies.positions)
        self.submitter = CommandLog(settings, self.log, self.log.replies, self.shedder, self.reserve)
        self.ledger = MemoryReads()
        self._tokens = 0
        self.context = Context(
            settings=settings,
            appender=self.log,
            replies=self.log.replies,
            view=view,
            follower=self.log,
            submitter=self.submitter,
            reserve=self.reserve,
            clock=lambda: self.now,
            token=self._token,
            random_bytes=lambda size: bytes(range(size)),
            box=SecretBox(bytes(32)),
            clickhouse=self.ledger,
        )
        self.url = ""
        self.session: aiohttp.ClientSession | None = None

    def _token(self, size: int) -> str:
        self._tokens += 1
        return hash_of(f"token {self._tokens}")[: 2 * size]

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """One request; ``body``: bytes as they are, or a value made JSON."""
        text = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        data = None if text is None else io.BytesIO(text)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        assert self.session is not None
        skip = ("Content-Type",) if "Content-Type" not in sent else ()
        async with self.session.request(
            method, self.url + path, data=data, headers=sent, skip_auto_headers=skip
        ) as response:
            return Answer(response.status, response.headers, await response.text(errors="surrogateescape"))

    def settle(self) -> None:
        """The ledger in memory comes to hold everything that the pricer has decided."""
        rows, counts = [], [0] * self.settings.partitions
        for written in self.log.entries:
            record = entries.decode(written)
            partition = partition_of(record.customer_id.encode(), self.settings.partitions)
            rows += rows_of(record, partition, counts[partition])
            counts[partition] += 1
        self.ledger.rows = rows
        self.ledger.log = {shard: PartitionEnds(len(raw), counts[shard]) for shard, raw in enumerate(self.log.raw)}

    async def make_key(self, customer_id: str, **more: Any) -> str:
        """A new API key of a customer."""
        answer = await self.call("POST", "/api/admin/api-keys", {"customer_id": customer_id, **more}, ADMIN)
        assert answer.status == 201, answer.text
        made: str = answer.json["api_key"]
        return made


class _Disk(NamedTuple):
    f_bavail: int
    f_frsize: int


@pytest.fixture
def settings() -> Settings:
    env = {"REV_ADMIN_TOKEN": ADMIN, "REV_REPLY_TIMEOUT": "200ms", "REV_DATA": str(Path("data"))}
    return read(env)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway with the default prices."""
    made = Gateway(settings)
    await made.log.append(CONFIG_KEY, commands.encode(commands.Genesis("e", DEFAULTS)))
    runner = GatewayRunner(application(made.context, made.shedder), 0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        made.session = session
        yield made
    await runner.cleanup()


@pytest.fixture
async def key(gateway: Gateway) -> str:
    """An API key of acme-corp."""
    return await gateway.make_key("acme-corp", customer_name="Acme Corp")
