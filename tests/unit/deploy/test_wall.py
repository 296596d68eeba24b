"""The wall around unit tests (tests/conftest.py)."""

import asyncio
import socket

import pytest


def test_a_unit_test_cannot_connect_to_a_server_of_another_process() -> None:
    """A connection to an address that this process does not serve is refused before it is tried."""
    with socket.socket() as client, pytest.raises(RuntimeError, match="mark it integration"):
        client.connect(("127.0.0.1", 9092))


async def test_a_unit_test_can_connect_to_its_own_server() -> None:
    """Servers that the test itself runs, such as an HTTP application over fakes, are reachable."""
    greeted = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.set()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.wait_for(greeted.wait(), 10)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
