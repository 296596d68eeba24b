"""Webhooks through a whole `rev up`: made over HTTP, received over HTTP, verified, shown."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.running import Running
from deploy.children import spawn
from schemas.signing import verify, verify_body
from tests.integration.notifier.site import Receiver

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A `rev up` that may send to this machine."""
    running = Running(tmp_path_factory.mktemp("webhooks") / "data", {"REV_WEBHOOK_ALLOW_PRIVATE": "1"})
    try:
        running.wait_ready(240)
        yield running
    finally:
        running.stop()


async def call(product: Running, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
    """The decoded body of a request that must succeed."""
    status, answer = await asyncio.to_thread(product.call, method, path, body, key)
    assert status < 300, answer
    return answer


async def endpoint(product: Running, customer: str, url: str) -> tuple[str, dict[str, Any]]:
    """A key of the customer, and its endpoint for everything."""
    key = await asyncio.to_thread(product.make_key, customer)
    return key, await call(product, "POST", "/v1/webhooks", {"url": url, "events": ["*"]}, key)


def types(receiver: Receiver) -> list[str]:
    return [request.headers["X-Rev-Event"] for request in receiver.requests]


async def test_what_happens_is_told_signed(product: Running, receiver: Receiver, eventually: Eventually) -> None:
    """Metered, priced, registered and resolved, a key made and revoked: each arrives and verifies."""
    key, hook = await endpoint(product, "told", receiver.url)
    event = {"agent_id": "a", "action": "chat", "tokens": 1000}
    metered = await call(product, "POST", "/v1/meter", event, key)
    task = {"task_id": "t-1", "agent_id": "a", "price_on_success": 4900, "expires_at": "2090-01-01T00:00:00Z"}
    await call(product, "POST", "/v1/outcomes", task, key)
    await call(product, "POST", "/v1/outcomes/t-1/resolve", {"success": True}, key)
    made = await call(product, "POST", "/api/admin/api-keys", {"customer_id": "told"})
    await call(product, "DELETE", f"/api/admin/api-keys/{made['id']}")
    await call(product, "POST", f"/v1/webhooks/{hook['id']}/test", {}, key)
    wanted = {"meter.created", "outcome.succeeded", "key.created", "key.revoked", "webhook.test"}
    await eventually(lambda: wanted <= set(types(receiver)), 60)
    for request in receiver.requests:
        verify([hook["secret"]], request.headers, request.body, time.time())
        verify_body([hook["secret"]], request.body, request.headers["X-Rev-Signature"])
    told = next(request.json for request in receiver.requests if request.json["type"] == "meter.created")
    assert told["data"]["event_id"] == metered["event_id"]
    assert told["data"]["price"] == metered["price"]
    assert told["id"] == f"evt_{metered['event_id']}"
    assert all("api_key" not in request.json["data"] for request in receiver.requests), "a key is never told"

    async def shown() -> bool:
        found = await call(product, "GET", f"/v1/webhooks/{hook['id']}/deliveries", key=key)
        return {one["event_id"] for one in found["deliveries"] if one["outcome"] == "delivered"} >= {told["id"]}

    await eventually(shown, 60)


async def test_a_rotation_signs_with_both(product: Running, receiver: Receiver, eventually: Eventually) -> None:
    """For a day the old secret still verifies; the new one does at once."""
    key, hook = await endpoint(product, "rotating", receiver.url)
    fresh = await call(product, "POST", f"/v1/webhooks/{hook['id']}/rotate", {}, key)
    await call(product, "POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key)
    await eventually(lambda: "meter.created" in types(receiver), 60)
    request = receiver.requests[-1]
    for secret in (hook["secret"], fresh["secret"]):
        verify([secret], request.headers, request.body, time.time())
    verify_body([fresh["secret"]], request.body, request.headers["X-Rev-Signature"])


async def test_gone_disables_and_the_others_are_told(
    product: Running, receiver: Receiver, eventually: Eventually
) -> None:
    """410: inactive with the reason; the owner's other endpoint hears webhook.disabled."""
    gone = Receiver()
    await gone.start()
    try:
        gone.status = 410
        key, hook = await endpoint(product, "leaving", gone.url)
        await call(product, "POST", "/v1/webhooks", {"url": receiver.url, "events": ["webhook.disabled"]}, key)
        await call(product, "POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key)
        await eventually(lambda: types(receiver) == ["webhook.disabled"], 60)
        found = await call(product, "GET", f"/v1/webhooks/{hook['id']}", key=key)
        assert found["active"] is False and "410" in found["disabled"]
        assert receiver.requests[0].json["data"]["id"] == hook["id"]
    finally:
        await gone.stop()


async def test_killed_and_frozen_notifiers_lose_nothing(
    product: Running, receiver: Receiver, eventually: Eventually
) -> None:
    """kill -9 and SIGSTOP while events come in and the receiver fails at times: each event is received,
    and a repeat carries the same X-Rev-Delivery."""
    key, _ = await endpoint(product, "tormented", receiver.url)
    receiver.fail_every = 7
    ids = []
    for round in range(4):
        pid = product.wait_pid("notifier")
        for _ in range(5):
            batch = {"events": [{"agent_id": "a", "action": "chat", "tokens": n} for n in range(10)]}
            answer = await call(product, "POST", "/v1/meter/batch", batch, key)
            ids += [f"evt_{one['event_id']}" for one in answer["results"]]
        os.kill(pid, signal.SIGKILL if round % 2 else signal.SIGSTOP)
        if round % 2 == 0:
            await asyncio.to_thread(product.call, "GET", "/v1/webhooks", None, key)
            os.kill(pid, signal.SIGCONT)
        else:
            await asyncio.to_thread(product.wait_pid, "notifier", pid)
    await eventually(lambda: set(receiver.accepted()) >= set(ids), 120)
    delivery: dict[str, set[str]] = {}
    for event, id, _ in receiver.got:
        delivery.setdefault(event, set()).add(id)
    assert all(len(found) == 1 for found in delivery.values())


async def test_deleted_means_silence(product: Running, receiver: Receiver, eventually: Eventually) -> None:
    """After the deletion was answered nothing that comes in is sent there; another endpoint has it."""
    key, hook = await endpoint(product, "deleting", receiver.url)
    other = Receiver()
    await other.start()
    try:
        await call(product, "DELETE", f"/v1/webhooks/{hook['id']}", key=key)
        await call(product, "POST", "/v1/webhooks", {"url": other.url, "events": ["meter.created"]}, key)
        for _ in range(3):
            await call(product, "POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key)
        await eventually(lambda: len(other.requests) == 3, 60)
        assert "meter.created" not in types(receiver)
    finally:
        await other.stop()


class Listening:
    """`rev webhooks listen` as a process of its own."""

    def __init__(self, product: Running, key: str, output: Path) -> None:
        self._output = output
        command = [sys.executable, "-m", "deploy.cli", "webhooks", "listen", "--url", product.http, "--key", key]
        with output.open("wb") as written:
            self.process: subprocess.Popen[bytes] = spawn(command, stdout=written, stderr=written)

    @property
    def lines(self) -> list[str]:
        return self._output.read_text().splitlines()

    def shows(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


async def test_listening_in_a_terminal(product: Running, tmp_path: Path, eventually: Eventually) -> None:
    """`rev webhooks listen` shows a metered event, verified, in one line with its price; Ctrl-C takes its
    endpoint away and ends it well."""
    key = await asyncio.to_thread(product.make_key, "developer")
    listening = Listening(product, key, tmp_path / "listen.log")
    try:
        await eventually(lambda: listening.shows("listening at http://127.0.0.1:"), 60)
        (hook,) = (await call(product, "GET", "/v1/webhooks", key=key))["webhooks"]
        assert listening.shows(f"as webhook {hook['id']} of developer")
        metered = await call(product, "POST", "/v1/meter", {"agent_id": "copilot", "action": "chat"}, key)
        line = f"meter.created  evt_{metered['event_id']}  copilot  chat  {metered['price']['total_cents']} cents"
        await eventually(lambda: listening.shows(line), 60)
        assert listening.interrupt() == 0
    finally:
        listening.kill()
    assert (await call(product, "GET", "/v1/webhooks", key=key))["webhooks"] == []
    assert len(listening.lines) == 2, listening.lines


def test_the_secret_key_is_the_owners_alone(product: Running) -> None:
    """DIR/secret.key is readable by its owner only."""
    path = Path(product.data) / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
