"""The SQL of invoices on the real engine equals plain Python on the same ledger."""

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from pyarrow import parquet

from collector.settling import SETTLING
from schemas.funding import Draw
from schemas.invoices import Period
from schemas.limits import DAY, HOUR
from schemas.money import DECIMALS, PICO, format_cents, parse_cents
from schemas.months import month_after, month_of, month_range
from streams.log_ends import KafkaLogEnds
from tests.integration.reads.conftest import EXACT, Ledger, filled
from tests.unit.collector.memory_invoicing import MemoryInvoicing, cycle_rows, sum_rows
from tests.unit.collector.test_closer import with_credit
from tests.unit.collector.test_stripe_meters import RULES, measured
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from tools.exporter import command
from tools.exporter.credit_postings import Use
from tools.exporter.destinations import Directory
from tools.exporter.manifest import load
from tools.exporter.paid_grants import paid_grants
from warehouse.invoice_sums import (
    CustomerPeriod,
    InvoiceSumRow,
    LedgerInvoicing,
    PeriodSums,
    cycle_period_sums,
    period_sums,
)
from warehouse.ledger_row import LedgerRow
from warehouse.meter_totals import MeterRow
from warehouse.queries import LedgerReads
from warehouse.statement_rows import StatementQuery
from warehouse.statements import statement
from warehouse.time_range import LAST, TimeRange

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


async def test_usage_and_exports_equal_the_reference(filled: Ledger, tmp_path: Path) -> None:
    """Usage between two accepted times, with late events and voids; entries as Parquet; credit that was paid for."""
    rng = random.Random(5)
    rows = [measured(row, rng) for row in made(5, 400)]
    grants = [granted(id, category) for id, category in ((1, "paid"), (2, ""), (3, "paid"))]
    rows = [*(drawn(row, rng) for row in rows), *grants]
    filled.insert(rows)
    reads = LedgerInvoicing(filled.engine, LedgerReads(filled.engine, KafkaLogEnds("")), 4)
    reference = MemoryInvoicing([row for row in rows if row.kind != "config"])
    lines = 0
    for since, as_of in ((0, START), (START, START + DAY), (START + DAY, START + 40 * DAY), (0, LAST)):
        for start, end in ((0, LAST), month_range("2026-11")):
            found = await reads.meter_totals(RULES, since, as_of, start, end)
            expected = await reference.meter_totals(RULES, since, as_of, start, end)
            assert [exact(row) for row in found] == [exact(row) for row in expected]
            lines += len(found)
    assert lines > 500

    def query(sql: str) -> Iterator[bytes]:
        yield filled.client.raw_query(sql)

    place = Directory(tmp_path)
    command.export_entries(load(place, "2026-11", "parquet"), query)
    place.close()
    table = parquet.read_table(tmp_path / "entries-0001.parquet")
    assert {str(table.schema.field(f"{name}_cents").type) for name in ("total", "base", "credit")} == {
        "decimal128(38, 12)"
    }
    start, end = month_range("2026-11")
    mine = {row.event_id: row for row in reference.rows if start <= row.event_time < end}
    assert {one["event_id"]: int(one["total_cents"].scaleb(DECIMALS, EXACT)) for one in table.to_pylist()} == {
        id: row.total_cents for id, row in mine.items()
    }
    assert {(str(one["kind"]), one["customer_id"], one["test"]) for one in table.to_pylist()} == {
        (row.kind, row.customer_id, row.test) for row in mine.values()
    }
    paid = paid_grants(query, lambda path: {"currency": "eur"}, "2026-12")
    used: dict[int, dict[str, Use]] = {1: {}, 3: {}}
    for row in reference.rows:
        for draw in row.draws if not row.test and month_of(row.recorded_at) <= "2026-12" else ():
            if draw.grant in used:
                month = month_of(row.recorded_at)
                before = used[draw.grant].get(month, Use(0, 0))
                cents = before.cents + parse_cents(draw.cents)
                used[draw.grant][month] = Use(cents, max(before.last, row.recorded_at))
    assert [(one.id, one.currency, one.amount, dict(one.used)) for one in paid] == [
        (id, "eur", 5 * PICO // 2, used[id]) for id in (1, 3)
    ]
    assert all(used.values())


def exact(row: MeterRow) -> tuple[object, ...]:
    return row.customer, row.hour, row.rule, Decimal(row.before), Decimal(row.after)


def granted(id: int, category: str) -> LedgerRow:
    more = f',"category":"{category}"' if category else ""
    detail = (
        f'{{"id":{id},"customer_id":"acme","amount_cents":2.5,"expires_at":null,'
        f'"created_at":"2026-10-02T00:00:00.000Z"{more}}}'
    )
    return LedgerRow(
        "config", id, "acme", config_type="credit.granted", detail=detail, event_time=START - 30 * DAY,
        recorded_at=START - 30 * DAY,
    )  # fmt: skip


def drawn(row: LedgerRow, rng: random.Random) -> LedgerRow:
    """Some entries of acme draw on two grants."""
    if row.customer_id != "acme" or rng.random() < 0.5:
        return row
    sign = -1 if row.kind == "void" else 1
    draws = tuple(Draw(id, format_cents(sign * rng.randrange(1, PICO))) for id in rng.sample([1, 2, 3], 2))
    return replace(row, draws=draws, credit_cents=sum(parse_cents(draw.cents) for draw in draws))
