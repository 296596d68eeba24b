"""The gateway's named reads of the ledger.

They return numbers as the rows hold them; the HTTP layer formats them.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from schemas.limits import TIMESTAMP_AHEAD
from schemas.money import parse_cents
from schemas.settings import Settings
from streams.errors import EndsUnknown
from streams.log_ends import MARKER, KafkaLogEnds, LogEnds, PartitionEnds
from warehouse.errors import ReadsUnavailable
from warehouse.reader import ClickHouseReader, QueryRunner, Value
from warehouse.rows import (
    EVERYTHING,
    MAX_COMPONENTS,
    Amount,
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
    LastUse,
    Number,
    OutcomeQuery,
    OutcomeRow,
    Reached,
    TaskCustomer,
    UsageKey,
    UsageQuery,
    UsageSumRow,
    VoidedRow,
)
from warehouse.statement_rows import StatementLineRow, StatementQuery, StatementRows, StatementSumRow
from warehouse.statements import MAX_LINES, MAX_VOIDS

FROM_ROWS_ONLY = ("model",)
"""Keys that the hourly projection does not have."""
MOST_KEYS = 100_000
"""Bytes of keys in one query: a server accepts at most 128 KiB for a parameter."""


class Reads(Protocol):
    """The reads of the ledger. Each may raise ReadsUnavailable."""

    async def events(self, query: EventQuery) -> list[EventRow]:
        """Return at most ``query.limit`` events, newest first."""
        ...

    async def lookup(self, customer: str, test: bool, keys: Sequence[str]) -> list[EventRow]:
        """Return a customer and mode's charged events with one of these idempotency keys, each key given once."""
        ...

    async def imports(self, query: ImportQuery) -> list[ImportRow]:
        """Return the sums of at most ``query.limit`` imports, the most recently extended first."""
        ...

    async def voided(self, customer: str, events: Sequence[int]) -> dict[int, str]:
        """Return the voided ones of a customer's events, with the reason."""
        ...

    async def entries(self, events: Sequence[int]) -> list[EntryRow]:
        """Return the entries with these ids, of any customer."""
        ...

    async def entry(self, event: int, customer: str = "") -> EntryRow | None:
        """Return the entry with this id, of a customer or of any customer."""
        ...

    async def outcomes(self, query: OutcomeQuery) -> list[OutcomeRow]:
        """Return what opened at most ``query.limit`` outcomes, newest first."""
        ...

    async def closings(self, customer: str, events: Sequence[int]) -> dict[int, ClosingRow]:
        """Return what closed outcomes of a customer, by the event id of what opened them."""
        ...

    async def task_customers(self, task: str, test: bool | None, since: int) -> list[str]:
        """Return up to two customers that metered or registered something for a task since a time in ms; of either mode
        if ``test`` is None."""
        ...

    async def usage(self, query: UsageQuery, key: UsageKey) -> list[UsageSumRow]:
        """Return sums by one key, the largest total first, then by name."""
        ...

    async def components(self, query: UsageQuery, by_model: bool) -> list[ComponentSumRow]:
        """Return sums by component, or by component and model: the largest first, at most MAX_COMPONENTS."""
        ...

    async def pending(self, query: UsageQuery, now: int) -> int:
        """Return the pico-cents that the outcomes still open at ``now`` (ms) would add if all succeeded."""
        ...

    async def audit(self, before: tuple[int, int], limit: int, only: AuditFilter = EVERYTHING) -> list[AuditRow]:
        """Return configuration changes and voids before (recorded_at, event id), newest first."""
        ...

    async def last_used(self, keys: Sequence[int]) -> dict[int, int]:
        """Return the last use in ms of each API key that was ever used, by id."""
        ...

    async def reached(self, partition: int) -> Reached:
        """Return the highest offsets of a partition in the ledger."""
        ...

    async def ends(self, partition: int) -> PartitionEnds:
        """Return the end offsets of a partition of the log."""
        ...

    async def statement(self, query: StatementQuery) -> StatementRows:
        """Return the lines of a statement and their sums; more than MAX_LINES lines mean that some are missing."""
        ...

    async def is_settled(self, partition: int, as_of: int) -> bool:
        """Return whether the ledger has all entries of a partition accepted until ``as_of``, ms in the past."""
        ...

    async def deliveries(
        self, webhook: int, before: DeliveryPosition, limit: int, delivery: str = ""
    ) -> list[DeliveryRow]:
        """Return attempts of an endpoint before a position, newest first; ``delivery``: only of this delivery."""
        ...

    async def ready(self) -> None:
        """Return when the ledger can be read. Raises ReadsUnavailable when it cannot."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


async def find_event(reads: Reads, customer: str, event: int, test: bool) -> EventRow | None:
    """Return the row of one event of a customer and mode, if the ledger has it."""
    rows = await reads.events(EventQuery(customer, test=test, at_least=event, at_most=event, limit=1))
    return rows[0] if rows else None


def open_reads(settings: Settings) -> "LedgerReads":
    """Return the reads of a gateway. It connects only at the first read."""
    engine = ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    return LedgerReads(engine, KafkaLogEnds(settings.kafka))


class LedgerReads:
    """Implementation of :class:`Reads` from ClickHouse and, for the ends of the log, from the broker."""

    def __init__(self, runner: QueryRunner, ends: LogEnds) -> None:
        self._runner = runner
        self._ends = ends

    async def events(self, query: EventQuery) -> list[EventRow]:
        time = query.time.clamped()
        return await self._runner.fetch(
            "events",
            EventRow,
            customer=query.customer,
            at_least=query.at_least,
            at_most=query.at_most,
            tests=[0, 1] if query.test is None else [int(query.test)],
            agent=query.agent,
            action=query.action,
            outcome=query.outcome,
            idempotency_key=query.idempotency_key,
            import_id=query.import_id,
            start=time.start,
            end=time.end,
            limit=query.limit,
        )

    async def lookup(self, customer: str, test: bool, keys: Sequence[str]) -> list[EventRow]:
        parts = _parts(keys)
        found = [self._runner.fetch("lookup", EventRow, customer=customer, test=test, keys=part) for part in parts]
        return [row for rows in await asyncio.gather(*found) for row in rows]

    async def imports(self, query: ImportQuery) -> list[ImportRow]:
        return await self._runner.fetch(
            "imports",
            ImportRow,
            customer=query.customer,
            test=query.test,
            import_id=query.import_id,
            before_time=query.before[0],
            before_id=query.before[1],
            before_customer=query.before[2],
            limit=query.limit,
        )

    async def voided(self, customer: str, events: Sequence[int]) -> dict[int, str]:
        if not events:
            return {}
        given = sorted(events)
        rows = await self._runner.fetch("voided", VoidedRow, customer=customer, least=given[0], events=given)
        return {row.original: row.reason for row in rows}

    async def entries(self, events: Sequence[int]) -> list[EntryRow]:
        return await self._runner.fetch("entries", EntryRow, customer="", events=sorted(events)) if events else []

    async def entry(self, event: int, customer: str = "") -> EntryRow | None:
        rows = await self._runner.fetch("entries", EntryRow, events=[event], customer=customer)
        return rows[0] if rows else None

    async def outcomes(self, query: OutcomeQuery) -> list[OutcomeRow]:
        time = query.time.clamped()
        return await self._runner.fetch(
            "outcomes",
            OutcomeRow,
            customer=query.customer,
            at_most=query.at_most,
            tests=[0, 1] if query.test is None else [int(query.test)],
            agent=query.agent,
            status=query.status,
            now=query.now,
            start=time.start,
            end=time.end,
            limit=query.limit,
        )

    async def closings(self, customer: str, events: Sequence[int]) -> dict[int, ClosingRow]:
        if not events:
            return {}
        given = sorted(events)
        rows = await self._runner.fetch("closings", ClosingRow, customer=customer, least=given[0], events=given)
        return {row.original: row for row in rows}

    async def task_customers(self, task: str, test: bool | None, since: int) -> list[str]:
        tests = [0, 1] if test is None else [int(test)]
        rows = await self._runner.fetch("task_customers", TaskCustomer, task=task, tests=tests, since=since)
        return [row.customer_id for row in rows]

    async def usage(self, query: UsageQuery, key: UsageKey) -> list[UsageSumRow]:
        parameters = {**_usage_parameters(query), "most": query.ranks(key)}
        if query.time.on_hours and not query.model and key not in FROM_ROWS_ONLY:
            del parameters["model"]
            return await self._runner.fetch("usage_hours", UsageSumRow, key=key, **parameters)
        return await self._runner.fetch("usage_exact", UsageSumRow, key=key, **parameters)

    async def components(self, query: UsageQuery, by_model: bool) -> list[ComponentSumRow]:
        parameters = {**_usage_parameters(query), "by_model": by_model, "most": MAX_COMPONENTS}
        return await self._runner.fetch("usage_components", ComponentSumRow, **parameters)

    async def pending(self, query: UsageQuery, now: int) -> int:
        rows = await self._runner.fetch("pending", Amount, now=now, **_usage_parameters(query))
        return parse_cents(rows[0].total)

    async def audit(self, before: tuple[int, int], limit: int, only: AuditFilter = EVERYTHING) -> list[AuditRow]:
        return await self._runner.fetch(
            "audit", AuditRow, before_time=before[0], before_id=before[1], limit=limit, **only._asdict()
        )

    async def deliveries(
        self, webhook: int, before: DeliveryPosition, limit: int, delivery: str = ""
    ) -> list[DeliveryRow]:
        return await self._runner.fetch(
            "deliveries",
            DeliveryRow,
            webhook=webhook,
            before_time=before[0],
            before_partition=before[1],
            before_offset=before[2],
            limit=limit,
            delivery=delivery,
        )

    async def statement(self, query: StatementQuery) -> StatementRows:
        time = query.time.clamped()
        late_after = query.as_of if query.late_after is None else query.late_after
        scope: dict[str, Value] = {
            "customer": query.customer,
            "test": query.test,
            "start": time.start,
            "end": time.end,
            "as_of": query.as_of,
            "late_after": late_after,
            "first": query.first,
            "since": max(min(time.start, late_after) - TIMESTAMP_AHEAD, 0),
        }
        sums = await self._runner.fetch("statement_sums", StatementSumRow, **scope)
        each = sum(row.entries for row in sums if row.kind == "void") <= MAX_VOIDS
        lines = await self._runner.fetch("statement_lines", StatementLineRow, each=each, limit=MAX_LINES + 1, **scope)
        return StatementRows(lines, sums)

    async def is_settled(self, partition: int, as_of: int) -> bool:
        later = await self._runner.fetch("accepted_later", Number, partition=partition, after=as_of)
        if later[0].number:
            return True  # rows arrive in the order of their accepted times
        try:
            if not await self._ends.decided(partition, as_of):
                return False
        except EndsUnknown as error:
            raise ReadsUnavailable("the position of the shard") from error
        # the end was read after the decisions were known to be committed, so it lies behind all of them
        ends = await self.ends(partition)
        reached = await self.reached(partition)
        return ends.entries - 1 - reached.entries <= (MARKER if reached.entries >= 0 else 0)

    async def last_used(self, keys: Sequence[int]) -> dict[int, int]:
        if not keys:
            return {}
        rows = await self._runner.fetch("last_used", LastUse, keys=sorted(keys))
        return {row.id: row.at for row in rows}

    async def reached(self, partition: int) -> Reached:
        return (await self._runner.fetch("reached", Reached, partition=partition))[0]

    async def ends(self, partition: int) -> PartitionEnds:
        try:
            return await self._ends.of(partition)
        except EndsUnknown as error:
            raise ReadsUnavailable("the ends of the log") from error

    async def ready(self) -> None:
        await self._runner.fetch("ready", Number)

    async def close(self) -> None:
        await self._runner.close()
        await self._ends.close()


def _parts(keys: Sequence[str]) -> list[list[str]]:
    """Split the keys into lists of at most MOST_KEYS bytes as they are sent, quoted and escaped."""
    parts: list[list[str]] = []
    room = 0
    for key in keys:
        size = 2 * len(key.encode()) if "'" in key or "\\" in key else len(key.encode())
        if size + 4 > room:
            parts.append([])
            room = MOST_KEYS
        parts[-1].append(key)
        room -= size + 4
    return parts


def _usage_parameters(query: UsageQuery) -> dict[str, Value]:
    time = query.time.clamped()
    return {
        "customer": query.customer,
        "test": query.test,
        "start": time.start,
        "end": time.end,
        "agent": query.agent,
        "action": query.action,
        "model": query.model,
    }
