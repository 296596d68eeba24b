"""Answers past Kafka: framing, who may connect, what cannot be sent, and gateways that come and go."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from schemas.replies import RefusedReply, ReplyRecord, encode
from streams import direct
from streams.direct import DirectConnections, DirectServer, frame
from streams.reply_receiver import ReplyReceiver
from streams.reply_sender import Progress, ReplyAddress, ReplySender, parse_reply_header

BOOT = "a1b2c3d4e5f60718"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if true():
                return
            await asyncio.sleep(0)


class Gateway:
    """A receiver and what it took."""

    def __init__(self, receiver: DirectServer, where: str, taken: list[bytes]) -> None:
        self.receiver, self.address, self.taken = receiver, where.encode(), taken
        self.port = int(where.rpartition(":")[2])


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    taken: list[bytes] = []
    receiver = DirectServer(BOOT, taken.append)
    yield Gateway(receiver, await receiver.start("127.0.0.1"), taken)
    await receiver.stop()


@pytest.fixture
async def connections() -> AsyncIterator[DirectConnections]:
    made = DirectConnections(asyncio.get_running_loop().time)
    yield made
    await made.stop()


async def test_values_arrive_whole_and_in_order(gateway: Gateway, connections: DirectConnections) -> None:
    """Of every size; the first one finds no connection yet and goes another way."""
    boot, values = BOOT.encode(), [b"x" * size for size in (0, 1, 3, 4, 5, 70_000, 300_000)]
    assert not connections.send(boot, gateway.address, b"first")
    await until(lambda: connections.send(boot, gateway.address, b"open"))
    for value in values:
        assert connections.send(boot, gateway.address, value)
    await until(lambda: gateway.taken[-1:] == values[-1:])
    assert gateway.taken == [b"open", *values]


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"another boot----"),
        frame(b""),
        frame(b"x" * 17),
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        frame(BOOT.encode()) + (direct.MAX_FRAME + 1).to_bytes(4, "big"),
        frame(BOOT.encode()[:-1]) + frame(b"value"),
    ],
)
async def test_strangers_are_shown_out(gateway: Gateway, sent: bytes) -> None:
    """Who does not know the boot id, or says too much, is closed and nothing is taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    assert gateway.taken == []
    writer.close()


async def test_frames_that_come_in_pieces(gateway: Gateway) -> None:
    """Byte by byte is the same as at once."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for byte in frame(BOOT.encode()) + frame(b"one") + frame(b"two"):
        writer.write(bytes([byte]))
        await writer.drain()
    await until(lambda: gateway.taken == [b"one", b"two"])
    writer.close()


@pytest.mark.integration  # it connects to a port where nobody listens
async def test_a_gateway_that_is_away_is_tried_again_later(
    connections: DirectConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at every answer; when it is there, answers go straight again."""
    now = [0.0]
    monkeypatch.setattr(connections, "_clock", lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    there, boot = f"127.0.0.1:{port}".encode(), BOOT.encode()
    assert not connections.send(boot, there, b"x")
    await until(lambda: not connections._connecting)
    for _ in range(100):
        assert not connections.send(boot, there, b"x") and not connections._connecting
    now[0] += direct.RETRY
    assert not connections.send(boot, there, b"x") and connections._connecting
    await until(lambda: not connections._connecting)


@pytest.mark.parametrize("where", [b"", b"nowhere", b":1", b"127.0.0.1:x", b"127.0.0.1:99999", b"\xff:1", b"::"])
async def test_addresses_that_are_none(connections: DirectConnections, where: bytes) -> None:
    """Whatever a header says, it is a failed connection and no crash."""
    assert not connections.send(b"boot", where, b"x")
    await until(lambda: not connections._connecting)
    assert not connections.send(b"boot", where, b"x")


async def test_a_gateway_that_ends(gateway: Gateway, connections: DirectConnections) -> None:
    """What is sent after its end goes another way."""
    boot = BOOT.encode()
    connections.send(boot, gateway.address, b"x")
    await until(lambda: connections.send(boot, gateway.address, b"open"))
    await until(lambda: gateway.taken == [b"open"])
    await gateway.receiver.stop()
    await until(lambda: not connections.send(boot, gateway.address, b"y"))
    assert gateway.taken == [b"open"]


async def test_a_gateway_that_does_not_read(connections: DirectConnections) -> None:
    """What it leaves unread has a bound, beyond which answers go another way."""
    stuck = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1)
    there = f"127.0.0.1:{server.sockets[0].getsockname()[1]}".encode()
    connections.send(b"boot", there, b"x")
    await until(lambda: connections.send(b"boot", there, b"x"))
    value, sent = b"x" * (1 << 20), 0
    while connections.send(b"boot", there, value):
        sent += 1
        assert sent < 64
    for one in connections._connections.values():
        one.abort()
    stuck.set()
    server.close()
    await server.wait_closed()


async def test_replies_take_answers_past_kafka() -> None:
    """A number is answered by whichever way comes first; another boot's connection is not taken."""
    replies, reply_sender = ReplyReceiver("nowhere", host="127.0.0.1"), ReplySender("nowhere", "rev.replies")
    replies._partition = 0
    replies._direct = ":" + await replies._receiver.start("127.0.0.1")
    expected = replies.expect()
    found = parse_reply_header(expected.header[1])
    assert found is not None
    to, n = found
    assert (to.boot, to.address[:10], n) == (replies.boot.encode(), b"127.0.0.1:", expected.n)
    while not expected.future.done():
        await reply_sender.send(3, Progress(17, 19), {to: [RefusedReply(400, "x", "y", n=n)]})
        await asyncio.sleep(0)
    assert (await expected.future).n == n
    assert (replies.positions, replies.decided) == ({3: 17}, {3: 19})
    await replies._receiver.stop()
    await reply_sender._connections.stop()


def test_addresses_in_headers() -> None:
    """Three parts as before, and one more that says where."""
    assert parse_reply_header(b"b:7:3") == (ReplyAddress(b"b", 3), 7)
    assert parse_reply_header(b"b:7:3:127.0.0.1:5000") == (ReplyAddress(b"b", 3, b"127.0.0.1:5000"), 7)
    assert parse_reply_header(b"b:7:3:[::1]:5000") == (ReplyAddress(b"b", 3, b"[::1]:5000"), 7)
    assert parse_reply_header(b"b:7:3:" + b"x" * 200) is None
    assert encode(ReplyRecord(1, 2)) == b'{"shard":1,"position":2}'
