"""The ledger's reads over rows in memory: the same answers as ClickHouse gives, in plain Python.

For tests of what stands on reads, and the reference that the SQL is held against.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ingest.reads.clickhouse import ReadsUnavailable
from ingest.reads.logends import Ends
from ingest.reads.rows import AuditRow, EventQuery, EventRow, Reached, UsageKey, UsageQuery, UsageRow
from schemas.entries import EntryKind
from schemas.ids import address_of
from schemas.limits import DAY, HOUR
from schemas.money import format_cents


class LedgerRow(NamedTuple):
    """A row of rev.entries. Money in pico-cents, times in ms; names as the columns."""

    kind: EntryKind
    event_id: int
    customer_id: str = ""
    api_key_id: int = 0
    agent_id: str = ""
    action: str = ""
    tokens_input: int | None = None
    tokens_output: int | None = None
    tokens: int = 0
    outcome: str = ""
    base_cents: int = 0
    token_cents: int = 0
    bonus_cents: int = 0
    total_cents: int = 0
    price_id: int = 0
    price_action: str = ""
    price_base: int = 0
    price_token: int = 0
    price_bonus: int = 0
    price_is_default: bool = False
    price_offset: int = 0
    model: str = ""
    provider: str = ""
    trace_id: str = ""
    task_id: str = ""
    outcome_id: str = ""
    idempotency_key: str = ""
    body_hash: str = ""
    test: bool = False
    metadata: str = ""
    expires_at: int | None = None
    event_time: int = 0
    recorded_at: int = 0
    reason: str = ""
    original: int | None = None
    config_type: str = ""
    actor: str = ""
    detail: str = ""
    entries_offset: int = 0


class MemoryReads:
    """:class:`ingest.reads.ledger.Reads` of ``rows``; add to them as the test goes on."""

    def __init__(self, rows: Sequence[LedgerRow] = (), available: bool = True) -> None:
        self.rows = list(rows)
        self.log: dict[int, Ends] = {}
        self.available = available

    async def events(self, query: EventQuery) -> list[EventRow]:
        self._check()
        wanted = [row for row in self.rows if _is_wanted(row, query)]
        wanted.sort(key=lambda row: -row.event_id)
        return [_event_row(row) for row in wanted[: query.limit]]

    async def voided(self, customer: str, events: Sequence[int]) -> set[int]:
        self._check()
        voids = {row.original or 0 for row in self.rows if row.kind == "void" and row.customer_id == customer}
        return voids.intersection(events)

    async def usage(self, query: UsageQuery, key: UsageKey) -> list[UsageRow]:
        self._check()
        groups: dict[str, list[LedgerRow]] = {}
        for row in self.rows:
            if row.kind in ("event", "charge", "void") and _is_counted(row, query):
                groups.setdefault(_KEYS[key](row), []).append(row)
        totals = {name: sum(row.total_cents for row in rows) for name, rows in groups.items()}
        return [_usage_row(name, groups[name]) for name in sorted(groups, key=lambda name: (-totals[name], name))]

    async def pending(self, query: UsageQuery, now: int) -> int:
        self._check()
        closed = {row.original for row in self.rows if row.customer_id == query.customer}
        return sum(
            row.price_bonus
            for row in self.rows
            if row.kind == "event"
            and row.outcome == "pending"
            and _is_counted(row, query)
            and row.event_id not in closed
            and (row.expires_at is None or row.expires_at > now)
        )

    async def audit(self, before: tuple[int, int], limit: int) -> list[AuditRow]:
        self._check()
        changes = [row for row in self.rows if row.kind == "config" and (row.recorded_at, row.event_id) < before]
        changes.sort(key=lambda row: (row.recorded_at, row.event_id), reverse=True)
        return [
            AuditRow(row.event_id, row.config_type, row.actor, row.detail, row.recorded_at) for row in changes[:limit]
        ]

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

    async def ends(self, partition: int) -> Ends:
        self._check()
        return self.log.get(partition, Ends(0, 0))

    async def ready(self) -> None:
        self._check()

    async def close(self) -> None:
        self.available = False

    def _check(self) -> None:
        if not self.available:
            raise ReadsUnavailable("memory")


_KEYS: dict[UsageKey, Callable[[LedgerRow], str]] = {
    "action": lambda row: row.action,
    "agent_id": lambda row: row.agent_id,
    "model": lambda row: row.model,
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
    ]
    return (
        row.kind in ("event", "rejected")
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


def _usage_row(name: str, rows: list[LedgerRow]) -> UsageRow:
    events = charges = tokens = total = charged = 0
    for row in rows:
        sign = -1 if row.kind == "void" else 1
        total += row.total_cents
        if row.kind == "charge" or (row.kind == "void" and row.config_type == "charge"):
            charges += sign
            charged += row.total_cents
        else:
            events += sign
            tokens += sign * row.tokens
    return UsageRow(name, events, charges, str(tokens), format_cents(total), format_cents(charged))


def _event_row(row: LedgerRow) -> EventRow:
    assert row.kind in ("event", "rejected")
    return EventRow(
        kind="event" if row.kind == "event" else "rejected",
        base=format_cents(row.base_cents),
        token=format_cents(row.token_cents),
        bonus=format_cents(row.bonus_cents),
        total=format_cents(row.total_cents),
        price_base=format_cents(row.price_base),
        price_token=format_cents(row.price_token),
        price_bonus=format_cents(row.price_bonus),
        **{field: getattr(row, field) for field in _SAME},
    )


_OWN = {"kind", "base", "token", "bonus", "total", "price_base", "price_token", "price_bonus"}
_SAME = [field for field in EventRow.__struct_fields__ if field not in _OWN]
