"""notifier.transport against receivers that do harm: each delivery ends in time, within bounds,
as an Answer that says what happened, and its connection is gone."""

import asyncio
import gzip
import itertools
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.sender import ANSWER_BYTES, WebhookResponse
from notifier.transport.connector import MOST_READ
from tests.integration.transport.receivers import OK, Wire, answer_of, answering, behaving, delivery, receiving, sending

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
SHORT = 0.4
"""Seconds; a deadline that is to pass."""


async def test_one_that_never_answers_costs_the_deadline() -> None:
    """It takes the request and says nothing."""
    answer = await answer_of(behaving(), SHORT)
    assert answer.status is None and answer.error == "timeout"
    assert answer.latency_ms >= SHORT * 1000


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_one_that_never_reads_costs_the_deadline(eventually: Eventually) -> None:
    """A body larger than every buffer, to a receiver that takes none of it; the connection is
    dropped, not flushed."""

    async def behave(wire: Wire) -> None:
        wire.writer.transport.pause_reading()
        await let_go.wait()

    let_go = asyncio.Event()
    async with receiving(behave) as receiver, sending(deadline_s=SHORT) as sender:
        answer = await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/", body=b"x" * (16 << 20)))
        assert answer.error == "timeout"
        await eventually(lambda: sender.open_connections == 0)
        let_go.set()


async def test_one_that_does_not_accept_costs_the_deadline() -> None:
    """TLS is spoken to a receiver that never answers the handshake."""

    async def behave(wire: Wire) -> None:
        await wire.until_closed()

    async with receiving(behave) as receiver, sending(deadline_s=SHORT) as sender:
        answer = await sender.send(delivery(f"https://127.0.0.1:{receiver.port}/"))
        assert answer.error == "timeout"
        await receiver.all_ended()


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
async def test_one_that_drips_costs_the_deadline(before: bytes) -> None:
    """A byte whenever the last one has gone, in the head or in the body: the deadline covers all of it."""

    async def behave(wire: Wire) -> None:
        await wire.request()
        await wire.send(before)
        for at in itertools.count():
            await wire.send(b"HTTP/1.1 200 OK\r\nX: "[at : at + 1] if not before and at < 20 else b"y")
            await asyncio.wait([asyncio.ensure_future(wire.reader.read(1))], timeout=0.02)
            if wire.reader.at_eof():
                return

    answer = await answer_of(behave, SHORT)
    assert answer == WebhookResponse(None, "timeout", latency_ms=answer.latency_ms)


@pytest.mark.parametrize("head", [b"Content-Length: 1000000000\r\n", b"", b"Content-Length: 20000\r\n"])
async def test_an_endless_body_is_cut_off_and_the_status_counts(head: bytes) -> None:
    """Its first kilobyte is kept, its first 16 are read, the rest is not waited for."""

    async def behave(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 201 Created\r\n" + head + b"\r\n")
        while True:
            await wire.send(b"z" * 65536)

    answer = await answer_of(behave)
    assert answer == WebhookResponse(201, body=b"z" * ANSWER_BYTES, latency_ms=answer.latency_ms)


async def test_an_endless_chunked_body_is_cut_off() -> None:
    """Whatever its framing."""

    async def behave(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await wire.send(b"1000\r\n" + b"c" * 4096 + b"\r\n")

    answer = await answer_of(behave)
    assert (answer.status, answer.error, answer.body) == (500, None, b"c" * ANSWER_BYTES)


async def test_a_compressed_bomb_stays_compressed() -> None:
    """Nothing is inflated, nor was it asked for: what is kept is what came."""
    bomb = gzip.compress(bytes(4 << 20))
    assert ANSWER_BYTES < len(bomb) < MOST_READ
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with answering(head + bomb) as receiver, sending() as sender:
        answer = await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
        assert receiver.requests[0].headers["accept-encoding"] == "identity"
    assert (answer.status, answer.body) == (200, bomb[:ANSWER_BYTES])


@pytest.mark.parametrize(
    "before",
    [None, b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"],
    ids=["before the request", "after it", "in the head", "in the body"],
)
@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_one_that_hangs_up_gave_no_answer(before: bytes | None, how: str) -> None:
    """At whatever point; half an answer is none, and says so."""

    async def behave(wire: Wire) -> None:
        if before is not None:
            await wire.request()
            await wire.send(before)
        if how == "resets":
            wire.reset()

    answer = await answer_of(behave)
    assert answer.status is None
    assert answer.error in (
        "the connection was closed without a response",
        "the response was cut off",
        "the response is not HTTP",
        "connection reset",
    )


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/9.9 banana\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
        b"\r\n\r\n\r\n" * 100,
        bytes(range(256)) * 16,
    ],
)
async def test_garbage_is_no_answer(garbage: bytes) -> None:
    """Anything but HTTP ends as an Answer at once; nothing is guessed."""
    answer = await answer_of(behaving(garbage), deadline_s=1.0)
    assert answer.status is None and answer.error
    assert all(part not in answer.error for part in ("SSH", "mail", "banana", "not a number")), "nothing is repeated"


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"a" * 20_000,
        b"".join(b"X-%d: y\r\n" % number for number in range(2000)),
        b"Set-Cookie: " + b"a=b; " * 4000,
        b"a" * 20_000,
    ],
)
async def test_a_huge_head_is_refused(head: bytes) -> None:
    """No more of it is held than of any answer."""
    answer = await answer_of(behaving(b"HTTP/1.1 200 OK\r\n" + head))
    assert answer.status is None
    assert answer.error in ("the response headers are too long", "the response is not HTTP")


