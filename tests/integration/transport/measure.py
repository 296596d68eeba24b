"""CPU time of one delivery, over kept connections and over new ones, with and without TLS.

    python -m tests.integration.transport.measure [deliveries]

The receiver is a process of its own, so that only the sender is counted.
"""

import asyncio
import multiprocessing
import ssl
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from notifier.transport.http_sender import HttpSender
from tests.integration.transport.certificates import Authority
from tests.integration.transport.receivers import Wire, delivery, receiving

AT_ONCE = 8
BODY = b'{"id":"evt_1","type":"meter.created","data":{"x":"' + b"a" * 600 + b'"}}'
KEEP = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n" + b'{"received":true}'
CLOSE = KEEP.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")


def receive(answer: bytes, tls: ssl.SSLContext | None, told: Connection) -> None:
    async def behave(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer)
            if answer is CLOSE:
                return

    async def main() -> None:
        async with receiving(behave, tls) as receiver:
            told.send(receiver.port)
            await asyncio.Event().wait()

    uvloop.run(main())


async def send(url: str, deliveries: int, client: ssl.SSLContext) -> tuple[float, float]:
    """Microseconds of CPU each, and deliveries a second."""
    sender = HttpSender(allow_private=True, tls=client)
    one = delivery(url, body=BODY)

    async def some(number: int) -> None:
        for _ in range(number):
            answer = await sender.send(one)
            assert answer.status == 200, answer

    await asyncio.gather(*(some(20) for _ in range(AT_ONCE)))
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(some(deliveries // AT_ONCE) for _ in range(AT_ONCE)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await sender.close()
    return cpu / deliveries * 1e6, deliveries / wall


def measure(kind: str, answer: bytes, scheme: str, deliveries: int, authority: Authority) -> None:
    ours, theirs = multiprocessing.Pipe()
    tls = authority.server("127.0.0.1") if scheme == "https" else None
    process = multiprocessing.get_context("fork").Process(target=receive, args=(answer, tls, theirs), daemon=True)
    process.start()
    url = f"{scheme}://127.0.0.1:{ours.recv()}/hook"
    cpu, rate = uvloop.run(send(url, deliveries, authority.client()))
    process.kill()
    process.join()
    print(f"{scheme:5} {kind:16} {cpu:6.0f} us of CPU a delivery, {rate:6.0f} deliveries/s by the clock")


def main() -> None:
    deliveries = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    with tempfile.TemporaryDirectory(prefix="transport-") as directory:
        authority = Authority(Path(directory))
        for scheme in ("http", "https"):
            measure("kept connection", KEEP, scheme, deliveries, authority)
            measure("new connection", CLOSE, scheme, deliveries // 8, authority)


if __name__ == "__main__":
    main()
