"""Connections to allowed addresses only, few, kept for a short time, and read up to a limit.

This depends on three internals of aiohttp's client (the connector's ``_factory`` and ``_release``, and its
ResponseHandler); the tests of this package break if one of them moves.
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
"""Maximum bytes of a response, head and body together, that are read."""
IDLE_S = 4.0
"""Seconds that an idle connection is kept: less than most servers wait (5 s), so that a request rarely
meets a connection that the server is closing."""
MOST_AGE_S = 60.0
"""Maximum age, seconds, of a connection that is reused, so that a name that has moved is followed."""
KEPT_PER_HOST = 32
"""Maximum for one scheme, host and port, however many endpoints share them."""
MOST_OPEN = 1024
"""While more connections than this are open, none is kept after its response."""


class AnswerTooLong(ClientError):
    """Error: MOST_READ bytes arrived before the head of the response ended."""


class BoundedAnswer(ResponseHandler):
    """Connection that reads at most MOST_READ bytes for each request.

    Beyond that a body counts as complete and an unfinished head is an error; either way the connection
    ends. Data that arrives without a request also ends it, so that it is never taken for a response.
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
        """Reset the allowance: a request is about to be sent."""
        self._allowance = MOST_READ
        super().set_response_params(**params)

    def rest(self) -> None:
        """Allow no data: the connection is kept without a request."""
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
    """Connector that connects only where the guard allows it, and limits the connections kept open. It has
    no queue: the caller decides how many requests are in flight."""

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
        """Number of open connections, in use or kept."""
        self.clock = clock
        self._factory = functools.partial(BoundedAnswer, self, self._loop)  # type: ignore[assignment]

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        """Keep a connection after its response, or end it at once, without waiting for a peer that does not
        read or for the TLS shutdown."""
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
    """Check that this machine has an address to send from to that IPv6 address; sends nothing. Raises OSError."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.connect(address)


def _guarded_socket(
    allow_private: bool, info: tuple[Any, ...], route: Callable[[tuple[Any, ...]], None] = udp_route
) -> socket.socket:
    """Return the socket for one address about to be connected to, whether it came from a name or from the
    URL; called for each address that is tried. Raises AddressRefused, and OSError if there is no route: a
    machine without IPv6 must not look like one that has run out of ports."""
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
