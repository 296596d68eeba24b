"""The gateway as a process before a real broker, with and without the real pricer."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from json import loads
from pathlib import Path
from socket import socket
from typing import Any

import aiohttp
import pytest

from deploy.bootstrap import ensure
from deploy.children import spawn
from schemas.settings import read

pytestmark = pytest.mark.integration

ADMIN = "the-admin-token"
EVENT = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success"}
RUN = "import os; from schemas.settings import read; from {service}.service import main; main(read(os.environ))"


def free_port() -> int:
    with socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def process(service: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A service as a child process, ended by SIGTERM."""
    child = spawn([sys.executable, "-c", RUN.format(service=service)], env={**os.environ, **env})
    try:
        yield child
    finally:
        child.terminate()
        child.wait(30)


@pytest.fixture
async def env(own_kafka: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the services of a log that is ready."""
    made = {
        "REV_KAFKA": own_kafka,
        "REV_DATA": str(tmp_path),
        "REV_ADMIN_TOKEN": ADMIN,
        "REV_HTTP_PORT": str(free_port()),
        "REV_CLICKHOUSE_URL": f"http://127.0.0.1:{free_port()}",
    }
    await ensure(read(made))
    return made


class Client:
    """Calls one gateway."""

    def __init__(self, session: aiohttp.ClientSession, port: str) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"

    async def call(self, method: str, path: str, body: Any = None, token: str = ADMIN, **headers: str) -> Any:
        """Status and body; 0 while nobody listens."""
        given = {"Authorization": f"Bearer {token}", **headers}
        try:
            async with self._session.request(method, self._url + path, json=body, headers=given) as response:
                return response.status, loads(await response.text(), parse_float=Decimal)
        except aiohttp.ClientConnectionError:
            return 0, None

    async def is_ready(self) -> bool:
        return bool((await self.call("GET", "/readyz"))[0] == 200)


@pytest.fixture
async def client(env: dict[str, str]) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, env["REV_HTTP_PORT"])


async def test_an_event_is_priced_through_the_log_and_a_killed_gateway_forgets_nothing(
    env: dict[str, str], client: Client, eventually: Any
) -> None:
    """Key, event, 1.47 cents; after kill -9 the same key works and the same event is a replay;
    without a pricer 202, and its price later; SIGTERM ends the process with 0."""
    with process("pricer", env):
        with process("ingest", env) as gateway:
            await eventually(client.is_ready, 60)

            async def keyed() -> bool:
                status, made = await client.call("POST", "/api/admin/api-keys", {"customer_id": "acme"})
                keys.append(made.get("api_key"))
                return bool(status == 201)

            keys: list[str] = []
            await eventually(keyed, 60)
            status, first = await client.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "k"}, keys[-1])
            assert (status, first["price"]["total_cents"]) == (201, Decimal("1.47"))
            gateway.send_signal(signal.SIGKILL)
            gateway.wait(30)
        with process("ingest", env):
            await eventually(client.is_ready, 60)
            again = await client.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "k"}, keys[-1])
            assert again == (201, first)
            price = {"action_type": "new", "base_rate_cents": 3}
            assert (await client.call("POST", "/api/admin/pricing", price))[0] == 201
            status, batch = await client.call("POST", "/v1/meter/batch", {"events": [EVENT, EVENT]}, keys[-1])
            assert (status, batch["total_cents"]) == (201, Decimal("2.94"))
    await without_a_pricer(env, client, keys[-1], eventually)


async def without_a_pricer(env: dict[str, str], client: Client, key: str, eventually: Any) -> None:
    """202, then priced once the pricer is there; a change of the configuration is 503 unknown."""
    with process("ingest", {**env, "REV_REPLY_TIMEOUT": "300ms"}) as gateway:
        await eventually(client.is_ready, 60)
        status, accepted = await client.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "later"}, key)
        assert (status, accepted["status"]) == (202, "accepted")
        status, refused = await client.call("POST", "/api/admin/api-keys", {"customer_id": "x"})
        assert (status, refused["code"]) == (503, "unknown")
        with process("pricer", env):

            async def priced() -> bool:
                status, answer = await client.call("POST", "/v1/meter", {**EVENT, "idempotency_key": "later"}, key)
                return bool(status == 201 and answer["event_id"] == accepted["event_id"])

            await eventually(priced, 60)
        gateway.terminate()
        assert await asyncio.to_thread(gateway.wait, 30) == 0


async def test_without_a_broker_the_gateway_serves_and_says_so(
    client: Client, env: dict[str, str], eventually: Any
) -> None:
    """/livez 200, /readyz 503 with reasons, a key 503 not_recorded, and SIGTERM still ends it."""
    with process("ingest", {**env, "REV_KAFKA": f"127.0.0.1:{free_port()}"}) as gateway:

        async def lives() -> bool:
            return bool((await client.call("GET", "/livez"))[0] == 200)

        await eventually(lives, 60)
        status, ready = await client.call("GET", "/readyz")
        assert status == 503 and any("kafka" in reason for reason in ready["reasons"])
        status, refused = await client.call("POST", "/v1/meter", EVENT, "rg_x")
        assert (status, refused["code"]) == (503, "not_recorded")
        gateway.terminate()
        assert await asyncio.to_thread(gateway.wait, 30) == 0
