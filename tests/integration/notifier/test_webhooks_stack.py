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

import aiohttp
import pytest

from bench.running_stack import RunningStack
from deploy.children import spawn
from notifier.endpoint_queue import RETRIES
from schemas.deliveries import delivery_id
from schemas.signing import verify, verify_body
from tests.freezing import frozen
from tests.integration.notifier.site import Receiver

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
BACKLOG = 50


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A `rev up` that may send to this machine, and gives an endpoint up that is BACKLOG records behind."""
    settings = {"REV_WEBHOOK_ALLOW_PRIVATE": "1", "REV_WEBHOOK_BACKLOG": str(BACKLOG)}
    running = RunningStack(tmp_path_factory.mktemp("webhooks") / "data", settings)
    try:
        running.wait_ready(240)
        yield running
    finally:
        running.stop()


async def call(product: RunningStack, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
    """The decoded body of a request that must succeed."""
    status, answer = await asyncio.to_thread(product.call, method, path, body, key)
    assert status < 300, answer
    return answer


async def endpoint(product: RunningStack, customer: str, url: str) -> tuple[str, dict[str, Any]]:
    """A key of the customer, and its endpoint for everything."""
    key = await asyncio.to_thread(product.make_key, customer)
    return key, await call(product, "POST", "/v1/webhooks", {"url": url, "events": ["*"]}, key)


def types(receiver: Receiver) -> list[str]:
    return [request.headers["X-Rev-Event"] for request in receiver.requests]


async def test_what_happens_is_told_signed(product: RunningStack, receiver: Receiver, eventually: Eventually) -> None:
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


async def test_a_rotation_signs_with_both(product: RunningStack, receiver: Receiver, eventually: Eventually) -> None:
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
    product: RunningStack, receiver: Receiver, eventually: Eventually
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
    product: RunningStack, receiver: Receiver, eventually: Eventually
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
        if round % 2 == 0:
            with frozen(pid):
                await asyncio.to_thread(product.call, "GET", "/v1/webhooks", None, key)
        else:
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(product.wait_pid, "notifier", pid)
    await eventually(lambda: set(receiver.accepted()) >= set(ids), 120)
    delivery: dict[str, set[str]] = {}
    for event, id, _ in receiver.got:
        delivery.setdefault(event, set()).add(id)
    assert all(len(found) == 1 for found in delivery.values())


async def listed(product: RunningStack, hook: int, key: str) -> list[dict[str, Any]]:
    """All that GET /deliveries has of an endpoint."""
    found: list[dict[str, Any]] = []
    path = f"/v1/webhooks/{hook}/deliveries?limit=1000"
    answer = await call(product, "GET", path, key=key)
    while answer["next_cursor"]:
        found += answer["deliveries"]
        answer = await call(product, "GET", f"{path}&cursor={answer['next_cursor']}", key=key)
    return found + answer["deliveries"]


async def metric(product: RunningStack, name: str) -> float:
    """Of the notifier."""
    url = f"{product.run['addresses']['notifier']}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((name + " ", name + "{")))


async def test_an_outage_over_the_limit_is_a_gap_that_can_be_replayed(
    product: RunningStack, receiver: Receiver, eventually: Eventually
) -> None:
    """A receiver that is away while more comes in than may wait: inactive with the reason, and everything
    that was not sent is a listed attempt or lies in the listed gap. Activated, and replayed since the
    gap's time, the gap is delivered; since the outage, all of it; each under one X-Rev-Delivery."""
    key, hook = await endpoint(product, "outage", receiver.url)
    one = f"/v1/webhooks/{hook['id']}"
    gaps, disabled = (
        await metric(product, "rev_notifier_gaps_total"),
        await metric(product, "rev_notifier_disabled_total"),
    )
    await receiver.stop()
    # what fails is kept for retries first, RETRIES of them
    batch = {"events": [{"agent_id": "a", "action": "chat"}] * 20}
    ids: list[str] = []
    for _ in range(RETRIES // 20 + BACKLOG + 20):
        answer = await call(product, "POST", "/v1/meter/batch", batch, key)
        ids += [f"evt_{result['event_id']}" for result in answer["results"]]
    first = (await call(product, "GET", f"/v1/events/{ids[0].removeprefix('evt_')}", key=key))["created_at"]

    async def given_up() -> bool:
        found = await call(product, "GET", one, key=key)
        return found["active"] is False and f"more than {BACKLOG} records" in (found["disabled"] or "")

    await eventually(given_up, 90)

    async def gap_listed() -> bool:
        return any(delivery["outcome"] == "gap" for delivery in await listed(product, hook["id"], key))

    await eventually(gap_listed, 60)
    seen = await listed(product, hook["id"], key)
    # one for each shard in which something waited
    holes = [delivery for delivery in seen if delivery["outcome"] == "gap"]
    missed = set(ids) - {delivery["event_id"] for delivery in seen}
    assert len(missed) > BACKLOG and any(f"more than {BACKLOG} records" in gap["error"] for gap in holes)
    assert await metric(product, "rev_notifier_gaps_total") > gaps
    assert await metric(product, "rev_notifier_disabled_total") > disabled

    await receiver.start()
    await call(product, "PATCH", one, {"active": True}, key)
    await call(product, "POST", one + "/replay", {"since": min(gap["since"] for gap in holes)}, key)
    await eventually(lambda: set(receiver.accepted()) >= missed, 90)
    await call(product, "POST", one + "/replay", {"since": first}, key)
    await eventually(lambda: set(receiver.accepted()) >= set(ids), 90)
    number = int(hook["id"])
    assert {(event, delivery) for event, delivery, _ in receiver.got if event in set(ids)} == {
        (event, delivery_id(event, number)) for event in ids
    }
    tried = {(delivery["event_id"], delivery["delivery_id"]) for delivery in seen if delivery["event_id"] in set(ids)}
    assert tried == {(event, delivery_id(event, number)) for event in set(ids) - missed}


async def test_deleted_means_silence(product: RunningStack, receiver: Receiver, eventually: Eventually) -> None:
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

    def __init__(self, product: RunningStack, key: str, output: Path) -> None:
        self._output = output
        command = [sys.executable, "-m", "tools.cli", "webhooks", "listen", "--url", product.http, "--key", key]
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


async def test_listening_in_a_terminal(product: RunningStack, tmp_path: Path, eventually: Eventually) -> None:
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


def test_the_secret_key_is_the_owners_alone(product: RunningStack) -> None:
    """DIR/secret.key is readable by its owner only."""
    path = Path(product.data) / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
