"""The dashboard's named reads of the ledger: every customer at once, without test entries.

They return numbers as the rows hold them; web/ formats them.
"""

from collections.abc import Collection
from typing import Protocol

from schemas.settings import Settings
from warehouse.dashboard_rows import (
    CountsRow,
    NameRow,
    OutcomeCountRow,
    PendingRow,
    RankedRow,
    RankKey,
    RunRateRow,
    SeriesQuery,
    SeriesRow,
    SignupsRow,
    TotalsRow,
    VerdictsRow,
)
from warehouse.reader import ClickHouseReader, QueryRunner
from warehouse.rows import EventRow, Number
from warehouse.time_range import TimeRange, day_parameters

PEERS: dict[RankKey, RankKey] = {"agent_id": "customer_id", "customer_id": "agent_id", "action": "customer_id"}
"""What is counted beside the sums of each key."""


class DashboardReads(Protocol):
    """The reads of the dashboard. Each may raise ReadsUnavailable."""

    async def totals(self, time: TimeRange) -> TotalsRow:
        """Return the sums of a range."""
        ...

    async def ranked(self, time: TimeRange, key: RankKey, most: int) -> list[RankedRow]:
        """Return the sums by key of a range, the largest total first, then by name."""
        ...

    async def series(self, query: SeriesQuery) -> list[SeriesRow]:
        """Return the sums by bucket and key, the earliest first; no rows for empty buckets."""
        ...

    async def recent(self, since: int, limit: int) -> list[EventRow]:
        """Return the last priced events that were accepted at or after ``since`` (ms), newest first."""
        ...

    async def run_rates(self, accepted: TimeRange, limit: int) -> list[RunRateRow]:
        """Return the sums of what was accepted in a range: of everyone, then of agents, the largest total first.

        No rows if there was nothing. ``limit``: rows at most.
        """
        ...

    async def verdicts(self, time: TimeRange) -> VerdictsRow:
        """Return how the work of a range ended."""
        ...

    async def pending(self, now: int) -> PendingRow:
        """Return the outcomes still open at ``now`` (ms)."""
        ...

    async def outcomes(self, time: TimeRange, now: int) -> list[OutcomeCountRow]:
        """Return the outcomes opened in a range by their status at ``now`` (ms)."""
        ...

    async def counts(self) -> CountsRow:
        """Return the numbers of customers and active API keys."""
        ...

    async def signups(self, time: TimeRange) -> list[SignupsRow]:
        """Return the sign-ups of a range by their UTM parameters."""
        ...

    async def names(self, customers: Collection[str]) -> dict[str, str]:
        """Return the names of the customers that have one, by id."""
        ...

    async def ready(self) -> None:
        """Return when the ledger can be read. Raises ReadsUnavailable when it cannot."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_dashboard(settings: Settings) -> "LedgerDashboard":
    """Return the reads of a dashboard. They connect only at the first read."""
    return LedgerDashboard(
        ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    )


class LedgerDashboard:
    """Implementation of :class:`DashboardReads` from ClickHouse."""

    def __init__(self, runner: QueryRunner) -> None:
        self._runner = runner

    async def totals(self, time: TimeRange) -> TotalsRow:
        return (await self._runner.fetch("dashboard_totals", TotalsRow, **day_parameters(time)))[0]

    async def ranked(self, time: TimeRange, key: RankKey, most: int) -> list[RankedRow]:
        days = day_parameters(time)
        return await self._runner.fetch("dashboard_ranked", RankedRow, key=key, peer=PEERS[key], most=most, **days)

    async def series(self, query: SeriesQuery) -> list[SeriesRow]:
        return await self._runner.fetch("dashboard_series", SeriesRow, **query._asdict())

    async def recent(self, since: int, limit: int) -> list[EventRow]:
        return await self._runner.fetch("dashboard_recent", EventRow, since=since, limit=limit)

    async def run_rates(self, accepted: TimeRange, limit: int) -> list[RunRateRow]:
        accepted = accepted.clamped()
        return await self._runner.fetch(
            "dashboard_run_rates", RunRateRow, start=accepted.start, end=accepted.end, limit=limit
        )

    async def verdicts(self, time: TimeRange) -> VerdictsRow:
        return (await self._runner.fetch("dashboard_verdicts", VerdictsRow, **day_parameters(time)))[0]

    async def pending(self, now: int) -> PendingRow:
        return (await self._runner.fetch("dashboard_pending", PendingRow, now=now))[0]

    async def outcomes(self, time: TimeRange, now: int) -> list[OutcomeCountRow]:
        time = time.clamped()
        return await self._runner.fetch("dashboard_outcomes", OutcomeCountRow, start=time.start, end=time.end, now=now)

    async def counts(self) -> CountsRow:
        return (await self._runner.fetch("dashboard_counts", CountsRow))[0]

    async def signups(self, time: TimeRange) -> list[SignupsRow]:
        time = time.clamped()
        return await self._runner.fetch("dashboard_signups", SignupsRow, start=time.start, end=time.end)

    async def names(self, customers: Collection[str]) -> dict[str, str]:
        if not customers:
            return {}
        rows = await self._runner.fetch("dashboard_names", NameRow, customers=sorted(customers))
        return {row.id: row.name for row in rows}

    async def ready(self) -> None:
        await self._runner.fetch("ready", Number)

    async def close(self) -> None:
        await self._runner.close()
