"""HTTP sender: makes one signed POST and returns the result as a WebhookResponse.

notifier.transport.connector decides which addresses may be reached and how much is read; this module makes
the request, applies the one deadline to all of it, and converts the response.
"""

import asyncio
import functools
import math
import ssl
import time
import traceback
from collections.abc import Callable

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from notifier.sender import ANSWER_BYTES, DEADLINE, WebhookRequest, WebhookResponse
from notifier.transport.connector import MOST_READ, GuardedConnector
from notifier.transport.dns_lookup import SystemLookup
from notifier.transport.failure_reasons import INTERNAL, OUT_OF_SOMETHING, is_ours, reason, retry_after
from notifier.transport.resolver import GuardedResolver, Lookup
from schemas.signing import headers
from schemas.webhook_urls import WebhookUrlError, parse

USER_AGENT = "Rev-Webhooks/1"
_KNOWN_URLS = 4096
_QUIET_S = 1.0
"""Seconds between two log lines about a shortage on this side, which concerns every request at once."""
_NO_TIMEOUT = ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_log = structlog.get_logger()


def system_tls() -> ssl.SSLContext:
    """Return a context that checks certificates against the system's store (SSL_CERT_FILE and SSL_CERT_DIR
    name another)."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpSender:
    """Implementation of notifier.sender.WebhookSender. Create it in a running event loop.

    It queues nothing: every call of :meth:`send` is a request in flight. ``allow_private``:
    REV_WEBHOOK_ALLOW_PRIVATE. ``lookup``: replaces the system's resolver. ``clock``: seconds; measures the
    age of names and connections.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        deadline_s: float = DEADLINE,
        tls: ssl.SSLContext | None = None,
        lookup: Lookup | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deadline_s = deadline_s
        self._system = SystemLookup()
        self._clock = clock
        self._complained = -math.inf
        self._resolver = GuardedResolver(lookup or self._system, allow_private, clock)
        self._connector = GuardedConnector(self._resolver, allow_private, tls or system_tls(), clock)
        self._session = ClientSession(
            connector=self._connector,
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=_NO_TIMEOUT,
            auto_decompress=False,
            trust_env=False,
            read_bufsize=MOST_READ,
        )
        self._url = functools.lru_cache(_KNOWN_URLS)(functools.partial(_target, allow_private=allow_private))

    @property
    def open_connections(self) -> int:
        """Number of open connections, in use or kept."""
        return self._connector.open

    async def send(self, delivery: WebhookRequest) -> WebhookResponse:
        """Make one attempt; see the protocol. Raises only CancelledError."""
        began = time.monotonic()
        answer = await self._try(delivery)
        return answer._replace(latency_ms=round((time.monotonic() - began) * 1000))

    async def close(self) -> None:
        """Close every connection; requests in flight fail."""
        await self._session.close()
        await self._resolver.close()
        self._system.close()

    async def _try(self, delivery: WebhookRequest) -> WebhookResponse:
        try:
            url = self._url(delivery.url)
        except WebhookUrlError as refusal:
            return WebhookResponse(None, str(refusal), final=True)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._post(url, delivery)
        except (ClientError, OSError) as error:
            why = reason(error)
            if why == OUT_OF_SOMETHING:
                self._complain(delivery, error)
            return WebhookResponse(None, why, ours=is_ours(error))
        except Exception as error:  # a bug, here or below: it is logged, and the delivery is retried
            _log.error("webhook not sent", delivery=delivery.delivery_id, error=type(error).__name__, at=_where(error))
            return WebhookResponse(None, INTERNAL)

    def _complain(self, delivery: WebhookRequest, error: ClientError | OSError) -> None:
        now = self._clock()
        if now - self._complained >= _QUIET_S:
            self._complained = now
            _log.error("webhook not sent", event_id=delivery.event_id, delivery=delivery.delivery_id, error=str(error))

    async def _post(self, url: URL, delivery: WebhookRequest) -> WebhookResponse:
        """Send the request and read the response until its body ends or enough of it is read."""
        signed = headers(
            delivery.secrets,
            delivery.event_id,
            delivery.type,
            delivery.delivery_id,
            delivery.timestamp_s,
            delivery.body,
        )
        response = await self._session.post(url, data=delivery.body, headers=signed, allow_redirects=False)
        try:
            body = await response.read()
        finally:
            if not response.closed:
                response.close()
        wait = retry_after(response.headers.get("Retry-After"), delivery.timestamp_s)
        return WebhookResponse(response.status, retry_after_s=wait, body=body[:ANSWER_BYTES])


def _where(error: Exception) -> str:
    """Return the call sites that an exception passed; a rendered traceback might show the secrets among the locals."""
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__)))


def _target(url: str, allow_private: bool) -> URL:
    """Return the URL to request, built from the checked parts so that nothing parses it differently. Raises
    WebhookUrlError."""
    found = parse(url, allow_private)
    host = f"[{found.host}]" if ":" in found.host else found.host
    return URL(f"{found.scheme}://{host}:{found.port}{found.target}", encoded=True)
