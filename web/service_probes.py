"""How the services are, as each says itself: /readyz and /metrics of every instance, asked at the same time."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import NamedTuple

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from warehouse.errors import ReadsUnavailable

PATIENCE = aiohttp.ClientTimeout(total=2, connect=1)
MAX_BYTES = 4 << 20
"""Maximum bytes of an answer; metrics of a service with 64 partitions have a tenth of that."""

Metrics = Mapping[str, list[float]]
"""The values of each sample name, over all labels."""


class ServiceAddress(NamedTuple):
    """Where one instance of a service answers."""

    service: str
    url: str


class Probed(NamedTuple):
    """What an instance said. ``ready``: None if it did not answer. ``reasons``: what it lacks; ``metrics``: none if it
    is away or they cannot be read."""

    instance: ServiceAddress
    ready: bool | None
    reasons: list[str]
    metrics: Metrics


class _Readiness(msgspec.Struct):
    reasons: list[str] = []
    degraded: list[str] = []


class ServiceProbes:
    """Asks the services, each with that much patience. It connects at the first probe."""

    def __init__(self, patience: aiohttp.ClientTimeout = PATIENCE) -> None:
        self._patience = patience
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
            (status, body), (_, text) = await asyncio.gather(
                self._get(instance.url + "/readyz"), self._get(instance.url + "/metrics")
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Probed(instance, None, [str(error) or type(error).__name__], {})
        said = _readiness(body)
        reasons = [*said.reasons, *said.degraded]
        try:
            return Probed(instance, status == 200, reasons, parsed(text))
        except ValueError as error:
            return Probed(instance, status == 200, [*reasons, f"/metrics cannot be read: {error}"], {})

    async def _get(self, url: str) -> tuple[int, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._patience, cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.get(url, allow_redirects=False) as answer:
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > MAX_BYTES:
                    raise ValueError(f"an answer of more than {MAX_BYTES} bytes")
            return answer.status, body.decode(errors="replace")


def parsed(text: str) -> Metrics:
    """Return the samples of a /metrics answer. Raises ValueError for text that is none."""
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found


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
