"""Named reads of the ledger for the pages about customers and prices.

They return numbers as the rows hold them; web/ formats them.
"""

from collections.abc import Collection
from typing import Protocol

from schemas.limits import HOUR
from schemas.settings import Settings
from warehouse.account_rows import CustomerQuery, CustomerRow, LastEventRow, PricedQuery, PricedRow
from warehouse.reader import ClickHouseReader, QueryRunner


class AccountReads(Protocol):
    """The reads of these pages. Each may raise ReadsUnavailable."""

    async def customers(self, query: CustomerQuery) -> list[CustomerRow]:
        """Return a page of customers, the largest total first."""
        ...

    async def last_events(self, customers: Collection[str]) -> dict[str, int]:
        """Return when (ms) these customers last metered; nothing for one that never did."""
        ...

    async def priced(self, query: PricedQuery) -> list[PricedRow]:
        """Return what the events that a price row could fit counted and were charged."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_accounts(settings: Settings) -> "LedgerAccounts":
    """Return the reads. They connect only at the first read."""
    return LedgerAccounts(
        ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    )


class LedgerAccounts:
    """Implementation of :class:`AccountReads` from ClickHouse."""

    def __init__(self, runner: QueryRunner) -> None:
        self._runner = runner

    async def customers(self, query: CustomerQuery) -> list[CustomerRow]:
        time, before = query.time.clamped(), query.before.clamped()
        return await self._runner.fetch(
            "account_customers",
            CustomerRow,
            start=time.start,
            end=time.end,
            before_start=before.start,
            before_whole=max(before.start, before.end // HOUR * HOUR),
            before_end=before.end,
            search=query.search,
            limit=query.limit,
            offset=query.offset,
        )

    async def last_events(self, customers: Collection[str]) -> dict[str, int]:
        if not customers:
            return {}
        rows = await self._runner.fetch("account_last_events", LastEventRow, customers=sorted(customers))
        return {row.id: row.at for row in rows}

    async def priced(self, query: PricedQuery) -> list[PricedRow]:
        time, slot = query.time.clamped(), query.slot
        return await self._runner.fetch(
            "account_priced",
            PricedRow,
            customer=slot.customer_id or "",
            action=slot.action,
            model=slot.model or "",
            provider=slot.provider or "",
            start=time.start,
            end=time.end,
            names=list(query.picos),
            picos=[str(pico) for pico in query.picos.values()],
            ignore_unknown=query.ignore_unknown,
        )

    async def close(self) -> None:
        await self._runner.close()
