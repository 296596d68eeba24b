"""Named reads of the ledger for the pages about single events, agents, actions and outcomes, of every customer.

They return numbers as the rows hold them; web/ formats them.
"""

from collections.abc import Sequence
from typing import Protocol

from schemas.settings import Settings
from warehouse.activity_rows import (
    ComparedRow,
    ComponentRow,
    EntryText,
    EventSearch,
    FullEntryRow,
    OutcomeSearch,
    OutcomeStateRow,
    PriceSetRow,
    SumsQuery,
)
from warehouse.reader import ClickHouseReader, QueryRunner
from warehouse.rows import EventRow, VoidedRow
from warehouse.time_range import TimeRange, day_parameters

MOST_RELATED = 100
"""Entries that are shown about one event; an event with its outcome and voids has at most four."""


class ActivityReads(Protocol):
    """The reads of these pages. Each may raise ReadsUnavailable."""

    async def events(self, search: EventSearch, since: int = 0) -> list[EventRow]:
        """Return at most ``search.limit`` events that were accepted at or after ``since`` (ms), newest first."""
        ...

    async def voided(self, events: Sequence[int]) -> dict[int, str]:
        """Return the voided ones of these events, with the reason. At most 5,000 events."""
        ...

    async def entry(self, event: int) -> FullEntryRow | None:
        """Return the entry with this id."""
        ...

    async def related(self, entry: FullEntryRow) -> list[FullEntryRow]:
        """Return an entry and those that refer to it or to its outcome, in the order of the log."""
        ...

    async def entry_text(self, entry: FullEntryRow) -> str:
        """Return the row of an entry as JSON text, every column of rev.entries in it; '' if there is none."""
        ...

    async def price_set(self, price: int) -> PriceSetRow | None:
        """Return when and by whom the price with this id was set."""
        ...

    async def sums(self, query: SumsQuery) -> list[ComparedRow]:
        """Return the sums by key, the largest total first, then by name."""
        ...

    async def components(self, action: str, time: TimeRange) -> list[ComponentRow]:
        """Return what each component of an action earned, the largest first."""
        ...

    async def outcomes(self, search: OutcomeSearch) -> list[OutcomeStateRow]:
        """Return outcomes: open ones by their deadline, then closed ones, the last closed first."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_activity(settings: Settings) -> "LedgerActivity":
    """Return the reads. They connect only at the first read."""
    return LedgerActivity(
        ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    )


class LedgerActivity:
    """Implementation of :class:`ActivityReads` from ClickHouse."""

    def __init__(self, runner: QueryRunner) -> None:
        self._runner = runner

    async def events(self, search: EventSearch, since: int = 0) -> list[EventRow]:
        time = search.time.clamped()
        return await self._runner.fetch(
            "activity_events",
            EventRow,
            customer=search.customer,
            agent=search.agent,
            action=search.action,
            model=search.model,
            provider=search.provider,
            task_id=search.task_id,
            trace_id=search.trace_id,
            metadata=search.metadata,
            outcome=search.outcome,
            status=search.status,
            idempotency_key=search.idempotency_key,
            import_id=search.import_id,
            tests=list(search.tests),
            start=time.start,
            end=time.end,
            since=max(since, 0),
            before_time=search.before[0],
            before_id=search.before[1],
            limit=search.limit,
        )

    async def voided(self, events: Sequence[int]) -> dict[int, str]:
        if not events:
            return {}
        rows = await self._runner.fetch("activity_voided", VoidedRow, events=sorted(events))
        return {row.original: row.reason for row in rows}

    async def entry(self, event: int) -> FullEntryRow | None:
        rows = await self._runner.fetch("entries", FullEntryRow, events=[event], customer="")
        return rows[0] if rows else None

    async def related(self, entry: FullEntryRow) -> list[FullEntryRow]:
        return await self._runner.fetch(
            "activity_related",
            FullEntryRow,
            customer=entry.customer_id,
            event=entry.event_id,
            outcome=entry.outcome_id,
            limit=MOST_RELATED,
        )

    async def entry_text(self, entry: FullEntryRow) -> str:
        rows = await self._runner.fetch(
            "activity_entry_text", EntryText, customer=entry.customer_id, event=entry.event_id, kind=entry.kind
        )
        return rows[0].text if rows else ""

    async def price_set(self, price: int) -> PriceSetRow | None:
        rows = await self._runner.fetch("activity_price", PriceSetRow, price=price)
        return rows[0] if rows else None

    async def sums(self, query: SumsQuery) -> list[ComparedRow]:
        return await self._runner.fetch(
            "activity_sums",
            ComparedRow,
            key=query.key,
            **day_parameters(query.time),
            **day_parameters(query.before, "before_"),
            agent=query.agent,
            action=query.action,
            most=query.most,
        )

    async def components(self, action: str, time: TimeRange) -> list[ComponentRow]:
        return await self._runner.fetch("activity_components", ComponentRow, action=action, **day_parameters(time))

    async def outcomes(self, search: OutcomeSearch) -> list[OutcomeStateRow]:
        return await self._runner.fetch(
            "activity_outcomes",
            OutcomeStateRow,
            now=search.now,
            states=list(search.states),
            customer=search.customer,
            agent=search.agent,
            task_id=search.task_id,
            outcome_id=search.outcome_id,
            tests=list(search.tests),
            after_place=search.after[0],
            after_id=search.after[1],
            limit=search.limit,
        )

    async def close(self) -> None:
        await self._runner.close()
