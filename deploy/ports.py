"""TCP ports on the loopback address that stay ours over restarts."""

import random
import socket

LOOPBACK = "127.0.0.1"
LOW, HIGH = 10_000, 32_000
"""Below the range from which Linux takes ports for outgoing connections, so that nobody takes
our port while its process restarts.
"""


def is_free(port: int) -> bool:
    """True if a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(rng: random.Random, taken: set[int]) -> int:
    """Choose a free port that is not in ``taken``, and reserve it. Raises OSError if none seems to be free."""
    for _ in range(1000):
        port = rng.randrange(LOW, HIGH)
        if port not in taken and _reserved(port):
            return port
    raise OSError("no free TCP port on the loopback address")


def _reserved(port: int) -> bool:
    """Bind the port until this process ends, if nobody else has. Its server may take long to start, and others choose
    ports meanwhile; a server that sets SO_REUSEADDR, as all of ours do, can listen beside this socket."""
    held = socket.socket()
    try:
        held.bind((LOOPBACK, port))
    except OSError:
        held.close()
        return False
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.detach()
    return True
