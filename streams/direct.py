"""Direct TCP connections that carry replies from a shard's process to a gateway, bypassing Kafka.

A frame is a four-byte length and a value as in rev.replies. Like those, it is only a hint: what cannot be sent goes
through rev.replies.

The connecting side first sends the gateway's boot id. The id is random and appears only in the commands that the
gateway appends, so whoever knows it can read the log.
"""

import asyncio
import hmac
import socket
from collections.abc import Callable
from typing import cast

import structlog

from streams import metrics
from streams.clients import Clock

log = structlog.get_logger("streams.direct")

HEAD = 4
MAX_FRAME = 16 << 20
MAX_UNSENT = 4 << 20
"""Maximum bytes buffered for a gateway that does not read. Further replies go through Kafka."""
CONNECT = 1.0
RETRY = 1.0
"""Seconds before an unreachable gateway is tried again."""
SILENT = 2000
"""ms that sent data may stay unacknowledged before the connection is dropped."""


def frame(value: bytes) -> bytes:
    """Return a value as a frame."""
    return len(value).to_bytes(HEAD, "big") + value


class DirectServer:
    """The gateway's end. ``take`` is called with every value received."""

    def __init__(self, boot: str, take: Callable[[bytes], None]) -> None:
        self._boot, self._take = boot.encode(), take
        self._server: asyncio.Server | None = None
        self._open: set[_Incoming] = set()

    async def start(self, host: str) -> str:
        """Listen on a free port of a local address and return ``host:port``. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Incoming(self._boot, self._take, self._open), host, 0)
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for one in list(self._open):
            one.abort()
        await asyncio.sleep(0)  # let them close


class _Incoming(asyncio.Protocol):
    def __init__(self, boot: bytes, take: Callable[[bytes], None], others: "set[_Incoming]") -> None:
        self._boot, self._take, self._others = boot, take, others
        self._known = False
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        begin = 0
        while len(buffer) - begin >= HEAD:
            length = int.from_bytes(buffer[begin : begin + HEAD], "big")
            if length > (MAX_FRAME if self._known else len(self._boot)):
                log.warning("direct_refused", why="frame too long")
                self.abort()
                return
            end = begin + HEAD + length
            if len(buffer) < end:
                break
            value = bytes(buffer[begin + HEAD : end])
            begin = end
            if self._known:
                self._take(value)
            elif hmac.compare_digest(value, self._boot):
                self._known = True
            else:
                log.warning("direct_refused", why="another boot")
                self.abort()
                return
        del buffer[:begin]


class DirectConnections:
    """The connections of a shard's process to gateways, opened when first needed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._connections: dict[tuple[bytes, bytes], _Outgoing] = {}
        self._down: dict[tuple[bytes, bytes], float] = {}
        self._connecting: dict[tuple[bytes, bytes], asyncio.Task[None]] = {}

    def send(self, boot: bytes, address: bytes, value: bytes) -> bool:
        """Send a value. Return False if it was not sent and must go through Kafka."""
        connection = self._connections.get((boot, address))
        if connection is not None:
            return connection.send(value)
        self._connect((boot, address))
        return False

    async def stop(self) -> None:
        for task in self._connecting.values():
            task.cancel()
        for connection in list(self._connections.values()):
            connection.close()
        await asyncio.sleep(0)  # let them close

    def _connect(self, to: tuple[bytes, bytes]) -> None:
        if to in self._connecting or self._clock() < self._down.get(to, 0.0):
            return
        self._down = {other: until for other, until in self._down.items() if self._clock() < until}
        task = self._connecting[to] = asyncio.create_task(self._open(to))
        task.add_done_callback(lambda _: self._connecting.pop(to, None))

    async def _open(self, to: tuple[bytes, bytes]) -> None:
        boot, address = to
        host, _, port = address.decode("ascii", "replace").rpartition(":")
        try:
            async with asyncio.timeout(CONNECT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Outgoing(lambda: self._connections.pop(to, None)), host.strip("[]"), int(port)
                )
        except (OSError, TimeoutError, ValueError) as error:
            # Replies go through rev.replies until the next attempt.
            log.warning("direct_not_reached", address=address.decode("ascii", "replace"), error=repr(error))
            metrics.DIRECT_FAILURES.inc()
            self._down[to] = self._clock() + RETRY
            return
        connection.send(boot)
        self._connections[to] = connection


class _Outgoing(asyncio.Protocol):
    def __init__(self, lost: Callable[[], object]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()

    def send(self, value: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > MAX_UNSENT:
            return False
        transport.write(frame(value))
        return True

    def close(self) -> None:
        """Close after sending what is buffered."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
