"""The collector as a gateway asks it, over HTTP."""

from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
import msgspec
import structlog

from ingest.problems import Decided, InvoicesAway

QUICK, LONG = aiohttp.ClientTimeout(total=10, connect=2), aiohttp.ClientTimeout(total=600, connect=2)
"""Seconds; closing a month of many customers takes a while."""
log = structlog.get_logger("ingest.invoices")


class _Refusal(msgspec.Struct):
    error: str
    code: str


_decode = msgspec.json.Decoder(_Refusal).decode


class Collector(Protocol):
    """A collector."""

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] = {},
        body: bytes | None = None,
        timeout: aiohttp.ClientTimeout = QUICK,
    ) -> bytes:
        """Return the JSON of a success. Raises Decided for a refusal, InvoicesAway if no collector answers."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class CollectorClient:
    """Connections to one collector, opened when they are needed."""

    def __init__(self, url: str, admin_token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {admin_token}"}
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] = {},
        body: bytes | None = None,
        timeout: aiohttp.ClientTimeout = QUICK,
    ) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        asked: dict[str, Any] = {"params": query, "data": body, "headers": self._headers, "timeout": timeout}
        try:
            async with self._session.request(method, self._url + path, allow_redirects=False, **asked) as response:
                text = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("collector is away", path=path, error=repr(error)[:300])
            raise InvoicesAway from error
        if status < 300:
            return text
        try:
            refusal = _decode(text)
        except msgspec.DecodeError as error:
            log.error("collector failed", path=path, status=status, body=text[:300].decode("utf-8", "replace"))
            raise InvoicesAway from error
        if status == 503:
            raise InvoicesAway(refusal.error, refusal.code)
        raise Decided(status, refusal.code, refusal.error)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
