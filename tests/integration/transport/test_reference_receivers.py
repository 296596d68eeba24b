"""The receivers of the reference document, in real Flask and real Express, verify what the
transport sends, and keep working through a rotation.

`examples/` holds their text; the text dump of the reference had joined their lines, which are given
back. The only substitution is ADDED; what the examples leave out (the framework's own set-up,
and listening) stands around them here.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import standardwebhooks
import svix.webhooks

from notifier.retry_policy import decide_retry
from schemas.limits import DAY
from schemas.secrets import new_secret
from tests.integration.transport.receivers import BODY, answering, delivery, sending

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parent / "examples"
ADDED = "import os\n"
EXPRESS = "express@4.22.3"
OLD, NEW = (new_secret(lambda length, byte=byte: bytes([byte]) * length) for byte in (1, 2))

FLASK_AROUND = """
from werkzeug.serving import make_server
server = make_server('127.0.0.1', 0, app)
print(server.server_port, flush=True)
server.serve_forever()
"""
EXPRESS_BEFORE = "const express = require('express'); const app = express();\n"
EXPRESS_AFTER = """
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""

Running = Callable[[str], AbstractAsyncContextManager[str]]
"""A receiver that holds this secret: the URL of its endpoint, while it runs."""


@asynccontextmanager
async def running(command: list[str], secret: str, **env: str) -> AsyncIterator[str]:
    """Starts a receiver; it says its port in its first line."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "REVGRID_WEBHOOK_SECRET": secret, **env},
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/webhooks/revgrid"
    finally:
        process.kill()
        await process.communicate()


@pytest.fixture(scope="session")
def express(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A node_modules with Express, from npm, for this run only."""
    where = tmp_path_factory.mktemp("express")
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("not run: node is absent")
    install = [
        npm,
        "install",
        "--prefix",
        str(where),
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        EXPRESS,
    ]
    done = subprocess.run(install, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        pytest.skip("not run: npm cannot install Express")
    yield where / "node_modules"
    shutil.rmtree(where)


@pytest.fixture(params=["flask", "express"])
def receiver(request: pytest.FixtureRequest) -> Running:
    example = (EXAMPLES / f"{request.param}_receiver.txt").read_text()
    if request.param == "flask":
        command = [sys.executable, "-c", ADDED + example + FLASK_AROUND]
        return lambda secret: running(command, secret)
    modules: Path = request.getfixturevalue("express")
    command = ["node", "-e", EXPRESS_BEFORE + example + EXPRESS_AFTER]
    return lambda secret: running(command, secret, NODE_PATH=str(modules))


async def test_the_receiver_of_the_reference_verifies_a_delivery(receiver: Running) -> None:
    """Ours is received, whatever letters are in it; one that another secret signed is a 401."""
    async with receiver(NEW) as url, sending() as sender:
        answer = await sender.send(delivery(url, NEW))
        assert (answer.status, answer.error) == (200, None)
        assert b"".join(answer.body.split()) == b'{"received":true}'
        forged = await sender.send(delivery(url, OLD))
        assert forged.status == 401 and b"Invalid signature" in forged.body
        unicode = await sender.send(delivery(url, NEW, body=BODY.replace(b":42", b":" + '"Zoë ☃ 𝄞"'.encode())))
        assert unicode.status == 200


async def test_the_receiver_of_the_reference_keeps_working_through_a_rotation(receiver: Running) -> None:
    """It knows one secret. Until it is given the new one its 401 is tried again, under the same
    X-Rev-Delivery, and then received: nothing is lost."""
    rotated_at = 1_790_000_000_000
    async with sending() as sender:
        async with receiver(OLD) as url:
            assert (await sender.send(delivery(url, OLD))).status == 200
            during = await sender.send(delivery(url, NEW, OLD))
            assert during.status == 401
            assert decide_retry(1, during, rotated_at + DAY - 1, 0.0, rotated_at).outcome == "retry"
            assert decide_retry(1, during, rotated_at + DAY, 0.0, rotated_at).outcome == "dead"
        async with receiver(NEW) as url:
            assert (await sender.send(delivery(url, NEW, OLD))).status == 200
            assert (await sender.send(delivery(url, NEW))).status == 200


@pytest.mark.parametrize("known", [OLD, NEW])
async def test_published_verifiers_accept_what_arrives_through_a_rotation(known: str) -> None:
    """standardwebhooks and svix, with either secret, on the headers and bytes as they came over
    the wire: a receiver that uses them never refuses anything while it changes its secret."""
    async with answering() as receiver, sending() as sender:
        await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/", NEW, OLD, at=int(time.time())))
    [request] = receiver.requests
    assert standardwebhooks.Webhook(known).verify(request.body, request.headers)["id"] == "evt_42"
    svix.webhooks.Webhook(known).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        svix.webhooks.Webhook(known).verify(request.body + b" ", request.headers)
