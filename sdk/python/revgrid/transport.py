"""The wire: one HTTP/1.1 request at a time on connections that are kept. The only place with I/O.

No retries and no reading of answers may come in here. Redirects are not followed, so an API key
goes nowhere but to the base URL.
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
"""Seconds after which an unused connection is not trusted any more: middleboxes forget silently."""


class HttpTransport:
    """Requests to one base URL from any number of threads; each in flight has its connection."""

    def __init__(self, base_url: str) -> None:
        """Raises ValueError for what is no http or https URL."""
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
        """What came of one try."""
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
        """End the connections; those in flight end with their request."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for _, connection in idle:
            connection.close()

    def _new(self, timeout: float) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=timeout)
        return HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)

    def _take(self) -> HTTPConnection | None:
        """A kept connection that seems to be alive."""
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
        """After a fork: what is kept is the parent's, who goes on using it."""
        self._pid, self._lock, idle = os.getpid(), threading.Lock(), self._idle
        self._idle = []
        for _, connection in idle:
            connection.close()  # this process's handle of it alone

    def _give_back(self, connection: HTTPConnection, keep: bool) -> None:
        with self._lock:
            keep = keep and not self._closed
            if keep:
                self._idle.append((time.monotonic(), connection))
        if not keep:
            connection.close()


def _has_ended(sock: socket.socket) -> bool:
    """Whether the other side closed it, or said something that nobody asked for."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
