"""The gateway passes pages on to `rev web`: headers, bodies, streams; and says so when it is away."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from ingest.app import application
from ingest.serving import GatewayRunner
from ingest.web_proxy import WebProxy
from schemas.limits import MAX_BODY
from tests.unit.ingest.conftest import Gateway


class Pages:
    """A `rev web` that keeps what it is asked. /stream sends a piece each time ``go`` is released."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.go = asyncio.Semaphore(0)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        if request.path == "/broken":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.abort()
            return response
        if request.path != "/stream":
            cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
            headers = [*cookies, ("Connection", "X-Own"), ("X-Own", "1"), ("X-Kept", "2")]
            return web.Response(text="page", status=203, headers=CIMultiDict(headers))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(2):
            await self.go.acquire()
            await response.write(b"data: %d\n\n" % number)
        return response


class Passing:
    """A gateway before pages, and a client that takes answers as they are."""

    def __init__(self, pages: Pages, url: str, session: aiohttp.ClientSession) -> None:
        self.pages, self.url, self.session = pages, url, session

    async def get(self, path: str, **given: Any) -> aiohttp.ClientResponse:
        async with self.session.request(given.pop("method", "GET"), self.url + path, **given) as response:
            await response.read()
            return response


async def _start(runner: web.BaseRunner) -> str:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def passing(gateway: Gateway) -> AsyncIterator[Passing]:
    pages = Pages()
    app = web.Application(client_max_size=1 << 22)
    app.router.add_route("*", "/{path:.*}", pages.serve)
    behind = web.AppRunner(app, shutdown_timeout=0.1)
    proxy = WebProxy(await _start(behind))
    runner = GatewayRunner(application(gateway.context, gateway.shedder, proxy), 0.1)
    url = await _start(runner)
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Passing(pages, url, session)
    await runner.cleanup()
    await behind.cleanup()
    await proxy.close()


async def test_a_request_arrives_as_it_was_sent(passing: Passing) -> None:
    """Path and query byte for byte, Host kept, who asked in X-Forwarded-*, nothing of the connection."""
    sent = {
        "Host": "rev.example",
        "X-Forwarded-For": "1.2.3.4",
        "TE": "trailers",
        "Cookie": "c=3",
        "X-Request-Id": "r1",
    }
    answer = await passing.get("/a%2Fb/c?d=%20e&f=/", headers={**sent, "X-Request-Id": "r1"})
    (asked,) = passing.pages.asked
    assert asked.raw_path == "/a%2Fb/c?d=%20e&f=/"
    told = {name: asked.headers.get(name) for name in ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "TE", "Cookie")}
    assert told == {
        "Host": "rev.example",
        "X-Forwarded-For": "1.2.3.4, 127.0.0.1",
        "X-Forwarded-Proto": "http",
        "TE": None,
        "Cookie": "c=3",
    }
    assert (asked.headers["X-Request-Id"], asked.headers["X-Forwarded-Host"]) == ("r1", "rev.example")
    assert (answer.status, await answer.text()) == (203, "page")
    assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert "X-Own" not in answer.headers and answer.headers["X-Kept"] == "2"


async def test_a_form_is_passed_on_up_to_a_limit(passing: Passing) -> None:
    assert (await passing.get("/login", method="POST", data=b"a=1")).status == 203
    assert passing.pages.bodies == [b"a=1"]
    for body in (io.BytesIO(bytes(MAX_BODY + 1)), _pieces()):
        assert (await passing.get("/login", method="POST", data=body)).status == 413
    assert len(passing.pages.asked) == 1


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(5):
        yield bytes(MAX_BODY // 4)


async def test_a_stream_is_not_held_back(passing: Passing) -> None:
    """The first piece is here before the second is written."""
    async with passing.session.get(passing.url + "/stream") as response:
        for number in range(2):
            passing.pages.go.release()
            assert await response.content.readuntil(b"\n\n") == b"data: %d\n\n" % number


PASSED = ["/", "/dashboard", "/static/1/rev.css", "/api/dashboard/stats", "/v1x", "/apis", "/livezz"]
OWN = ["/v1/meter", "/v1", "/v1/none", "/api", "/api/admin/none", "/livez", "/metrics", "/openapi.json", "/%76%31/none"]


@pytest.mark.parametrize("path", PASSED)
async def test_what_is_not_the_gateways_is_passed_on(passing: Passing, path: str) -> None:
    assert (await passing.get(path)).status == 203


@pytest.mark.parametrize("path", OWN)
async def test_what_is_the_gateways_is_not(passing: Passing, path: str) -> None:
    assert (await passing.get(path)).status != 203
    assert (await passing.get(path, method="PUT")).status in (404, 405)
    assert passing.pages.asked == []


async def test_a_replay_is_passed_on_and_prices_are_not(passing: Passing) -> None:
    assert (await passing.get("/api/admin/pricing/replay", method="POST")).status == 203
    for path in ("/api/admin/pricing", "/api/admin/pricing/replay/1", "/api/admin/pricing/replayed"):
        assert (await passing.get(path, method="POST")).status != 203


async def test_a_path_cannot_name_another_host(passing: Passing) -> None:
    await passing.get("//evil.example/x")
    assert [(asked.host, asked.raw_path) for asked in passing.pages.asked] == [
        (passing.url.removeprefix("http://"), "//evil.example/x")
    ]


async def test_while_web_is_away_one_sentence_says_so(gateway: Gateway) -> None:
    """As a page that tries again by itself, or as JSON."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        proxy = WebProxy(f"http://127.0.0.1:{silent.getsockname()[1]}")
        runner = GatewayRunner(application(gateway.context, gateway.shedder, proxy), 0.1)
        address = await _start(runner)
        async with aiohttp.ClientSession() as session:
            async with session.get(address + "/dashboard", headers={"Accept": "text/html"}) as response:
                text = await response.text()
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
                assert "pages are away" in text and 'http-equiv="refresh"' in text
            async with session.get(address + "/api/dashboard/stats") as response:
                assert (response.status, (await response.json())["code"]) == (503, "pages_unavailable")
        await runner.cleanup()
        await proxy.close()


async def test_half_a_page_does_not_pass_for_a_whole_one(passing: Passing) -> None:
    """Pages that break off in the middle do so for the person, too, and the next one is served."""
    with pytest.raises(aiohttp.ClientPayloadError):
        await passing.get("/broken")
    assert (await passing.get("/dashboard")).status == 203
