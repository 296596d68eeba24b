"""Reads that several pages share."""

from collections.abc import Collection

from schemas.limits import HOUR
from warehouse.dashboard import DashboardReads
from warehouse.rows import EventRow

LATELY = 6 * HOUR
"""How far back recent events are first looked for; most of the table is older."""


async def recent_events(reads: DashboardReads, now: int, limit: int) -> list[EventRow]:
    """Return the last events: those of the last hours, or of all time if these are too few."""
    rows = await reads.recent(now - LATELY, limit)
    return rows if len(rows) == limit else await reads.recent(0, limit)


async def names(reads: DashboardReads, customers: Collection[str]) -> dict[str, str]:
    """Return the names of customers by id, of those that have one."""
    return await reads.names(set(customers) - {""})
