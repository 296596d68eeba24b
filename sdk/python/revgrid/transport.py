"""The wire: one HTTP/1.1 request at a time on kept connections. The only module with I/O.

It neither retries nor parses answers. It does not follow redirects, so an API key goes only to
the base URL.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from .exchange import Came, Failure, Send
from .reading import Answer

IDLE_LIMIT = 15.0
"""Seconds after which an unused connection is no longer trusted: middleboxes drop it silently."""


class HttpTransport:
    """Transport of requests to one base URL from any number of threads; each in flight has a connection."""

    def __init__(self, base_url: str) -> None:
        """Raise ValueError if the base URL is not http or https."""
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(f"base_url must be http(s)://host[:port], not {base_url!r}")
        self._host, self._port, self._prefix = url.hostname, url.port, url.path.rstrip("/")
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._idle: list[tuple[float, HTTPConnection]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._pid = os.getpid()

    def __call__(self, send: Send) -> Came:
        """Send one try and return its result."""
        connection, keep = self._take() or self._new(send.timeout), False
        try:
            if connection.sock is None:
                connection.connect()
            else:
                connection.sock.settimeout(send.timeout)
        except OSError as error:
            connection.close()
            return Failure(error, sent=False, final=isinstance(error, ssl.SSLCertVerificationError))
        try:
            headers = {name: value.encode() for name, value in send.headers.items()}
            connection.request(send.method, self._prefix + send.path, send.body, headers)
            response = connection.getresponse()
            body, keep = response.read(), not response.will_close
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
        except (OSError, HTTPException) as error:
            return Failure(error, sent=True)
        finally:
            self._give_back(connection, keep)

    def close(self) -> None:
        """Close the connections; those in flight close after their request."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for _, connection in idle:
            connection.close()

    def _new(self, timeout: float) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=timeout)
        return HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)

    def _take(self) -> HTTPConnection | None:
        """Take a kept connection that seems to be alive."""
        if self._pid != os.getpid():
            self._forget()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            if time.monotonic() - since < IDLE_LIMIT and not _has_ended(connection.sock):
                return connection
            connection.close()

    def _forget(self) -> None:
        """Drop the kept connections after a fork: they are the parent's, which still uses them."""
        self._pid, self._lock, idle = os.getpid(), threading.Lock(), self._idle
        self._idle = []
        for _, connection in idle:
            connection.close()  # only this process's handle of it

    def _give_back(self, connection: HTTPConnection, keep: bool) -> None:
        with self._lock:
            keep = keep and not self._closed
            if keep:
                self._idle.append((time.monotonic(), connection))
        if not keep:
            connection.close()


def _has_ended(sock: socket.socket) -> bool:
    """True if the other side closed it, or sent something unexpected."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
