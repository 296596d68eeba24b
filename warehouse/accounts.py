"""Named reads of the ledger for the pages about customers.

They return numbers as the rows hold them; web/ formats them.
"""

from collections.abc import Collection
from typing import Protocol

from schemas.settings import Settings
from warehouse.account_rows import CustomerQuery, CustomerRow, GrantRow, LastEventRow
from warehouse.reader import ClickHouseReader, QueryRunner
from warehouse.time_range import day_parameters


class AccountReads(Protocol):
    """The reads of these pages. Each may raise ReadsUnavailable."""

    async def customers(self, query: CustomerQuery) -> list[CustomerRow]:
        """Return a page of customers, the largest total first."""
        ...

    async def last_events(self, customers: Collection[str]) -> dict[str, int]:
        """Return when (ms) these customers last metered; nothing for one that never did."""
        ...

    async def grants(self, customer: str, test: bool, limit: int) -> list[GrantRow]:
        """Return a customer's grants of prepaid credit in one mode, the newest first."""
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
        return await self._runner.fetch(
            "account_customers",
            CustomerRow,
            **day_parameters(query.time),
            **day_parameters(query.before, "before_"),
            search=query.search,
            limit=query.limit,
            offset=query.offset,
        )

    async def last_events(self, customers: Collection[str]) -> dict[str, int]:
        if not customers:
            return {}
        rows = await self._runner.fetch("account_last_events", LastEventRow, customers=sorted(customers))
        return {row.id: row.at for row in rows}

    async def grants(self, customer: str, test: bool, limit: int) -> list[GrantRow]:
        return await self._runner.fetch("account_grants", GrantRow, customer=customer, test=test, limit=limit)

    async def close(self) -> None:
        await self._runner.close()
