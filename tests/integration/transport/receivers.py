"""Receivers that behave as they like, in this process, on a free port of the loopback address."""

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from notifier.sender import WebhookRequest, WebhookResponse
from notifier.transport.http_sender import HttpSender, system_tls
from schemas.deliveries import delivery_id
from schemas.secrets import new_secret

SECRET = new_secret(lambda length: bytes(range(length)))
BODY = b'{"id":"evt_42","type":"meter.created","created_at":"2026-04-28T12:00:00.000Z","data":{"event_id":42}}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Behaviour = Callable[["Wire"], Awaitable[None]]


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


class Wire:
    """One accepted connection, as the receiver's behaviour sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self) -> Request:
        """The next one. Raises IncompleteReadError when there is none."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in rest)}
        assert len(headers) == len(rest), "no header stands twice"
        return Request(line, headers, await self.reader.readexactly(int(headers["content-length"])))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_closed(self) -> None:
        """Until the sender has closed or reset the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            return

    def reset(self) -> None:
        """Close with a RST."""
        self.writer.transport.abort()


class Receiver:
    """A listening socket: ``port``, how many connections it took, and the requests it was sent."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self.port = 0
        self.connections = 0
        self.requests: list[Request] = []
        self.names: list[str | None] = []
        """What SNI asked for, by connection (TLS only)."""
        self.ended: list[asyncio.Future[None]] = []
        """By connection: done when the behaviour has come to its end."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        end = asyncio.get_running_loop().create_future()
        self.ended.append(end)
        try:
            await self._behave(Wire(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the sender has gone
        finally:
            writer.close()
            if not end.done():
                end.set_result(None)

    async def all_ended(self) -> None:
        """Until the sender has let go of every connection."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self.ended)


@asynccontextmanager
async def receiving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver until the end of the block."""
    receiver = Receiver(behave)
    if tls is not None:
        tls.sni_callback = lambda _, name, __: receiver.names.append(name)
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.all_ended()


@asynccontextmanager
async def answering(answer: bytes = OK, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that gives every request the same answer and keeps the connection."""
    taken: list[Request] = []

    async def behave(wire: Wire) -> None:
        while True:
            taken.append(await wire.request())
            await wire.send(answer)

    async with receiving(behave, tls) as receiver:
        receiver.requests = taken
        yield receiver


def behaving(*steps: bytes) -> Behaviour:
    """Take one request, send the steps, and then wait until the sender closes."""

    async def behave(wire: Wire) -> None:
        await wire.request()
        for step in steps:
            await wire.send(step)
        await wire.until_closed()

    return behave


def delivery(url: str, *secrets: str, body: bytes = BODY, at: int = 1_790_000_000) -> WebhookRequest:
    return WebhookRequest(url, "evt_42", "meter.created", delivery_id("evt_42", 7), body, secrets or (SECRET,), at)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The system's store takes a while to read; here it is read once."""
    return system_tls()


@asynccontextmanager
async def sending(
    *,
    allow_private: bool = True,
    deadline_s: float = 10.0,
    tls: ssl.SSLContext | None = None,
    lookup: Callable[[str], Awaitable[list[str]]] | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[HttpSender]:
    """The real sender, closed at the end, with nothing left open."""
    more = {} if clock is None else {"clock": clock}
    tls = tls or _tls()
    sender = HttpSender(allow_private=allow_private, deadline_s=deadline_s, tls=tls, lookup=lookup, **more)
    try:
        yield sender
    finally:
        await sender.close()


async def answer_of(behave: Behaviour, deadline_s: float = 10.0) -> WebhookResponse:
    """What the sender makes of one delivery to such a receiver, which must have seen the
    connection end before this returns."""
    async with receiving(behave) as receiver, sending(deadline_s=deadline_s) as sender:
        answer = await sender.send(delivery(f"http://127.0.0.1:{receiver.port}/hook"))
        await receiver.all_ended()
        return answer
