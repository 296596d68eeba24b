"""The real Sender: one signed POST, and whatever comes of it as an Answer.

What may be reached, and how much is read, is decided in notifier.transport.connector; here are
the request, the one deadline over everything, and what is made of the answer.
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
"""Between two log lines about what this side lacks: it concerns every request at once."""
_NO_TIMEOUT = ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_log = structlog.get_logger()


def system_tls() -> ssl.SSLContext:
    """Certificates are checked against the system's store (SSL_CERT_FILE and SSL_CERT_DIR name another)."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpSender:
    """Keeps the promise of notifier.sender.Sender. To be made in a running event loop.

    It queues nothing: as many requests are under way as :meth:`send` is called for.
    ``allow_private``: REV_WEBHOOK_ALLOW_PRIVATE. ``lookup``: stands in for the system's resolver.
    ``clock``: seconds; how old names and connections are is told by it.
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
        """How many are open, in use or kept."""
        return self._connector.open

    async def send(self, delivery: WebhookRequest) -> WebhookResponse:
        """One attempt; see the Protocol. Raises nothing but CancelledError."""
        began = time.monotonic()
        answer = await self._try(delivery)
        return answer._replace(latency_ms=round((time.monotonic() - began) * 1000))

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
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
        except Exception as error:  # a bug, here or below: it is shown, and the delivery is tried again
            _log.error("webhook not sent", delivery=delivery.delivery_id, error=type(error).__name__, at=_where(error))
            return WebhookResponse(None, INTERNAL)

    def _complain(self, delivery: WebhookRequest, error: ClientError | OSError) -> None:
        now = self._clock()
        if now - self._complained >= _QUIET_S:
            self._complained = now
            _log.error("webhook not sent", event_id=delivery.event_id, delivery=delivery.delivery_id, error=str(error))

    async def _post(self, url: URL, delivery: WebhookRequest) -> WebhookResponse:
        """Until the answer's body has ended, or enough of it has been read."""
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
    """The places that an exception came through; a rendered traceback might show the secrets among the locals."""
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__)))


def _target(url: str, allow_private: bool) -> URL:
    """What to ask for: made from the checked parts, so that nothing is read in a second way. Raises EndpointError."""
    found = parse(url, allow_private)
    host = f"[{found.host}]" if ":" in found.host else found.host
    return URL(f"{found.scheme}://{host}:{found.port}{found.target}", encoded=True)
