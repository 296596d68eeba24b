"""notifier.transport: what exactly is sent, over which connections, and to whom it is not."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from notifier.sender import WebhookResponse
from notifier.transport.connector import IDLE_S, KEPT_PER_HOST, MOST_AGE_S, MOST_OPEN
from notifier.transport.http_sender import HttpSender
from schemas.signing import verify, verify_body
from tests.integration.transport.certificates import Authority
from tests.integration.transport.receivers import (
    BODY,
    OK,
    SECRET,
    Wire,
    answering,
    behaving,
    delivery,
    receiving,
    sending,
)

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_the_request_is_what_is_documented() -> None:
    """One POST, path and query to the letter, the body's bytes as they are, and these headers alone."""
    async with answering() as receiver, sending() as sender:
        sent = delivery(f"http://127.0.0.1:{receiver.port}//hooks/../a%20b?x=%41&y")
        answer = await sender.send(sent)
    assert answer == WebhookResponse(200, body=b"ok", latency_ms=answer.latency_ms)
    [request] = receiver.requests
    assert request.line == "POST //hooks/../a%20b?x=%41&y HTTP/1.1"
    assert request.body == BODY
    assert verify([SECRET], request.headers, request.body, 1_790_000_000) == ("evt_42", 1_790_000_000)
    verify_body([SECRET], request.body, request.headers["x-rev-signature"])
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Rev-Webhooks/1"
    assert request.headers["x-rev-event"] == "meter.created"
    assert request.headers["x-rev-delivery"] == sent.delivery_id
    assert set(request.headers) == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "x-rev-signature",
        "x-revgrid-signature",
        "x-rev-event",
        "x-rev-delivery",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 400, 401, 408, 410, 429, 500, 503])
async def test_every_status_is_an_answer_and_none_is_followed(status: int) -> None:
    """A redirect to a private address, or to any, is a status and nothing else."""
    async with answering() as inside:
        location = f"http://127.0.0.1:{inside.port}/latest/meta-data"
        head = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        async with answering(head.encode()) as receiver, sending() as sender:
            answer = await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
        assert (answer.status, answer.error, answer.retry_after_s) == (status, None, 7.0)
        assert not inside.connections


async def test_cookies_are_not_kept() -> None:
    """What one answer sets, no request carries."""
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with answering(head) as receiver, sending() as sender:
        for _ in range(2):
            await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
    assert len(receiver.requests) == 2 and all("cookie" not in one.headers for one in receiver.requests)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither HTTP_PROXY nor .netrc has a say in where deliveries go."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    async with answering() as proxy, answering() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NETRC", str(netrc))
        async with sending() as sender:
            assert (await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))).status == 200
        assert not proxy.connections and "authorization" not in receiver.requests[0].headers


async def test_connections_are_kept_a_few_and_for_a_short_while(eventually: Eventually) -> None:
    """One after the other share one; of many at once KEPT_PER_HOST stay; an old one is used for no
    further delivery (by the clock that is passed in)."""
    now = 0.0
    async with answering() as receiver, sending(clock=lambda: now) as sender:
        one = delivery(f"http://127.0.0.1:{receiver.port}/")
        for _ in range(5):
            await sender.send(one)
        assert receiver.connections == 1 == sender.open_connections
        now = MOST_AGE_S
        for _ in range(2):
            await sender.send(one)
        assert receiver.connections == 2
        await asyncio.gather(*(sender.send(one) for _ in range(3 * KEPT_PER_HOST)))
        await eventually(lambda: sender.open_connections == KEPT_PER_HOST)


async def test_no_connection_is_kept_while_too_many_are_open() -> None:
    """Over all hosts together."""
    async with answering() as first, answering() as second, sending() as sender:
        sender._connector.open += MOST_OPEN - 1  # as if so many others were open
        for receiver in (first, second):
            await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
        await second.all_ended()
        sender._connector.open -= MOST_OPEN - 1
        assert sender.open_connections == 1 and not first.ended[0].done()


async def test_an_idle_connection_is_closed(eventually: Eventually) -> None:
    """Nothing is kept for long for an endpoint that has nothing to be told."""
    async with answering() as receiver, sending() as sender:
        await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
        await eventually(lambda: sender.open_connections == 0, timeout=5 * IDLE_S)
        await receiver.all_ended()  # the other side hears of it a moment later


async def test_an_answer_that_says_close_is_not_waited_for() -> None:
    """Connection: close, and HTTP/1.0 with a body until the end, are whole answers."""
    for answer in (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ):

        async def behave(wire: Wire, answer: bytes = answer) -> None:
            await wire.request()
            await wire.send(answer)

        async with receiving(behave) as receiver, sending() as sender:
            found = await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
            await receiver.all_ended()
        assert (found.status, found.body) == (200, b"ok")


