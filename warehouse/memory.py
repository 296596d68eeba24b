"""The ledger's reads over rows in memory, in plain Python, with the same results as ClickHouse.

Tests of code that reads the ledger use it, and it is the reference for tests of the SQL.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import asdict

from schemas.ids import address_of
from schemas.limits import DAY, HOUR
from schemas.money import format_cents
from streams.log_ends import PartitionEnds
from warehouse import memory_statements
from warehouse.errors import ReadsUnavailable
from warehouse.ledger_row import LedgerRow as LedgerRow
from warehouse.memory_components import component_rows
from warehouse.memory_statements import KINDS
from warehouse.rows import (
    EVERYTHING,
    AuditFilter,
    AuditRow,
    ClosingRow,
    ComponentSumRow,
    DeliveryPosition,
    DeliveryRow,
    EntryRow,
    EventQuery,
    EventRow,
    ImportQuery,
    ImportRow,
    OutcomeQuery,
    OutcomeRow,
    Reached,
    UsageKey,
    UsageQuery,
    UsageSumRow,
)
from warehouse.statement_rows import StatementQuery, StatementRows
from warehouse.time_range import LAST


class MemoryReads:
    """:class:`warehouse.queries.Reads` over ``rows``, to which a test may add."""

    def __init__(self, rows: Sequence[LedgerRow] = (), available: bool = True) -> None:
        self.rows = list(rows)
        self.log: dict[int, PartitionEnds] = {}
        self.attempts: dict[int, list[DeliveryRow]] = {}
        """Attempts by webhook."""
        self.available = available
        self.arriving: list[LedgerRow] = []
        """Rows of which one is added after each read of the totals."""
        self.settled_until = LAST
        """The accepted time, ms, until which every partition is complete."""

    async def events(self, query: EventQuery) -> list[EventRow]:
        self._check()
        wanted = [row for row in self.rows if _is_wanted(row, query)]
        wanted.sort(key=lambda row: -row.event_id)
        return [_event_row(row) for row in wanted[: query.limit]]

    async def lookup(self, customer: str, test: bool, keys: Sequence[str]) -> list[EventRow]:
        self._check()
        mine = [row for row in self.rows if (row.kind, row.customer_id, row.test) == ("event", customer, test)]
        return [_event_row(row) for row in mine if row.idempotency_key and row.idempotency_key in keys]

    async def imports(self, query: ImportQuery) -> list[ImportRow]:
        self._check()
        mine: dict[tuple[str, str], list[LedgerRow]] = {}
        for row in self.rows:
            if query.customer in ("", row.customer_id) and row.test == query.test and row.import_id:
                mine.setdefault((row.customer_id, row.import_id), []).append(row)
        found = [_import_row(*names, rows) for names, rows in mine.items() if any(row.kind == "event" for row in rows)]
        wanted = [row for row in found if query.import_id in ("", row.import_id)]
        wanted = [row for row in wanted if (row.last, row.import_id, row.customer_id) < query.before]
        wanted.sort(key=lambda row: (row.last, row.import_id, row.customer_id), reverse=True)
        return wanted[: query.limit]

    async def voided(self, customer: str, events: Sequence[int]) -> dict[int, str]:
        self._check()
        voids = [row for row in self.rows if row.kind == "void" and row.customer_id == customer]
        return {row.original: row.reason for row in voids if row.original is not None and row.original in events}

    async def entries(self, events: Sequence[int]) -> list[EntryRow]:
        self._check()
        return [_entry_row(row) for row in self.rows if row.event_id in events]

    async def entry(self, event: int, customer: str = "") -> EntryRow | None:
        self._check()
        found = (row for row in self.rows if row.event_id == event and customer in ("", row.customer_id))
        return next(map(_entry_row, found), None)

    async def outcomes(self, query: OutcomeQuery) -> list[OutcomeRow]:
        self._check()
        verdicts = {row.original: row.verdict for row in self.rows if row.kind in ("charge", "waived")}
        wanted = [
            row
            for row in self.rows
            if _opens(row) and _is_asked(row, query) and query.status in ("", _status(row, verdicts, query.now))
        ]
        wanted.sort(key=lambda row: -row.event_id)
        return [_outcome_row(row) for row in wanted[: query.limit]]

    async def closings(self, customer: str, events: Sequence[int]) -> dict[int, ClosingRow]:
        self._check()
        mine = [row for row in self.rows if row.customer_id == customer and row.kind in ("charge", "waived")]
        found = [msgspec.convert(asdict(row), ClosingRow) for row in mine if row.original in events]
        return {row.original: row for row in found}

    async def task_customers(self, task: str, test: bool | None, since: int) -> list[str]:
        self._check()
        named = [row for row in self.rows if row.task_id == task and row.kind in ("event", "registered")]
        return sorted({row.customer_id for row in named if test in (None, row.test) and row.event_time >= since})[:2]

    async def usage(self, query: UsageQuery, key: UsageKey) -> list[UsageSumRow]:
        self._check()
        groups: dict[str, list[LedgerRow]] = {}
        for row in self.rows:
            if row.kind in KINDS and _is_counted(row, query):
                groups.setdefault(_KEYS[key](row), []).append(row)
        totals = {name: sum(row.total_cents for row in rows) for name, rows in groups.items()}
        ordered = sorted(groups, key=lambda name: (-totals[name], name))
        seated, others = ordered[: query.ranks(key)], ordered[query.ranks(key) :]
        rows = [_usage_row(name, [groups[name]]) for name in seated]
        self.rows += self.arriving[:1]
        del self.arriving[:1]
        return [*rows, _usage_row("", [groups[name] for name in others], len(others))] if others else rows

    async def components(self, query: UsageQuery, by_model: bool) -> list[ComponentSumRow]:
        self._check()
        mine = [row for row in self.rows if row.kind in KINDS and _is_counted(row, query)]
        return component_rows(mine, by_model)

    async def pending(self, query: UsageQuery, now: int) -> int:
        self._check()
        closed = {row.original for row in self.rows if row.customer_id == query.customer and row.kind in _CLOSE}
        return sum(
            row.price_on_success if row.kind == "registered" else row.price_bonus
            for row in self.rows
            if _opens(row)
            and _is_counted(row, query)
            and row.event_id not in closed
            and (row.expires_at is None or row.expires_at > now)
        )

    async def audit(self, before: tuple[int, int], limit: int, only: AuditFilter = EVERYTHING) -> list[AuditRow]:
        self._check()
        changes = [row for row in self.rows if row.kind in ("config", "void") and row.actor != "collector"]
        changes = [row for row in changes if (row.recorded_at, row.event_id) < before]
        changes.sort(key=lambda row: (row.recorded_at, row.event_id), reverse=True)
        shown = [row for row in map(_audit_row, changes) if _is_chosen(row, only)]
        return shown[:limit]

    async def deliveries(
        self, webhook: int, before: DeliveryPosition, limit: int, delivery: str = ""
    ) -> list[DeliveryRow]:
        self._check()
        found = [row for row in self.attempts.get(webhook, ()) if row.position < before]
        found.sort(key=lambda row: row.position, reverse=True)
        return [row for row in found if delivery in ("", row.delivery_id)][:limit]

    async def statement(self, query: StatementQuery) -> StatementRows:
        self._check()
        return memory_statements.statement_rows(self.rows, query)

    async def is_settled(self, partition: int, as_of: int) -> bool:
        self._check()
        return as_of <= self.settled_until

    async def last_used(self, keys: Sequence[int]) -> dict[int, int]:
        self._check()
        used: dict[int, int] = {}
        for row in self.rows:
            if row.api_key_id in keys:
                used[row.api_key_id] = max(row.recorded_at, used.get(row.api_key_id, 0))
        return used

    async def reached(self, partition: int) -> Reached:
        self._check()
        here = [row for row in self.rows if address_of(row.event_id).partition == partition]
        raw = max((address_of(row.event_id).offset for row in here), default=-1)
        return Reached(raw, max((row.entries_offset for row in here), default=-1))

    async def ends(self, partition: int) -> PartitionEnds:
        self._check()
        return self.log.get(partition, PartitionEnds(0, 0))

    async def ready(self) -> None:
        self._check()

    async def close(self) -> None:
        self.available = False

    def _check(self) -> None:
        if not self.available:
            raise ReadsUnavailable("memory")


_CLOSE = ("charge", "waived", "void")
_KEYS: dict[UsageKey, Callable[[LedgerRow], str]] = {
    "action": lambda row: row.action,
    "agent_id": lambda row: row.agent_id,
    "model": lambda row: row.model or "",
    "hour": lambda row: _engine_time(row.event_time // HOUR * HOUR),
    "day": lambda row: _engine_time(row.event_time // DAY * DAY),
}


def _engine_time(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _is_wanted(row: LedgerRow, query: EventQuery) -> bool:
    exact = [
        (query.agent, row.agent_id),
        (query.action, row.action),
        (query.outcome, row.outcome),
        (query.idempotency_key, row.idempotency_key),
        (query.import_id, row.import_id),
    ]
    return (
        (row.kind == "event" or (row.kind == "rejected" and not row.config_type))
        and row.customer_id == query.customer
        and query.test in (None, row.test)
        and query.at_least <= row.event_id <= query.at_most
        and query.time.start <= row.event_time < query.time.end
        and all(wanted in ("", found) for wanted, found in exact)
    )


def _is_counted(row: LedgerRow, query: UsageQuery) -> bool:
    exact = [(query.agent, row.agent_id), (query.action, row.action), (query.model, row.model)]
    return (
        row.customer_id == query.customer
        and row.test == query.test
        and query.time.start <= row.event_time < query.time.end
        and all(wanted in ("", found) for wanted, found in exact)
    )


def _import_row(customer: str, name: str, rows: list[LedgerRow]) -> ImportRow:
    events = [row.recorded_at for row in rows if row.kind == "event"]
    voids = [row for row in rows if row.kind == "void"]
    cents = sum(row.total_cents for row in rows if row.kind in ("event", "charge"))
    taken = sum(row.total_cents for row in voids)
    voided = sum(row.config_type != "charge" for row in voids)
    return ImportRow(
        customer,
        name,
        min(events),
        max(events),
        events=len(events),
        voided=voided,
        cents=format_cents(cents),
        taken=format_cents(taken),
    )


def _usage_row(name: str, groups: list[list[LedgerRow]], others: int = 0) -> UsageSumRow:
    """Return the row of one name, or of several together."""
    active, sums = 0, [0] * 5
    for group in groups:
        found = _summed(group)
        active += found[0] > 0
        sums = [sum(pair) for pair in zip(sums, found, strict=True)]
    events, charges, tokens, total, charged = sums
    return UsageSumRow(
        name,
        others,
        active,
        events=events,
        charges=charges,
        tokens=str(tokens),
        total=format_cents(total),
        charged=format_cents(charged),
    )


def _summed(rows: list[LedgerRow]) -> tuple[int, int, int, int, int]:
    """Return the sums of events, charges, tokens, pico-cents, and pico-cents of charges."""
    events = charges = tokens = total = charged = 0
    for row in rows:
        sign = -1 if row.kind == "void" else 1
        total += row.total_cents
        if row.kind == "charge" or (row.kind == "void" and row.config_type == "charge"):
            charges += sign
            charged += row.total_cents
        elif row.kind != "adjustment":
            events += sign
            tokens += sign * row.tokens
    return events, charges, tokens, total, charged


def _opens(row: LedgerRow) -> bool:
    return row.kind == "registered" or (row.kind == "event" and row.outcome == "pending")


def _is_asked(row: LedgerRow, query: OutcomeQuery) -> bool:
    return (
        row.customer_id == query.customer
        and query.test in (None, row.test)
        and query.agent in ("", row.agent_id)
        and query.time.start <= row.recorded_at < query.time.end
        and row.event_id <= query.at_most
    )


def _status(row: LedgerRow, verdicts: Mapping[int | None, str], now: int) -> str:
    over = row.expires_at is not None and row.expires_at <= now
    return verdicts.get(row.event_id, "expired" if over else "pending")


def _event_row(row: LedgerRow) -> EventRow:
    return msgspec.convert(_cells(row), EventRow)


def _entry_row(row: LedgerRow) -> EntryRow:
    return msgspec.convert(_cells(row), EntryRow)


def _outcome_row(row: LedgerRow) -> OutcomeRow:
    return msgspec.convert(_cells(row), OutcomeRow)


def _is_chosen(row: AuditRow, only: AuditFilter) -> bool:
    about = row.type.partition(".")[0]
    return (
        only.about in ("", about)
        and about != only.without
        and only.actor in ("", row.actor)
        and (not only.customer or msgspec.json.decode(row.detail).get("customer_id") == only.customer)
    )


def _audit_row(row: LedgerRow) -> AuditRow:
    type = "meter.voided" if row.kind == "void" else row.config_type
    return AuditRow(row.event_id, type, row.actor, row.detail, row.recorded_at)


def _cells(row: LedgerRow) -> dict[str, Any]:
    """Return a row as the queries return it: money as text, under the names of the query."""
    money = {
        "base": row.base_cents,
        "token": row.token_cents,
        "bonus": row.bonus_cents,
        "quantity": row.quantity_cents,
        "total": row.total_cents,
        "price_base": row.price_base,
        "price_token": row.price_token,
        "price_bonus": row.price_bonus,
    }
    credit = None if row.credit_cents is None else format_cents(row.credit_cents)
    return asdict(row) | {name: format_cents(value) for name, value in money.items()} | {"credit": credit}
