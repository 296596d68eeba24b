"""Bad input against a running stack: each a clear 4xx, and nothing of it in the log."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import CONFIG_KEY, RAW
from tests.unit.ingest.bad_input import ADMINS, BATCH, BATCHES, CREDENTIALS, EVENTS, GOOD, Bad, clocked, event
from tests.unit.ingest.bad_outcomes import OUTCOMES, timed
from tests.unit.ingest.malformed_http import MALFORMED, cut_off, exchange

pytestmark = pytest.mark.integration

PRICED = event(action="completion", tokens=2400, outcome="success")
SLACK = 600_000
"""Ms within which all rows are sent."""


class Shop(NamedTuple):
    """A customer of its own with a key."""

    id: str
    key_id: int
    key: str


@pytest.fixture
async def shop(client: Any) -> Shop:
    """A customer whom nobody else meters for."""
    id = f"contract-{uuid4().hex[:12]}"
    return Shop(id, *await client.make_key(id))


class Log:
    """rev.raw from where it ended when the test began."""

    def __init__(self, consumer: AIOKafkaConsumer, start: dict[TopicPartition, int]) -> None:
        self._consumer = consumer
        self._start = start

    async def keys(self) -> list[bytes]:
        """The key of every record since."""
        ends = await self._consumer.end_offsets(list(self._start))
        found: list[bytes] = []
        for partition, start in self._start.items():
            self._consumer.seek(partition, start)
        left = {partition: end for partition, end in ends.items() if end > self._start[partition]}
        while left:
            for partition, records in (await self._consumer.getmany(*left, timeout_ms=1000)).items():
                found += [record.key for record in records if record.offset < ends[partition]]
                if records[-1].offset + 1 >= ends[partition]:
                    del left[partition]
        return found


@pytest.fixture
async def log(stack: dict[str, Any], shop: Shop) -> AsyncIterator[Log]:
    """The log after the customer was made."""
    consumer = AIOKafkaConsumer(RAW, bootstrap_servers=stack["kafka"], enable_auto_commit=False)
    await consumer.start()
    try:
        yield Log(consumer, await consumer.end_offsets(consumer.assignment()))
    finally:
        await consumer.stop()


@pytest.fixture
async def untouched(client: Any, shop: Shop, log: Log, eventually: Any) -> AsyncIterator[None]:
    """After the test: nothing was appended for the customer nor for the configuration, nothing
    was answered with 5xx, and one good event is priced, logged and in the ledger, alone."""
    before = await client.faults()
    yield
    assert await client.faults() == before
    ours = {shop.id.encode(), CONFIG_KEY}
    assert ours.isdisjoint(await log.keys())
    answer = await client.call("POST", "/v1/meter", PRICED, shop.key)
    assert answer.status == 201 and str(answer.json["price"]["total_cents"]) == "1.47"
    assert (await log.keys()).count(shop.id.encode()) == 1

    async def seen() -> bool:
        usage = await client.call("GET", "/v1/usage?period=24h", None, shop.key)
        return bool(usage.json["summary"]["total_events"])

    await eventually(seen)
    usage = (await client.call("GET", "/v1/usage?period=24h", None, shop.key)).json["summary"]
    assert (usage["total_events"], str(usage["total_cents"])) == (1, "1.47")


@pytest.mark.usefixtures("untouched")
async def test_every_bad_event_and_batch_is_refused_and_named(client: Any, shop: Shop) -> None:
    """Each row: its status, the words that name what is wrong, and the one shape of refusals."""
    wrong = []
    now = time.time_ns() // 1_000_000
    for bad in [*EVENTS, *clocked(now, SLACK), *BATCHES, *OUTCOMES, *timed(now, SLACK)]:
        headers = dict(bad.headers)
        answer = await client.call(headers.pop("method", "POST"), bad.path, bad.body, shop.key, **headers)
        if not _is_refused(answer, bad):
            wrong.append((bad.name, answer))
    assert not wrong


def _is_refused(answer: Any, bad: Bad) -> bool:
    if answer.status != bad.status or answer.headers["Content-Type"] != "application/json":
        return False
    body = answer.json
    return bad.says in body["error"] and bool(body["code"]) and body["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.usefixtures("untouched")
async def test_every_bad_administration_is_refused_and_named(client: Any) -> None:
    """Each row is a 400; no key, price or customer comes of it."""
    wrong = []
    for bad in ADMINS:
        answer = await client.call(bad.method, bad.path, bad.body, client.admin_token)
        if answer.status != 400 or bad.says not in answer.json["error"]:
            wrong.append((bad, answer))
    assert not wrong


@pytest.mark.usefixtures("untouched")
async def test_bodies_without_end_are_413(client: Any, shop: Shop) -> None:
    """In chunks that never end, and announced by a Content-Length that never comes."""
    head = f"POST {BATCH} HTTP/1.1\r\nHost: rev\r\nAuthorization: Bearer {shop.key}\r\n".encode()
    announced = await exchange(*client.address, head + b"Content-Length: 9000000000000\r\n\r\n{")
    assert (announced.status, announced.json["code"]) == (413, "too_large")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    many = itertools.repeat(chunk, (8 << 20) // 0x10000 + 2)
    endless = await exchange(*client.address, head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(many))
    assert (endless.status, endless.json["code"]) == (413, "too_large")


@pytest.mark.usefixtures("untouched")
async def test_what_is_no_http_is_a_400_and_what_is_cut_off_leaves_nothing(client: Any, shop: Shop) -> None:
    """The one shape for a request line, header, length or chunk that is none; a caller that goes
    away in the middle of a body that would be a good event so far."""
    for name, sent in MALFORMED.items():
        answer = await exchange(*client.address, sent)
        assert (answer.status, answer.json["code"]) == (400, "invalid_request"), name
    head = f"POST /v1/meter HTTP/1.1\r\nHost: rev\r\nAuthorization: Bearer {shop.key}\r\n".encode()
    body = b'{"agent_id":"a","action":"chat"}'
    await cut_off(*client.address, head + b"Content-Length: 33\r\n\r\n" + body)
    await cut_off(*client.address, head + b"Transfer-Encoding: chunked\r\n\r\n20\r\n" + body + b"\r\n")
    await asyncio.gather(*(exchange(*client.address, head + b"Content-Length: 2\r\n\r\n{}") for _ in range(8)))


@pytest.mark.usefixtures("untouched")
async def test_wrong_absent_and_revoked_keys_are_401_before_anything_else(client: Any, shop: Shop) -> None:
    """Even with a body, a type and a parameter that are wrong too; in every room of the gateway."""
    for header in CREDENTIALS:
        answer = await client.call("POST", "/v1/meter?x=1", b"{", None, Authorization=header, Content_Type="text/plain")
        assert (answer.status, answer.json["code"]) == (401, "unauthorized"), header
    for method, path in _guarded():
        assert (await client.call(method, path, GOOD)).status == 401, path
        assert (await client.call(method, path, GOOD, "rg_" + "0" * 40)).status == 401, path
        other = shop.key if path.startswith("/api/") else client.admin_token
        assert (await client.call(method, path, GOOD, other)).status == 401, path


def _guarded() -> Iterator[tuple[str, str]]:
    for path in ("/v1/events", "/v1/events/1", "/v1/usage", "/v1/pricing", "/v1/outcomes", "/v1/outcomes/t"):
        yield "GET", path
    for path in ("/v1/meter", "/v1/meter/batch", "/api/admin/api-keys", "/api/admin/pricing"):
        yield "POST", path
    for path in ("/v1/outcomes", "/v1/outcomes/t/resolve", "/api/admin/events/1/void", "/api/admin/outcomes/oc_1/void"):
        yield "POST", path
    for path in ("/api/admin/api-keys", "/api/admin/pricing", "/api/admin/customers", "/api/admin/audit"):
        yield "GET", path
    yield from [("DELETE", "/api/admin/api-keys/1"), ("DELETE", "/api/admin/pricing/1")]
    yield "PATCH", "/api/admin/customers/a"


async def test_a_revoked_key_is_401_from_the_answer_on(client: Any, shop: Shop) -> None:
    """The other key of the same customer goes on."""
    id, secret = await client.make_key(shop.id)
    assert (await client.call("DELETE", f"/api/admin/api-keys/{id}", None, client.admin_token)).status == 200
    for method, path in [("POST", "/v1/meter"), ("GET", "/v1/usage"), ("GET", "/v1/pricing")]:
        assert (await client.call(method, path, GOOD, secret)).status == 401
    assert (await client.call("POST", "/v1/meter", GOOD, shop.key)).status == 201


async def test_another_customers_id_and_events_are_out_of_reach(client: Any, shop: Shop, eventually: Any) -> None:
    """403 for the id in every place that takes one, 404 for the event, an empty list and no usage."""
    stranger = f"stranger-{uuid4().hex[:12]}"
    _, key = await client.make_key(stranger)
    made = (await client.call("POST", "/v1/meter", PRICED, shop.key)).json["event_id"]

    async def seen() -> bool:
        return bool((await client.call("GET", f"/v1/events/{made}", None, shop.key)).status == 200)

    await eventually(seen)
    assert (await client.call("GET", f"/v1/events/{made}", None, key)).status == 404
    assert (await client.call("GET", "/v1/events", None, key)).json["events"] == []
    assert (await client.call("GET", "/v1/usage", None, key)).json["summary"]["total_events"] == 0
    for path in ("/v1/events", f"/v1/events/{made}", "/v1/usage", "/v1/pricing"):
        assert (await client.call("GET", f"{path}?customer_id={shop.id}", None, key)).status == 403, path
    for path, body in [("/v1/meter", event(customer_id=shop.id)), (BATCH, {"events": [GOOD], "customer_id": shop.id})]:
        assert (await client.call("POST", path, body, key)).status == 403
