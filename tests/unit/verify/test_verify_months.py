"""The model of months of rev verify against the real pricer, over the machine of tests/unit/pricer/test_months."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import settings

from pricer.memory import MemoryShard
from schemas.commands import CloseMonth, Rates
from tests.unit.pricer.test_months import (
    CAPPED,
    DECEMBER,
    NOVEMBER,
    VOLUME,
    Months,
    close,
    decided,
    event,
    meter,
    priced,
    void,
)
from tests.unit.verify.pricer_ledger import check, rows_of
from tools.verify.row_values import Row


class VerifiedMonths(Months):
    """After every run of the machine, verify finds nothing, wherever the log begins."""

    def teardown(self) -> None:
        rows, length = list(rows_of(self.log)), len(self.log.raw[0])
        for first in (0, length // 3, length // 2):
            found, totals = asyncio.run(check(self.log, rows, {0: first}))
            assert found == []
            assert totals.differences == 0


TestVerifiedMonths = VerifiedMonths.TestCase
TestVerifiedMonths.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def months() -> MemoryShard:
    """A log with a capped and a settled month, with a void in it."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, CAPPED)
    meter(log, event(plain=700), event(plain=700), event())
    gone = decided(log, event(plain=5), customer="globex")
    meter(log, event(plain=5), customer="globex")
    void(log, gone)
    priced(log, VOLUME, customer_id="initech")
    meter(log, event(900, "1"), event(300, "1"), event(), customer="initech")
    log.now = DECEMBER
    close(log, customer="initech", own=True)
    return log


def test_nothing_differs() -> None:
    log = months()
    rows = list(rows_of(log))
    assert [row["total_cents"] for row in rows if row["kind"] == "adjustment"] == [Decimal("-9.12")]
    found, _ = asyncio.run(check(log, rows))
    assert found == []


def changed(rows: list[Row], kind: str, column: str, value: object) -> list[Row]:
    """The rows with one column of the last row of a kind changed."""
    at = max(place for place, row in enumerate(rows) if row["kind"] == kind)
    return [{**row, column: value} if place == at else row for place, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("total_cents", Decimal("-9.11")),
        ("token_cents", Decimal("-0.11")),
        ("lines", ()),
        ("event_time", DECEMBER),
        ("reason", "2026-10"),
        ("price_id", 1),
        ("credit_cents", Decimal(0)),
    ],
)
def test_a_wrong_adjustment_is_found(column: str, value: object) -> None:
    log = months()
    found, _ = asyncio.run(check(log, changed(list(rows_of(log)), "adjustment", column, value)))
    assert column in {difference.column for difference in found}


def test_a_missing_and_a_doubled_adjustment_are_found() -> None:
    """A close that was told twice leaves one entry, so a second one in the ledger is a difference."""
    log = months()
    log.append(b"initech", CloseMonth("initech", "2026-11", "chat", own=True))
    rows = list(rows_of(log))
    found, _ = asyncio.run(check(log, rows))
    assert found == []
    found, _ = asyncio.run(check(log, [row for row in rows if row["kind"] != "adjustment"]))
    assert [difference.what for difference in found] == ["missing"]


def test_an_event_above_the_cap_is_found() -> None:
    log = months()
    rows = list(rows_of(log))
    at = next(place for place, row in enumerate(rows) if any(line[0] == "cap" for line in row["lines"]))
    rows[at] = {
        **rows[at],
        "total_cents": rows[at]["total_cents"] + 1,
        "quantity_cents": rows[at]["quantity_cents"] + 1,
    }
    found, _ = asyncio.run(check(log, rows))
    assert {difference.column for difference in found} == {"total_cents", "quantity_cents"}


def test_a_log_that_begins_in_a_month_checks_what_it_can() -> None:
    """Rows of the month that began before the log need only agree with themselves; the next month is exact again."""
    log = months()
    log.now = DECEMBER + 1
    meter(log, event(plain=900), event(plain=900))
    rows = list(rows_of(log))
    found, totals = asyncio.run(check(log, rows, {0: 3}))
    assert found == []
    assert totals.differences == 0


def test_the_terms_are_checked_as_the_shard_checks_them() -> None:
    """A refused price leaves a rejected row, which the model expects."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    for rates in (
        Rates("1", "0", "0", tier_mode="volume"),
        Rates("1", "0", "0", cap="1", minimum="2"),
        Rates("1", "0", "0", cap="1", minimum="1"),
    ):
        priced(log, rates)
    rows = list(rows_of(log))
    assert [row["kind"] for row in rows] == ["rejected", "rejected", "config"]
    found, _ = asyncio.run(check(log, rows))
    assert found == []
