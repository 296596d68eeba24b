"""Requests that are no HTTP, as bytes, and a client that sends bytes."""

import asyncio
import json
from typing import Any, NamedTuple

LINE = b"POST /v1/meter HTTP/1.1\r\nHost: rev\r\n"
BODY = b'{"agent_id":"a","action":"chat"}'

MALFORMED = {
    "no request line": b"GARBAGE\r\n\r\n",
    "a method that is none": b"GE(T / HTTP/1.1\r\nHost: rev\r\n\r\n",
    "a version that is none": b"GET / HTTP/9.x\r\nHost: rev\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40,
    "a null in the path": b"GET /\x00 HTTP/1.1\r\nHost: rev\r\n\r\n",
    "an address that is none": b"GET http://[::1/v1/events HTTP/1.1\r\nHost: rev\r\n\r\n",
    "a port that is none": b"GET http://rev:99999999/v1/events HTTP/1.1\r\nHost: rev\r\n\r\n",
    "a path of 100,000": b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\nHost: rev\r\n\r\n",
    "a header without a colon": LINE + b"bad header\r\n\r\n",
    "a header of 100,000": LINE + b"X-Long: " + b"y" * 100_000 + b"\r\n\r\n",
    "no Host": b"GET /livez HTTP/1.1\r\n\r\n",
    "Content-Length text": LINE + b"Content-Length: abc\r\n\r\n" + BODY,
    "Content-Length negative": LINE + b"Content-Length: -5\r\n\r\n" + BODY,
    "Content-Length twice": LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY,
    "Content-Length and chunks": LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
    "a chunk size that is none": LINE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "a later chunk size that is none": LINE + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
}


class Raw(NamedTuple):
    """What came back: the status, the headers in lower case, the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def exchange(host: str, port: int, *parts: bytes, timeout: float = 20.0) -> Raw:
    """Send bytes, a further part when an interim answer (100) has come, and read the answer."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            for part in parts[:-1]:
                writer.write(part)
                await reader.readuntil(b"\r\n\r\n")
            writer.write(parts[-1])
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            return Raw(int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"])))
        finally:
            writer.close()


async def cut_off(host: str, port: int, sent: bytes) -> None:
    """Send bytes and close."""
    _, writer = await asyncio.open_connection(host, port)
    writer.write(sent)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
