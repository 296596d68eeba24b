"""Connections: to addresses that may be sent to only, kept for a short while, a few, and never
read beyond a bound.

This leans on three inner places of aiohttp's client (the connector's ``_factory`` and
``_release``, and its ResponseHandler); the tests of this package break if one of them moves.
"""

import asyncio
import errno
import functools
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from aiohttp import ClientError, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey

from notifier.transport.resolver import GuardedResolver, check

MOST_READ = 16 * 1024
"""Bytes of an answer, head and body together, that are ever looked at."""
IDLE_S = 4.0
"""How long a connection is kept unused: less than most servers wait (5 s), so that a request
rarely meets the closing of the other side."""
MOST_AGE_S = 60.0
"""A connection is not used again after this, so that a name that has moved is followed."""
KEPT_PER_HOST = 32
"""Of one scheme, host and port, however many endpoints are there."""
MOST_OPEN = 1024
"""While more connections than this are open, none is kept after its answer."""


class AnswerTooLong(ClientError):
    """MOST_READ bytes came and the head of the answer was not over."""


class BoundedAnswer(ResponseHandler):
    """One connection, from which at most MOST_READ bytes are taken for each request.

    Beyond that a body counts as over and a head is an error; either way the connection ends. What
    arrives when nothing was asked ends it too, so that it is nobody's answer.
    """

    def __init__(self, connector: "GuardedConnector", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._connector = connector
        self._allowance = 0
        self.made_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connector.open += 1
        self.made_at = self._connector.clock()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connector.open -= 1
        super().connection_lost(exc)

    def set_response_params(self, **params: Any) -> None:
        """A request is about to be sent."""
        self._allowance = MOST_READ
        super().set_response_params(**params)

    def rest(self) -> None:
        """The connection is kept, and nothing is asked for now."""
        self._allowance = 0

    def data_received(self, data: bytes) -> None:
        if len(data) <= self._allowance:
            self._allowance -= len(data)
            super().data_received(data)
            return
        taken, self._allowance = data[: self._allowance], 0
        self.force_close()
        if taken:
            super().data_received(taken)
        body = self._payload
        if body is not None and not body.is_eof():
            body.feed_eof()
        else:
            self.set_exception(AnswerTooLong())
        if self.transport is not None:
            self.transport.abort()  # not self.abort(), which forgets the exception


class GuardedConnector(TCPConnector):
    """Connects where the guard allows it, and bounds what is kept open. It has no queue: whoever
    sends decides how much is in flight at once."""

    def __init__(
        self,
        resolver: GuardedResolver,
        allow_private: bool,
        tls: ssl.SSLContext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            resolver=resolver,
            use_dns_cache=False,
            ssl=tls,
            limit=0,
            keepalive_timeout=IDLE_S,
            socket_factory=functools.partial(_guarded_socket, allow_private),
        )
        self.open = 0
        """Connections that are open, in use or kept."""
        self.clock = clock
        self._factory = functools.partial(BoundedAnswer, self, self._loop)  # type: ignore[assignment]

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        """Keep a connection after its answer, or end it at once: without waiting for a peer that
        does not read, or for TLS to say goodbye."""
        assert isinstance(protocol, BoundedAnswer)
        ends = should_close or protocol.should_close or not self._may_keep(key, protocol)
        if ends:
            protocol.abort()
        else:
            protocol.rest()
        super()._release(key, protocol, should_close=ends)

    def _may_keep(self, key: ConnectionKey, protocol: BoundedAnswer) -> bool:
        return (
            self.open <= MOST_OPEN
            and len(self._conns.get(key, ())) < KEPT_PER_HOST
            and self.clock() - protocol.made_at < MOST_AGE_S
        )


def udp_route(address: tuple[Any, ...]) -> None:
    """Whether this machine has an address to send from to that IPv6 one; nothing is sent. Raises OSError."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.connect(address)


def _guarded_socket(
    allow_private: bool, info: tuple[Any, ...], route: Callable[[tuple[Any, ...]], None] = udp_route
) -> socket.socket:
    """The socket for one address that is about to be connected to, whether it came from a name
    or stood in the URL; called for each of several that are tried. Raises AddressRefused, and OSError where
    there is no way: a machine without IPv6 must not look like one whose ports have run out."""
    family, kind, protocol, _, address = info
    check(str(address[0]), allow_private)
    if family == socket.AF_INET6:
        try:
            route(address)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            raise OSError(errno.ENETUNREACH, "no IPv6 on this machine") from error
    return socket.socket(family, kind, protocol)
