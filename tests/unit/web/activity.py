"""ActivityReads over rows that a test sets, and entries to put into it."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from schemas.commands import MeterEvent, PriceRef
from schemas.entries import Entry, EntryRecord
from schemas.money import format_cents
from warehouse.activity_rows import (
    ComparedRow,
    ComponentRow,
    EventSearch,
    FullEntryRow,
    OutcomeSearch,
    OutcomeStateRow,
    PriceSetRow,
    SumsQuery,
)
from warehouse.errors import ReadsUnavailable
from warehouse.ledger_row import LedgerRow, rows_of
from warehouse.rows import EventRow
from warehouse.time_range import TimeRange

AMOUNTS = {name: f"{name}_cents" for name in ("base", "token", "bonus", "quantity", "total")}
RATES = ("price_base", "price_token", "price_bonus", "price_on_success", "price_on_failure")


class FakeActivity:
    """Filters events by position alone; ``searches`` keeps what was asked. ``fails_after``: so many searches."""

    def __init__(self) -> None:
        self.rows: list[EventRow] = []
        self.voids: dict[int, str] = {}
        self.entries: list[FullEntryRow] = []
        self.price: PriceSetRow | None = None
        self.raw = ""
        self.compared: list[ComparedRow] = []
        self.parts: list[ComponentRow] = []
        self.states: list[OutcomeStateRow] = []
        self.searches: list[Any] = []
        self.fails_after = 1_000_000

    async def events(self, search: EventSearch, since: int = 0) -> list[EventRow]:
        if len(self.searches) >= self.fails_after:
            raise ReadsUnavailable("activity_events")
        self.searches.append(search)
        rows = [
            row for row in self.rows if (row.recorded_at, row.event_id) < search.before and row.recorded_at >= since
        ]
        rows.sort(key=lambda row: (row.recorded_at, row.event_id), reverse=True)
        return rows[: search.limit]

    async def voided(self, events: Sequence[int]) -> dict[int, str]:
        return {id: reason for id, reason in self.voids.items() if id in events}

    async def entry(self, event: int) -> FullEntryRow | None:
        return next((row for row in self.entries if row.event_id == event), None)

    async def related(self, entry: FullEntryRow) -> list[FullEntryRow]:
        return [row for row in self.entries if entry.event_id in (row.event_id, row.original)]

    async def entry_text(self, entry: FullEntryRow) -> str:
        return self.raw

    async def price_set(self, price: int) -> PriceSetRow | None:
        return self.price

    async def sums(self, query: SumsQuery) -> list[ComparedRow]:
        self.searches.append(query)
        return self.compared

    async def components(self, action: str, time: TimeRange) -> list[ComponentRow]:
        return self.parts

    async def outcomes(self, search: OutcomeSearch) -> list[OutcomeStateRow]:
        self.searches.append(search)
        rows = [row for row in self.states if row.state in search.states]
        if search.task_id:
            rows = [row for row in rows if row.task_id == search.task_id]
        if search.outcome_id:
            rows = [row for row in rows if row.outcome_id == search.outcome_id]
        return [row for row in rows if (row.place, row.event_id) > search.after][: search.limit]

    async def close(self) -> None:
        self.rows = []


def entry_of(row: LedgerRow) -> FullEntryRow:
    """The entry as the page reads it."""
    found = asdict(row)
    found["credit"] = None if row.credit_cents is None else format_cents(row.credit_cents)
    values = {name: found[AMOUNTS.get(name, name)] for name in FullEntryRow.__struct_fields__}
    for name in (*AMOUNTS, *RATES):
        values[name] = format_cents(values[name])
    values["lines"] = list(values["lines"])
    for name in ("draws", "budgets_exceeded"):
        values[name] = list(values[name])
    values["price_rates"] = list(values["price_rates"])
    return FullEntryRow(**values)


def priced_entry(event: MeterEvent, price: PriceRef, offset: int = 7, **parts: Any) -> FullEntryRow:
    """The entry of an event that a pricer priced."""
    entry = Entry("event", event=event, price=0, **parts)
    record = EntryRecord("acme-corp", offset, 1_777_204_800_000, [entry], [price])
    (row,) = rows_of(record, 3, 2 * offset)
    return entry_of(row)
