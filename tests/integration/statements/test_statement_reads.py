"""The SQL of statements on the real engine equals plain Python on the same ledger."""

import pytest
from msgspec.structs import asdict

from schemas.limits import DAY
from schemas.months import month_range
from tests.integration.reads.conftest import Ledger, filled
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from warehouse.memory_statements import statement_rows
from warehouse.row_events import canonical
from warehouse.statement_rows import StatementQuery, StatementRows
from warehouse.statements import MAX_VOIDS, statement
from warehouse.time_range import TimeRange

pytestmark = pytest.mark.integration
__all__ = ["filled"]
NOVEMBER = TimeRange(*month_range("2026-11"))


def plain(rows: StatementRows) -> object:
    """Rows without the trailing zeros that an engine may write."""
    texts = ("quantity", "rate", "cents")
    lines = [asdict(line) | {name: canonical(getattr(line, name)) for name in texts} for line in rows.lines]
    return lines, [(row.kind, row.entries, canonical(row.cents)) for row in rows.sums]


async def test_statements_equal_the_reference(filled: Ledger) -> None:
    """Of both customers and modes, as of several times; also with entries from before, as an invoice has them."""
    rows = made(7, 600)
    filled.insert(rows)
    lines = late = 0
    for customer in (*CUSTOMERS, "nobody"):
        for test in (False, True):
            for as_of in (START + 7 * DAY, NOVEMBER.end, NOVEMBER.end + 30 * DAY):
                for late_after in (None, START + DAY):
                    query = StatementQuery(customer, test, NOVEMBER, as_of, late_after, START - 10 * DAY)
                    real = await filled.reads.statement(query)
                    assert plain(real) == plain(statement_rows(rows, query)), query
                    assert statement(query, real).query == query
                    lines += len(real.lines)
                    late += sum(line.late for line in real.lines)
    assert lines > 500 and late > 50


async def test_many_voids_are_summed(filled: Ledger) -> None:
    rows = [row for seed in range(60) for row in made(seed, 200) if row.kind == "void" and row.customer_id == "acme"]
    assert len(rows) > MAX_VOIDS
    filled.insert(rows)
    query = StatementQuery("acme", False, TimeRange(START - 60 * DAY, START + 90 * DAY), START + 90 * DAY)
    real = await filled.reads.statement(query)
    assert plain(real) == plain(statement_rows(rows, query))
    assert {line.event_id for line in real.lines} == {0}
