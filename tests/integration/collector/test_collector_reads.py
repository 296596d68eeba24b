"""The SQL of invoices on the real engine equals plain Python on the same ledger."""

import pytest

from collector.settling import SETTLING
from schemas.invoices import Period
from schemas.limits import DAY, HOUR
from schemas.money import parse_cents
from schemas.months import month_after, month_range
from streams.log_ends import KafkaLogEnds
from tests.integration.reads.conftest import Ledger, filled
from tests.unit.collector.memory_invoicing import cycle_rows, sum_rows
from tests.unit.collector.test_closer import with_credit
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from warehouse.invoice_sums import (
    CustomerPeriod,
    InvoiceSumRow,
    LedgerInvoicing,
    PeriodSums,
    cycle_period_sums,
    period_sums,
)
from warehouse.queries import LedgerReads
from warehouse.statement_rows import StatementQuery
from warehouse.statements import statement
from warehouse.time_range import TimeRange

pytestmark = pytest.mark.integration
__all__ = ["filled"]


def plain(sums: PeriodSums) -> object:
    """Sums without the trailing zeros that an engine may write."""

    def one(row: InvoiceSumRow) -> tuple[int, int, int]:
        return row.entries, parse_cents(row.cents), parse_cents(row.credit)

    lines = {name: one(row) for name, row in sums.lines.items()}
    return lines, {name: {month: one(row) for month, row in rows.items()} for name, rows in sums.voided.items()}


async def test_sums_and_lines_equal_the_reference(filled: Ledger) -> None:
    """Month after month: what each invoice adds up to, what is credited of which, and the lines."""
    rows = [with_credit(row) for row in made(11, 600)]
    filled.insert(rows)
    reads = LedgerInvoicing(filled.engine, LedgerReads(filled.engine, KafkaLogEnds("")), 4)
    closed: list[Period] = []
    month, credits = "2026-11", 0
    for _ in range(4):
        start, end = month_range(month)
        first = closed[0].first if closed else start
        late_after = closed[-1].as_of if closed else first
        as_of = end + HOUR - SETTLING + len(closed) * 2 * DAY
        period = Period(month, start, end, first=first, late_after=late_after, as_of=as_of, state="closing")
        found = await reads.sums(period, closed)
        assert plain(found) == plain(period_sums(sum_rows(rows, period, closed), closed)), month
        for name, row in found.lines.items():
            query = StatementQuery(name, False, TimeRange(start, end), as_of, late_after, first)
            lines = statement(query, await filled.reads.statement(query))
            assert lines.due == parse_cents(row.cents) - parse_cents(row.credit)
        credits += sum(len(of) for of in found.voided.values())
        closed.append(period)
        month = month_after(month)
    assert credits > 1
    # the same of customers that have periods of their own, each with others, together in one query
    weeks: list[list[Period]] = [[], []]
    credits = 0
    for turn in range(12):
        asked = []
        for name, before, days in zip(CUSTOMERS, weeks, (7, 11), strict=True):
            start = before[-1].end if before else START
            late_after = before[-1].as_of if before else START
            end = start + days * DAY
            as_of = end + (turn % 3) * DAY
            period = Period(
                f"2026-11-{turn:04d}", start, end, first=START, late_after=late_after, as_of=as_of, state="closed"
            )
            asked.append(CustomerPeriod(name, period, list(before)))
            before.append(period)
        found = await reads.cycle_sums(asked)
        assert plain(found) == plain(cycle_period_sums(cycle_rows(rows, asked), asked)), turn
        credits += sum(len(of) for of in found.voided.values())
    assert credits > 1
