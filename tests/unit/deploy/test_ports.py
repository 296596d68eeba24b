"""Ports that several starts on one machine choose at once."""

import random
import socket

from deploy import ports


def test_nobody_chooses_a_port_twice_before_its_server_listens() -> None:
    """The same seed would give the same port. The server of a chosen port can listen on it, again and again."""
    first, second = (ports.choose(random.Random(7), set()) for _ in range(2))
    assert first != second
    for address in (ports.LOOPBACK, ""):
        with socket.create_server((address, first)):
            assert not ports.is_free(first)
    assert ports.is_free(first)
