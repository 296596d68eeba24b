"""notifier.transport when this process has no descriptor left: told apart from an endpoint's failure."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from notifier.transport.failure_reasons import OUT_OF_SOMETHING
from tests.integration.transport.receivers import answering, delivery, sending

pytestmark = pytest.mark.integration


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Not one is free within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, hard))
    held = [spare]
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in held:
            os.close(one)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_it_is_this_sides_lack(host: str) -> None:
    """For an address and for a name, which cannot even be looked up; afterwards it is sent."""
    times = [0.0]
    # only with the first lookup of a process does the system itself say what it lacks
    socket.getaddrinfo("localhost", None)
    async with answering() as receiver, sending(clock=lambda: times[0]) as sender:
        one = delivery(f"http://{host}:{receiver.port}/")
        with no_descriptors():
            answer = await sender.send(one)
        assert (answer.status, answer.error, answer.ours, answer.final) == (None, OUT_OF_SOMETHING, True, False)
        times[0] += 1.0  # what is known of a name that was not found is forgotten
        assert (await sender.send(one)).status == 200
        assert len(receiver.requests) == 1


async def test_a_kept_connection_needs_none() -> None:
    """What can be sent is sent."""
    async with answering() as receiver, sending() as sender:
        one = delivery(f"http://127.0.0.1:{receiver.port}/")
        assert (await sender.send(one)).status == 200
        with no_descriptors():
            assert (await sender.send(one)).status == 200
