"""The notifier is killed and stopped again and again, before receivers that fail at random: every
event reaches every endpoint, under one delivery id, or is visibly dead."""

import asyncio
import contextlib
import os
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.running_stack import RunningStack, wait_until
from schemas.deliveries import delivery_id
from tests.crash.faults import Faults
from tests.crash.receiver import Receiver

pytestmark = pytest.mark.crash

FAULTS = int(os.environ.get("TORTURE_WEBHOOK_FAULTS", "100"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))
CUSTOMERS, ENDPOINTS = 3, 2
SETTLE = 240.0
"""Seconds that everything may take to arrive after the last fault."""


class Sender:
    """One customer's agent: meters until told to stop, and keeps the event ids of its prices."""

    def __init__(self, session: aiohttp.ClientSession, url: str, customer: str, key: str) -> None:
        self._session, self._url, self._customer = session, url, customer
        self._headers = {"Authorization": f"Bearer {key}"}
        self.events: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await self._until_priced({"agent_id": "a", "action": "chat", "idempotency_key": f"k{number}"})
            await asyncio.sleep(0.02)

    async def _until_priced(self, body: dict[str, Any]) -> None:
        while True:
            try:
                async with self._session.post(self._url + "/v1/meter", json=body, headers=self._headers) as answer:
                    told = await answer.json()
                    if answer.status == 201:
                        self.events[body["idempotency_key"]] = told["event_id"]
                        return
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass  # the gateway or the broker is away: the key makes the repeat safe
            await asyncio.sleep(0.1)


async def endpoints(running: RunningStack, receiver: Receiver, keys: dict[str, str]) -> dict[str, tuple[str, int]]:
    """Endpoint's name at the receiver -> customer and webhook id."""
    made = {}
    for customer, key in keys.items():
        for number in range(ENDPOINTS):
            name = f"{customer}-{number}"
            body = {"url": f"http://127.0.0.1:{receiver.port}/{name}", "events": ["meter.created"]}
            status, told = await asyncio.to_thread(running.call, "POST", "/v1/webhooks", body, key)
            assert status == 201, told
            receiver.secrets[name] = told["secret"]
            made[name] = (customer, told["id"])
    return made


async def dead(
    running: RunningStack, webhooks: dict[str, tuple[str, int]], keys: dict[str, str]
) -> set[tuple[str, str]]:
    """(endpoint, event) of every delivery that /deliveries shows as dead or dropped."""
    found = set()
    for name, (customer, id) in webhooks.items():
        cursor = ""
        while True:
            path = f"/v1/webhooks/{id}/deliveries?limit=1000" + (f"&cursor={cursor}" if cursor else "")
            status, told = await asyncio.to_thread(running.call, "GET", path, None, keys[customer])
            assert status == 200, told
            found |= {(name, one["event_id"]) for one in told["deliveries"] if one["outcome"] in ("dead", "dropped")}
            cursor = told["next_cursor"]
            if not cursor:
                break
    return found


async def torment(running: RunningStack) -> None:
    receiver = Receiver(SEED, failing=0.15)
    await receiver.start()
    keys = {f"hooked-{n}": await asyncio.to_thread(running.make_key, f"hooked-{n}") for n in range(CUSTOMERS)}
    webhooks = await endpoints(running, receiver, keys)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        stop = asyncio.Event()
        senders = {c: Sender(session, running.http, c, key) for c, key in keys.items()}
        tasks = [asyncio.create_task(sender.run(stop)) for sender in senders.values()]
        rng = random.Random(SEED)
        faults = Faults(running, rng, lambda: sum(len(sender.events) for sender in senders.values()))
        for number in range(FAULTS):
            await faults.one(rng.choice(["kill", "kill", "stop"]), "kafka" if number % 12 == 11 else "notifier")
            await asyncio.sleep(rng.uniform(0.1, 1.0))
        stop.set()
        await asyncio.gather(*tasks)
    wanted = {
        (name, f"evt_{event}")
        for name, (customer, _) in webhooks.items()
        for event in senders[customer].events.values()
    }
    taken = receiver.box.taken
    with contextlib.suppress(TimeoutError):
        await asyncio.to_thread(wait_until, lambda: wanted <= taken.keys(), "everything is taken", SETTLE, 0.2)
    given_up = await dead(running, webhooks, keys) if wanted - taken.keys() else set()
    missing = wanted - taken.keys() - given_up
    ids = {name: id for name, (_, id) in webhooks.items()}
    again = sum(count - 1 for count in taken.values())
    print(f"\n  faults: {dict(faults.done)}")
    print(
        f"  {len(wanted)} deliveries wanted, {len(wanted & taken.keys())} taken, {len(given_up & wanted)} visibly dead"
    )
    failed = sum(receiver.box.failed.values())
    print(f"  {receiver.box.requests} requests, {failed} failed on purpose, {again} taken again")
    assert not missing, f"{len(missing)} deliveries are neither taken nor visibly dead: {sorted(missing)[:5]}"
    assert receiver.box.unsigned == []
    for (name, event), seen in receiver.box.ids.items():
        assert seen == {delivery_id(event, ids[name])}, "every try carries the same X-Rev-Delivery"
    await receiver.stop()


def test_every_event_reaches_every_endpoint_whatever_dies(tmp_path: Path) -> None:
    """kill -9 and SIGSTOP of the notifier, and some of Kafka, under load."""
    running = RunningStack(tmp_path / "data", {"REV_WEBHOOK_ALLOW_PRIVATE": "1"})
    try:
        running.wait_ready()
        asyncio.run(torment(running))
    finally:
        assert running.stop() == 0, "rev up stops cleanly after all of it"
