"""A small HTTP/1.1 load generator: keep-alive connections, prepared requests, latencies.

It is our own because its cost is part of every figure: a general client spends more on a request
than the gateway does. Use it against 127.0.0.1 only.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit


class LoadResponse(NamedTuple):
    """One finished request. Times are seconds of the monotonic clock."""

    status: int
    began: float
    took: float
    body: bytes


class LoadConnection(asyncio.Protocol):
    """Keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiter is None:
            return
        head = self._buffer[:end].lower()
        mark = head.find(b"content-length:")
        length = int(head[mark + 15 :].split(b"\r\n", 1)[0]) if mark >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        status, body = int(self._buffer[9:12]), self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        if not self._waiter.done():
            self._waiter.set_result((status, body))

    async def ask(self, request: bytes) -> LoadResponse:
        """Send one request and wait for its answer. Raises OSError if the connection breaks."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(request)
        status, body = await self._waiter
        return LoadResponse(status, began, time.perf_counter() - began, body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def request(url: str, key: str, body: bytes, headers: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of one POST."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def connect(url: str) -> LoadConnection:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(LoadConnection, parts.hostname, parts.port)
    return connection


async def closed_loop(url: str, requests: Iterator[bytes], connections: int) -> list[LoadResponse]:
    """Send requests until none are left; each connection sends the next one when its last is answered."""
    answers: list[LoadResponse] = []

    async def worker() -> None:
        connection = await connect(url)
        for message in requests:
            answers.append(await connection.ask(message))
        connection.close()

    await asyncio.gather(*(worker() for _ in range(connections)))
    return answers


async def open_loop(url: str, make: Callable[[int], bytes], rate: float, seconds: float) -> list[LoadResponse]:
    """Send ``rate`` requests a second on a fixed schedule.

    A late answer does not delay the next request. Latency counts from the time the request was due.
    """
    loop = asyncio.get_running_loop()
    idle: list[LoadConnection] = []
    answers: list[LoadResponse] = []

    async def one(number: int, due: float) -> None:
        connection = idle.pop() if idle else await connect(url)
        answer = await connection.ask(make(number))
        idle.append(connection)
        answers.append(answer._replace(began=due, took=time.perf_counter() - due))

    start, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        delay = due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(loop.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return answers


def quantile(values: list[float], q: float) -> float:
    """Return the q-quantile (0 to 1) by the nearest-rank rule."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