async def test_a_port_that_nobody_listens_on() -> None:
    """Is said as it is."""
    async with answering() as receiver:
        port = receiver.port
    async with sending() as sender:
        answer = await sender.send(delivery(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.error, answer.final) == (None, "connection refused", False)


async def test_tls_is_verified_and_asks_for_the_right_name(authority: Authority) -> None:
    """SNI is the URL's name, the certificate is checked against it, and Host says no default port."""

    async def lookup(name: str) -> list[str]:
        return ["127.0.0.1"]

    async with answering(tls=authority.server("hooks.example")) as receiver:
        async with sending(tls=authority.client(), lookup=lookup) as sender:
            right = await sender.send(delivery(f"https://hooks.example:{receiver.port}/"))
            wrong = await sender.send(delivery(f"https://other.example:{receiver.port}/"))
        assert receiver.names == ["hooks.example", "other.example"]
    assert right.status == 200
    assert (wrong.status, wrong.error) == (None, "tls: the certificate is for another name")
    assert len(receiver.requests) == 1, "nothing is said to whom is not who he says"


async def test_tls_to_an_address(authority: Authority) -> None:
    """A certificate for an address; no SNI, which is for names."""
    async with answering(tls=authority.server("127.0.0.1")) as receiver:
        async with sending(tls=authority.client()) as sender:
            assert (await sender.send(delivery(f"https://127.0.0.1:{receiver.port}/"))).status == 200
        assert receiver.names == [None]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("self-signed", "tls: self-signed certificate"),
        ("expired", "tls: certificate has expired"),
        ("not yet valid", "tls: certificate is not yet valid"),
        ("another name", "tls: the certificate is for another name"),
        ("unknown authority", "tls: unable to get local issuer certificate"),
    ],
)
async def test_a_bad_certificate_is_refused(authority: Authority, tmp_path: Path, kind: str, error: str) -> None:
    """Whatever is wrong with it, nothing is sent, and the owner reads what is wrong."""
    tls = {
        "self-signed": lambda: authority.server("127.0.0.1", self_signed=True),
        "expired": lambda: authority.server("127.0.0.1", days=(-9, -1)),
        "not yet valid": lambda: authority.server("127.0.0.1", days=(1, 9)),
        "another name": lambda: authority.server("10.9.8.7"),
        "unknown authority": lambda: Authority(tmp_path).server("127.0.0.1"),
    }[kind]()
    async with answering(tls=tls) as receiver, sending(tls=authority.client()) as sender:
        answer = await sender.send(delivery(f"https://127.0.0.1:{receiver.port}/"))
    assert (answer.status, answer.error) == (None, error)
    assert not receiver.requests


async def test_the_systems_store_does_not_know_a_test_authority(authority: Authority) -> None:
    """Without a context of its own the sender trusts the system's authorities alone."""
    async with answering(tls=authority.server("127.0.0.1")) as receiver:
        sender = HttpSender(allow_private=True)
        answer = await sender.send(delivery(f"https://127.0.0.1:{receiver.port}/"))
        await sender.close()
    assert answer.status is None and (answer.error or "").startswith("tls: ") and not receiver.requests


async def test_old_tls_and_no_tls_are_refused(authority: Authority) -> None:
    """TLS 1.1, and a plain receiver behind https."""
    old = authority.server("127.0.0.1")
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.minimum_version = ssl.TLSVersion.TLSv1
    async with answering(tls=old) as receiver, sending(tls=authority.client()) as sender:
        answer = await sender.send(delivery(f"https://127.0.0.1:{receiver.port}/"))
    assert answer.status is None and (answer.error or "").startswith(("tls: ", "connection "))

    async def plain(wire: Wire) -> None:
        await wire.reader.read(1)
        await wire.send(OK)

    async with receiving(plain) as receiver, sending(tls=authority.client()) as sender:
        answer = await sender.send(delivery(f"https://127.0.0.1:{receiver.port}/"))
    assert answer.status is None and (answer.error or "").startswith("tls: ")


async def test_a_closed_sender_answers(eventually: Eventually) -> None:
    """Requests under way when it is closed fail, and are Answers like any other."""
    async with receiving(behaving()) as receiver, sending() as sender:
        under_way = asyncio.create_task(sender.send(delivery(f"http://127.0.0.1:{receiver.port}/")))
        await eventually(lambda: receiver.connections)
        await sender.close()
        answer = await under_way
    assert answer.status is None and answer.error


async def test_a_bug_is_shown_without_any_secret() -> None:
    """What nobody thought of is an Answer too, and a line in the log with the delivery's id."""

    async def broken(name: str) -> list[str]:
        raise ZeroDivisionError(name)

    async with sending(lookup=broken) as sender:
        with structlog.testing.capture_logs() as logged:
            answer = await sender.send(delivery("https://a.example/"))
    assert (answer.status, answer.error) == (None, "internal error")
    [line] = logged
    assert line["delivery"] and line["error"] == "ZeroDivisionError" and "broken" in line["at"]
    assert SECRET[6:] not in repr(logged) and "exc_info" not in line
