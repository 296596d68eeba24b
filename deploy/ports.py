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
    """Choose a free port that is not in ``taken``. Raises OSError if none seems to be free."""
    for _ in range(1000):
        port = rng.randrange(LOW, HIGH)
        if port not in taken and is_free(port):
            return port
    raise OSError("no free TCP port on the loopback address")
