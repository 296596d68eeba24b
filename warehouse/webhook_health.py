"""The read of how webhook endpoints did lately (sql/queries/webhook_health.sql)."""

from collections.abc import Collection
from typing import Protocol

import msgspec

from schemas.settings import Settings
from warehouse.reader import ClickHouseReader, QueryRunner


class HealthRow(msgspec.Struct, frozen=True, gc=False):
    """Attempts of an endpoint in a time: ``delivered``, ``dead`` (given up) and the others, which are retried.

    ``latency``: the median of delivered ones in ms. ``last``: the last attempt in ms, 0 without one.
    """

    webhook: int
    attempts: int = 0
    delivered: int = 0
    dead: int = 0
    dropped: int = 0
    gaps: int = 0
    latency: int = 0
    last: int = 0
    last_outcome: str = ""


class WebhookHealthReads(Protocol):
    async def health(self, webhooks: Collection[int], since: int) -> dict[int, HealthRow]:
        """Return how these endpoints did since a time (ms), by id; nothing for one without attempts and gaps.

        Raises ReadsUnavailable.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_webhook_health(settings: Settings) -> "LedgerWebhookHealth":
    """Return the reads. They connect only at the first read."""
    return LedgerWebhookHealth(
        ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    )


class LedgerWebhookHealth:
    """Implementation of :class:`WebhookHealthReads` from ClickHouse."""

    def __init__(self, runner: QueryRunner) -> None:
        self._runner = runner

    async def health(self, webhooks: Collection[int], since: int) -> dict[int, HealthRow]:
        if not webhooks:
            return {}
        rows = await self._runner.fetch("webhook_health", HealthRow, webhooks=sorted(webhooks), since=since)
        return {row.webhook: row for row in rows}

    async def close(self) -> None:
        await self._runner.close()
