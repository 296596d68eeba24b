"""The scenarios of replays that the owner saved: a table beside the ledger, read and written by `rev web`."""

from typing import Protocol

import msgspec

from schemas.settings import Settings
from warehouse.client import ClickHouse
from warehouse.errors import ReadsUnavailable, WarehouseError
from warehouse.reader import ClickHouseReader

MOST = 12
"""Scenarios that are kept."""
_INSERT = "INSERT INTO rev._scenarios (name, customer, changes, saved_at, deleted) FORMAT JSONEachRow"
_encode = msgspec.json.Encoder().encode


class ScenarioRow(msgspec.Struct, frozen=True, gc=False):
    """A scenario: ``customer`` is '' for all, ``changes`` the JSON text of price rows, ``saved_at`` ms."""

    name: str
    customer: str
    changes: str
    saved_at: int


class Scenarios(Protocol):
    """The saved scenarios. Each method may raise ReadsUnavailable."""

    async def all(self) -> list[ScenarioRow]:
        """Return the scenarios, the newest first, at most MOST."""
        ...

    async def save(self, row: ScenarioRow, deleted: bool = False) -> None:
        """Save a scenario in place of the one of its name, or delete that one."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class LedgerScenarios:
    """Implementation of :class:`Scenarios` in ClickHouse."""

    def __init__(self, reader: ClickHouseReader, writer: ClickHouse) -> None:
        self._reader = reader
        self._writer = writer

    async def all(self) -> list[ScenarioRow]:
        return await self._reader.fetch("scenarios", ScenarioRow, limit=MOST)

    async def save(self, row: ScenarioRow, deleted: bool = False) -> None:
        data = {"name": row.name, "customer": row.customer, "changes": row.changes, "deleted": deleted}
        # the last of two saves in a ms would be either; a person does not save so fast
        data["saved_at"] = f"{row.saved_at // 1000}.{row.saved_at % 1000:03}"
        try:
            async with self._writer as writer:
                await writer.insert(_INSERT, _encode(data))
        except WarehouseError as error:
            raise ReadsUnavailable("scenarios") from error

    async def close(self) -> None:
        await self._reader.close()


def open_scenarios(settings: Settings) -> LedgerScenarios:
    """Return the scenarios. It connects only at the first use."""
    access = (settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    return LedgerScenarios(ClickHouseReader(*access), ClickHouse(*access))