async def test_a_storm_of_interim_answers_ends() -> None:
    """100 Continue for ever is a head that is never over."""

    async def behave(wire: Wire) -> None:
        await wire.request()
        while True:
            await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    answer = await answer_of(behave)
    assert (answer.status, answer.error) == (None, "the response headers are too long")


async def test_a_few_interim_answers_do_no_harm() -> None:
    """103 Early Hints and the like come before the answer."""
    async with answering(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3 + OK) as receiver, sending() as sender:
        answer = await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/"))
    assert (answer.status, answer.body) == (200, b"ok")


async def test_a_change_of_protocol_is_no_success() -> None:
    """101 is a status like any other, and ends the connection."""
    answer = await answer_of(behaving(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"))
    assert (answer.status, answer.error, answer.body) == (101, None, b"")


FIELDS = (
    b"Content-Length: 5",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Encoding: br",
    b"Content-Type: a/b; charset=\xff",
    b"Connection: close",
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Set-Cookie: \xff=\x80;;;=",
    b"Location: //[::1",
    b"Retry-After: Mon, 21 Sep 2026 14:13:50 +9999",
    b"Retry-After: \xff",
    b": nameless",
    b" folded",
    b"X: \x00",
)
REST = (b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"x" * 20_000, OK)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from((b"100", b"101", b"103", b"200", b"204", b"205", b"302", b"304", b"500", b"600", b"20")),
    st.lists(st.sampled_from(FIELDS), max_size=4),
    st.lists(st.sampled_from(REST), max_size=3),
)
async def test_whatever_is_answered_is_an_answer(status: bytes, fields: list[bytes], rest: list[bytes]) -> None:
    """Any mixture of good and bad parts ends with a status or with a reason, and never with a bug."""
    head = b"\r\n".join((b"HTTP/1.1 %s X" % status, *fields, b"", b""))

    async def behave(wire: Wire) -> None:
        await wire.request()
        await wire.send(head + b"".join(rest))

    answer = await answer_of(behave)
    assert (answer.status is None) == (answer.error is not None)
    assert answer.error not in ("internal error", "the request failed", "timeout")
    assert len(answer.body) <= ANSWER_BYTES


async def test_an_answer_before_the_question_is_nobodys() -> None:
    """What arrives on a connection that waits for nothing ends it: the next delivery's answer is its own."""

    async def behave(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK)
        await told.wait()
        await wire.send(b"HTTP/1.1 299 Forged\r\nContent-Length: 0\r\n\r\n")
        await wire.until_closed()

    told = asyncio.Event()
    async with receiving(behave) as receiver, sending() as sender:
        url = f"http://127.0.0.1:{receiver.port}/"
        assert (await sender.send(delivery(url))).status == 200
        told.set()
        await receiver.ended[0]
        assert (await sender.send(delivery(url))).status == 200
        assert receiver.connections == 2


async def test_a_cancelled_delivery_leaves_nothing_behind(eventually: Eventually) -> None:
    """The one exception that comes out is CancelledError, and the connection is gone."""
    async with receiving(behaving()) as receiver, sending() as sender:
        task = asyncio.create_task(sender.send(delivery(f"http://127.0.0.1:{receiver.port}/")))
        await eventually(lambda: receiver.connections)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await receiver.all_ended()


async def test_black_holes_delay_nobody(eventually: Eventually) -> None:
    """While many deliveries hang, one to a healthy receiver is answered at once."""
    async with receiving(behaving()) as hole, answering() as healthy, sending() as sender:
        stuck = [
            asyncio.create_task(sender.send(delivery(f"http://127.0.0.1:{hole.port}/{number}")))
            for number in range(200)
        ]
        await eventually(lambda: hole.connections == 200)
        answer = await sender.send(delivery(f"http://127.0.0.1:{healthy.port}/"))
        assert answer.status == 200 and not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
