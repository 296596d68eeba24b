"""Statements of random ledgers: nothing is lost between entries and lines, and a statement stays what it was."""

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.statements.statement_views import as_csv, as_json, shown
from schemas.limits import DAY
from schemas.money import parse_cents
from schemas.months import month_after, month_of, month_range
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from warehouse.ledger_row import LedgerRow
from warehouse.memory_statements import scope, statement_rows
from warehouse.statement_rows import StatementQuery
from warehouse.statements import MAX_LINES, MAX_VOIDS, Statement, TooManyLines, Unbalanced, statement
from warehouse.time_range import TimeRange

SEEDS = st.integers(0, 2**32)
MONTHS = ("2026-10", "2026-11", "2026-12", "2027-01")


def asked(month: str, as_of: int, customer: str = "acme", test: bool = False) -> StatementQuery:
    return StatementQuery(customer, test, TimeRange(*month_range(month)), as_of)


def statement_of(rows: list[LedgerRow], query: StatementQuery) -> Statement:
    return statement(query, statement_rows(rows, query))


@settings(deadline=None)
@given(SEEDS, st.sampled_from(MONTHS), st.integers(0, 100), st.sampled_from(CUSTOMERS), st.booleans())
def test_the_lines_are_the_entries(seed: int, month: str, days: int, customer: str, test: bool) -> None:
    """Lines, subtotal and due add up to the entries; a line of a charge is its quantity times its rate."""
    rows = made(seed, 60)
    query = asked(month, START - 30 * DAY + days * DAY, customer, test)
    found = statement_of(rows, query)
    mine = [
        row
        for row in rows
        if row.customer_id == customer
        and row.test == test
        and month_of(row.event_time) == month
        and row.recorded_at <= query.as_of
    ]
    assert found.due == sum(row.total_cents for row in mine)
    assert found.voided == sum(row.total_cents for row in mine if row.kind == "void") <= 0
    voids = [line for line in found.lines if line.kind == "void"]
    assert sorted((line.event_id, line.original) for line in voids) == [
        (row.event_id, row.original) for row in mine if row.kind == "void"
    ]
    for line in found.lines:
        if line.kind in ("event", "charge"):
            assert Decimal(line.quantity) * Decimal(line.rate) == Decimal(line.cents) * line.per
    body = json.loads(as_json(shown(month, found)), parse_float=Decimal, parse_int=Decimal)
    assert sum(line["amount_cents"] for line in body["lines"]) == body["due_cents"]
    table = list(csv.DictReader(io.StringIO(as_csv(shown(month, found)).decode())))
    assert sum(parse_cents(line["amount_cents"]) for line in table) == found.due
    assert not any(value.startswith(("=", "+", "@")) for line in table for value in line.values())


@settings(deadline=None)
@given(SEEDS, st.sampled_from(MONTHS), st.integers(1, 59))
def test_the_same_time_gives_the_same_bytes(seed: int, month: str, kept: int) -> None:
    """Whatever is accepted later, voids and late events among it, and in whatever order the rows are read."""
    rows = made(seed, 60)
    query = asked(month, rows[kept - 1].recorded_at)
    before = shown(month, statement_of(rows[:kept], query))
    after = shown(month, statement_of(rows[::-1], query))
    assert as_json(before) == as_json(after)
    assert as_csv(before) == as_csv(after)


@settings(deadline=None)
@given(SEEDS, st.integers(0, 3 * DAY))
def test_months_with_late_entries_divide_the_ledger(seed: int, grace: int) -> None:
    """Each entry is in one month's scope, or is the void of an entry in an earlier one."""
    rows = made(seed)
    first, late_after = month_range("2026-11").start, month_range("2026-11").start
    seen: dict[int, str] = {}
    month, as_of = "2026-11", 0
    while as_of < rows[-1].recorded_at:
        time = TimeRange(*month_range(month))
        as_of = time.end + grace
        for row in scope(rows, StatementQuery("acme", False, time, as_of, late_after, first)):
            assert row.event_id not in seen
            seen[row.event_id] = month
        late_after, month = as_of, month_after(month)
    for row in rows:
        mine = row.customer_id == "acme" and not row.test and (row.event_time >= first or row.recorded_at > first)
        assert row.event_id in seen or not mine or (row.kind == "void" and row.original in seen) or is_open(row, month)


def is_open(row: LedgerRow, month: str) -> bool:
    """An entry whose month is not closed yet."""
    return month_of(row.event_time) >= month


def test_a_price_changed_in_mid_month_makes_two_lines() -> None:
    row = replace(made(1, 1)[0], kind="event", customer_id="acme", test=False, event_time=START, recorded_at=START)
    row = replace(
        row, base_cents=5, price_base=5, total_cents=5, token_cents=0, bonus_cents=0, quantity_cents=0, lines=()
    )
    later = replace(row, event_id=row.event_id + 1024 * 64, price_id=9, base_cents=7, price_base=7, total_cents=7)
    lines = statement_of([row, row, later], asked("2026-11", START + 1)).lines
    assert [(line.quantity, parse_cents(line.rate), parse_cents(line.cents), line.entries) for line in lines] == [
        ("2", 5, 10, 2),
        ("1", 7, 7, 1),
    ]


def test_many_voids_are_summed_and_too_many_lines_refused() -> None:
    charge = next(row for row in made(3) if row.kind == "event" and row.customer_id == "acme" and not row.test)
    charge = replace(charge, event_time=START, recorded_at=START, import_id="old")
    voids = [
        replace(charge, kind="void", event_id=number << 16, original=number, total_cents=-1)
        for number in range(MAX_VOIDS + 1)
    ]
    query = asked("2026-11", START)
    (line,) = statement_of(voids, query).lines
    assert (line.entries, line.event_id, line.import_id, parse_cents(line.cents)) == (MAX_VOIDS + 1, 0, "old", -1001)
    assert len(statement_of(voids[1:], query).lines) == MAX_VOIDS
    many = [
        replace(charge, action=str(number), lines=(), base_cents=1, total_cents=1, token_cents=0, bonus_cents=0)
        for number in range(MAX_LINES + 1)
    ]
    assert len(statement_of(many[1:], query).lines) == MAX_LINES
    with pytest.raises(TooManyLines):
        statement_of(many, query)


def test_lines_that_do_not_add_up_are_no_statement() -> None:
    """An entry whose parts are not its total, which the ledger never accepts, is refused with the customer's name."""
    row = next(row for row in made(3) if row.kind == "event" and row.customer_id == "acme" and not row.test)
    with pytest.raises(Unbalanced, match="acme"):
        statement_of([replace(row, total_cents=row.total_cents + 1)], asked(month_of(row.event_time), row.recorded_at))
