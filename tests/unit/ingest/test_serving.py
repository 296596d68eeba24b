"""What is refused before a handler is found: the shape of refusals stays."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from ingest.middleware import error_middleware
from ingest.request_body import body_of
from ingest.serving import GatewayRunner
from tests.unit.ingest.malformed_http import BODY, MALFORMED, cut_off, exchange


def at(gateway: Any) -> tuple[str, int]:
    address = urlsplit(gateway.url)
    return address.hostname or "", address.port or 0


async def figure(gateway: Any, name: str) -> float:
    """The sum of a metric over its labels."""
    text = (await gateway.call("GET", "/metrics")).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_http_is_a_400_in_the_one_shape(gateway: Any, name: str) -> None:
    """JSON with a code and a request id; it is counted, and the connection ends."""
    before = await figure(gateway, "rev_ingest_malformed_total")
    answer = await exchange(*at(gateway), MALFORMED[name])
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json["code"] == "invalid_request" and answer.json["error"].startswith("the request is not valid HTTP")
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert await figure(gateway, "rev_ingest_malformed_total") == before + 1


@pytest.mark.parametrize("more", [b"zz\r\n", b"5\r\n{"], ids=["broken", "absent"])
async def test_a_body_that_never_ends_is_a_400_in_time(more: bytes) -> None:
    """A chunk that breaks while a handler reads, and one that does not come: nobody waits for ever."""

    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await body_of(request, 1000, within=0.1))

    app = web.Application(middlewares=[error_middleware])
    app.router.add_post("/", read)
    runner = GatewayRunner(app, 0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        head = b"POST / HTTP/1.1\r\nHost: rev\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
        answer = await exchange("127.0.0.1", runner.addresses[0][1], head, more)
    finally:
        await runner.cleanup()
    assert answer.status == 400 and "did not arrive within 0.1 s" in answer.json["error"]


async def test_an_unknown_expectation_is_refused_in_the_one_shape(gateway: Any) -> None:
    """Expect is answered outside of the handlers, and as they would."""
    sent = b"POST /v1/meter HTTP/1.1\r\nHost: rev\r\nExpect: zzz\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    answer = await exchange(*at(gateway), sent + BODY)
    assert answer.status == 417 and "Expect" in answer.json["error"] and answer.json["request_id"]


@pytest.mark.parametrize("path", ["/v1/meter", "/v1/meter/batch"])
@pytest.mark.parametrize("good", [True, False])
async def test_the_busiest_routes_answer_alike_with_and_without_the_application(
    gateway: Any, key: str, path: str, good: bool
) -> None:
    """A target with a query takes the long way: same status, headers and fields, same labels of the metric."""
    event = {"agent_id": "a", "action": "chat", "tokens": 5 if good else -5}
    body = {"events": [event]} if path.endswith("batch") else event
    counted = (
        rf'rev_ingest_request_seconds_count\{{method="POST",route="{path}",status="{201 if good else 400}"\}} (\S+)'
    )

    async def count() -> float:
        return sum(map(float, re.findall(counted, (await gateway.call("GET", "/metrics")).text)))

    before, seen = await count(), []
    for target in (path, f"{path}?customer_id=acme-corp"):
        answer = await gateway.call("POST", target, body, key, X_Request_Id="mine")
        assert answer.headers["X-Request-Id"] == "mine"
        seen.append((answer.status, list(answer.headers), list(answer.json)))
    assert seen[0] == seen[1] and seen[0][0] == (201 if good else 400)
    assert await count() == before + 2


@pytest.mark.parametrize("framing", [b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nff\r\n"])
async def test_a_body_that_is_cut_off_is_the_callers_fault(
    gateway: Any, key: str, framing: bytes, eventually: Any
) -> None:
    """Closing in the middle of a body appends nothing, and counts as a 400 instead of as a bug."""
    before = len(gateway.log.values())
    bugs = await figure(gateway, "rev_ingest_unexpected_errors_total")
    earlier = await refusals(gateway)
    head = f"POST /v1/meter HTTP/1.1\r\nHost: rev\r\nAuthorization: Bearer {key}\r\n".encode()
    await cut_off(*at(gateway), head + framing + b'{"agent')

    async def refused_once_more() -> bool:
        return await refusals(gateway) == earlier + 1

    await eventually(refused_once_more)
    assert await figure(gateway, "rev_ingest_unexpected_errors_total") == bugs
    assert len(gateway.log.values()) == before


async def refusals(gateway: Any) -> float:
    """400s of POST /v1/meter so far."""
    text = (await gateway.call("GET", "/metrics")).text
    label = r'rev_ingest_request_seconds_count\{method="POST",route="/v1/meter",status="400"\} (\S+)'
    return sum(map(float, re.findall(label, text)))
