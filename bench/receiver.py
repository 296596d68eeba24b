"""`python -m bench.receiver`: an HTTP server that receives webhooks as cheaply as possible.

The name's mode decides the answer to ``POST /<name>`` (200 at first). ``GET /stats/<name>`` returns how many
came and when. ``PUT /mode/<name>/<mode>`` sets the mode: ``200``, ``503`` or ``hole`` (never an answer).
Prints its port. Delays are ms from the event's created_at to its arrival.
"""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import cast

import uvloop

MARK = b'"created_at":"'


class Name:
    """Deliveries that came for one endpoint."""

    def __init__(self) -> None:
        self.mode = "200"
        self.requests = 0
        self.accepted = 0
        self.events: set[bytes] = set()
        self.first = self.last = 0.0
        self.delays: list[float] = []


class SeenNames:
    def __init__(self) -> None:
        self._names: dict[str, Name] = {}

    def of(self, path: str) -> Name:
        return self._names.setdefault(path.strip("/"), Name())

    def stats(self, path: str) -> bytes:
        found = self.of(path)
        said = {
            "requests": found.requests,
            "accepted": found.accepted,
            "events": len(found.events),
            "first": found.first,
            "last": found.last,
            "delays": found.delays,
        }
        return json.dumps(said).encode()


class ReceiverConnection(asyncio.Protocol):
    def __init__(self, names: SeenNames) -> None:
        self._names = names
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another type

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            mark = head.lower().find(b"content-length:")
            length = int(head[mark + 15 :].split(b"\r\n", 1)[0]) if mark >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self._request(method, path, body)

    def _request(self, method: str, path: str, body: bytes) -> None:
        if method == "POST":
            self._take(self._names.of(path), body)
        elif method == "PUT":
            _, _, name, mode = path.split("/")
            self._names.of(name).mode = mode
            self._answer(200, b"")
        else:
            self._answer(200, self._names.stats(path.removeprefix("/stats")))

    def _take(self, name: Name, body: bytes) -> None:
        now = time.time()
        name.requests += 1
        if name.mode == "hole":
            return
        if name.mode != "200":
            self._answer(int(name.mode), b"")
            return
        name.accepted += 1
        name.first, name.last = name.first or now, now
        name.events.add(body[7:30].split(b'"')[0])
        at = body.find(MARK) + len(MARK)
        accepted = datetime.strptime(body[at : at + 23].decode(), "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
        name.delays.append(round((now - accepted.timestamp()) * 1000, 1))
        self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


async def serve() -> None:
    names = SeenNames()
    server = await asyncio.get_running_loop().create_server(
        lambda: ReceiverConnection(names), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
