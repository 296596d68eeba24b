"""What the collector reads of the ledger: sums of a period by customer, and whether a time is settled."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from schemas.invoices import Invoice, Period
from schemas.limits import TIMESTAMP_AHEAD
from schemas.meters import MeterRule
from schemas.settings import Settings
from streams.log_ends import KafkaLogEnds
from warehouse.meter_totals import MeterReads, MeterRow
from warehouse.queries import LedgerReads
from warehouse.reader import ClickHouseReader, QueryRunner
from warehouse.statement_rows import StatementLineRow, StatementQuery
from warehouse.statements import statement
from warehouse.time_range import TimeRange


class InvoiceSumRow(msgspec.Struct, frozen=True, gc=False):
    """A customer's sum in a period, decimal text in cents; ``credit``: what prepaid credit paid of it.

    ``month`` 0: of the entries that its invoice is of; else of voids of what the ``month``-th closed period's is of.
    """

    customer: str
    month: int
    entries: int
    cents: str
    credit: str = "0"


class PeriodSums(NamedTuple):
    """``lines``: the sum of each customer's entries. ``voided``: by customer, and by the month of the invoice."""

    lines: dict[str, InvoiceSumRow]
    voided: dict[str, dict[str, InvoiceSumRow]]


class CustomerPeriod(NamedTuple):
    """A customer's period of its own; ``closed``: those before it that hold entries of the customer, in order."""

    customer: str
    period: Period
    closed: Sequence[Period]


class InvoicingReads(Protocol):
    """The reads of the collector. Each may raise ReadsUnavailable."""

    async def sums(self, period: Period, closed: Sequence[Period]) -> PeriodSums:
        """Return the sums of a period; ``closed``: the periods before it, in order."""
        ...

    async def cycle_sums(self, periods: Sequence[CustomerPeriod]) -> PeriodSums:
        """Return the sums of periods of single customers, one for each. Their ``first`` is the same."""
        ...

    async def is_settled(self, as_of: int) -> bool:
        """Return whether the ledger has every entry that was accepted until ``as_of``, ms in the past."""
        ...

    async def lines(self, invoice: Invoice) -> list[StatementLineRow]:
        """Return the lines of an invoice. Raises Unbalanced or TooManyLines, too."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class CollectorReads(InvoicingReads, MeterReads, Protocol):
    """All reads of the collector."""


class LedgerInvoicing:
    """Implementation of :class:`CollectorReads` from ClickHouse and the log."""

    def __init__(self, runner: QueryRunner, reads: LedgerReads, partitions: int) -> None:
        self._runner = runner
        self._reads = reads
        self._partitions = partitions

    async def sums(self, period: Period, closed: Sequence[Period]) -> PeriodSums:
        rows = await self._runner.fetch(
            "invoice_sums",
            InvoiceSumRow,
            start=period.start,
            end=period.end,
            first=period.first,
            late_after=period.late_after,
            as_of=period.as_of,
            since=max(period.start - TIMESTAMP_AHEAD, 0),
            ends=[one.end for one in closed],
            closes=[one.as_of for one in closed],
        )
        return period_sums(rows, closed)

    async def cycle_sums(self, periods: Sequence[CustomerPeriod]) -> PeriodSums:
        rows = await self._runner.fetch(
            "period_sums",
            InvoiceSumRow,
            customers=[one.customer for one in periods],
            starts=[one.period.start for one in periods],
            period_ends=[one.period.end for one in periods],
            first=periods[0].period.first,
            lates=[one.period.late_after for one in periods],
            as_ofs=[one.period.as_of for one in periods],
            since=max(min(one.period.start for one in periods) - TIMESTAMP_AHEAD, 0),
            ends=[[before.end for before in one.closed] for one in periods],
            closes=[[before.as_of for before in one.closed] for one in periods],
        )
        return cycle_period_sums(rows, periods)

    async def is_settled(self, as_of: int) -> bool:
        found = await asyncio.gather(*(self._reads.is_settled(number, as_of) for number in range(self._partitions)))
        return all(found)

    async def lines(self, invoice: Invoice) -> list[StatementLineRow]:
        query = invoice_query(invoice)
        return statement(query, await self._reads.statement(query)).lines

    async def meter_totals(
        self, rules: Sequence[MeterRule], since: int, as_of: int, start: int, end: int
    ) -> list[MeterRow]:
        metrics, actions = [rule.metric for rule in rules], [rule.action for rule in rules]
        return await self._runner.fetch(
            "meter_totals", MeterRow, metrics=metrics, actions=actions, since=since, as_of=as_of, start=start, end=end
        )

    async def close(self) -> None:
        await self._reads.close()


def invoice_query(invoice: Invoice) -> StatementQuery:
    """Return the query of the entries that an invoice is of."""
    period = invoice.period
    time = TimeRange(period.start, period.end)
    return StatementQuery(invoice.customer_id, False, time, period.as_of, period.late_after, period.first)


def period_sums(rows: Sequence[InvoiceSumRow], closed: Sequence[Period]) -> PeriodSums:
    """Return the rows of a period by customer and month."""
    sums = PeriodSums({}, {})
    for row in rows:
        if row.month == 0:
            sums.lines[row.customer] = row
        else:
            sums.voided.setdefault(row.customer, {})[closed[row.month - 1].month] = row
    return sums


def cycle_period_sums(rows: Sequence[InvoiceSumRow], periods: Sequence[CustomerPeriod]) -> PeriodSums:
    """Return the rows of customers' periods by customer and period."""
    sums = PeriodSums({}, {})
    for one in periods:
        found = period_sums([row for row in rows if row.customer == one.customer], one.closed)
        sums.lines.update(found.lines)
        sums.voided.update(found.voided)
    return sums


def open_invoicing(settings: Settings) -> LedgerInvoicing:
    """Return the reads of the collector. It connects only at the first one."""
    engine = ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    return LedgerInvoicing(engine, LedgerReads(engine, KafkaLogEnds(settings.kafka)), settings.partitions)
