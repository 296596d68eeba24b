"""How the services are, as each says itself: /readyz and /metrics of every instance, asked at the same time."""

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple

import aiohttp
import msgspec

from warehouse.errors import ReadsUnavailable

PATIENCE = aiohttp.ClientTimeout(total=2, connect=1)
MOST_BYTES = 4 << 20
"""Bytes of one answer that are read; metrics of a service with 64 partitions have a tenth of that."""


class ServiceAddress(NamedTuple):
    """Where one instance of a service answers."""

    service: str
    url: str


class Probed(NamedTuple):
    """What an instance said. ``ready``: None if it did not answer. ``reasons``: what it lacks; ``metrics``: as text."""

    instance: ServiceAddress
    ready: bool | None
    reasons: list[str]
    metrics: str


class _Readiness(msgspec.Struct):
    reasons: list[str] = []
    degraded: list[str] = []


class ServiceProbes:
    """Asks the services. It connects at the first probe."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def probe(self, instances: list[ServiceAddress]) -> list[Probed]:
        """Return what each instance says, in the order given. Never raises for one that is away."""
        return list(await asyncio.gather(*(self._one(instance) for instance in instances)))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _one(self, instance: ServiceAddress) -> Probed:
        try:
            (status, body), (_, metrics) = await asyncio.gather(
                self._get(instance.url + "/readyz"), self._get(instance.url + "/metrics")
            )
            said = _readiness(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Probed(instance, None, [str(error) or type(error).__name__], "")
        return Probed(instance, status == 200, [*said.reasons, *said.degraded], metrics)

    async def _get(self, url: str) -> tuple[int, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=PATIENCE, cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.get(url, allow_redirects=False) as answer:
            return answer.status, (await answer.content.read(MOST_BYTES)).decode(errors="replace")


def _readiness(body: str) -> _Readiness:
    try:
        return msgspec.json.decode(body, type=_Readiness)
    except msgspec.DecodeError:
        return _Readiness([body[:200]])


async def problem_of(check: Awaitable[object]) -> str:
    """Return '' if a read succeeds within the patience of a probe, or why it did not."""
    try:
        async with asyncio.timeout(PATIENCE.total):
            await check
    except (ReadsUnavailable, TimeoutError) as error:
        return f"{type(error).__name__}: {error}" if str(error) else "no answer"
    return ""
