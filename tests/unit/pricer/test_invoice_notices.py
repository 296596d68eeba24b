"""Notices of invoices become entries once, whatever is repeated; verify derives the same rows."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.events import domain_events
from pricer.memory import MemoryShard
from pricer.processor import Misaddressed
from schemas import entries
from schemas.commands import InvoiceNotice
from tests.unit.verify.pricer_ledger import check, rows_of

CUSTOMERS = ("acme", "globex", "initech")


def notice(number: int) -> InvoiceNotice:
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    detail = msgspec.Raw(b'{"number":"INV-%06d","customer_id":"%s"}' % (number, customer.encode()))
    return InvoiceNotice(customer, number, "invoice.created", detail)


def told(log: MemoryShard) -> list[bytes]:
    """The bodies of the events that endpoints hear of."""
    records = [(p, record) for p, partition in enumerate(log.entries) for record in partition]
    return [
        event.body() for p, record in records for event in domain_events(p, record.offset, entries.decode(record.value))
    ]


@given(st.lists(st.integers(1, 12), max_size=40))
def test_a_repeat_leaves_nothing(starts: list[int]) -> None:
    """Whoever sends goes on from where it knows, in order, maybe from the beginning; each notice is told once."""
    log = MemoryShard(2)
    log.now = 1_793_491_200_000
    last = 0
    for start in starts:
        for number in range(min(start, last + 1), max(last, start) + 1):
            command = notice(number)
            log.append(command.customer_id.encode(), command)
        last = max(last, start)
    bodies = told(log)
    assert len(bodies) == last
    for number in range(1, last + 1):
        assert sum(b'"data":' + bytes(notice(number).detail) + b"}" in body for body in bodies) == 1
    found, totals = asyncio.run(check(log, list(rows_of(log))))
    assert found == [] and totals.differences == 0


def test_a_missing_and_a_doubled_row_are_found() -> None:
    log = MemoryShard(1)
    for number in (1, 2, 2):
        log.append(notice(number).customer_id.encode(), notice(number))
    rows = list(rows_of(log))
    assert [(row["kind"], row["config_type"], row["actor"]) for row in rows] == 2 * [
        ("config", "invoice.created", "collector")
    ]
    found, _ = asyncio.run(check(log, rows[:1]))
    assert [difference.what for difference in found] == ["missing"]
    found, _ = asyncio.run(check(log, [rows[0], {**rows[1], "detail": "{}"}]))
    assert {difference.column for difference in found} == {"detail.number", "detail.customer_id"}


@pytest.mark.parametrize("first", [1, 2])
def test_what_is_older_than_the_log_may_be_a_repeat(first: int) -> None:
    """Where retention has deleted the first notices, verify takes the row or none, and then knows."""
    log = MemoryShard(1)
    log.now = 1_793_491_200_000
    for number in (1, 2, 1, 3):
        log.append(notice(number).customer_id.encode(), notice(number))
    rows = list(rows_of(log))
    found, _ = asyncio.run(check(log, rows, {0: first}))
    assert found == []


def test_another_key_is_refused() -> None:
    """It is kept among the dead letters, and nobody hears of it."""
    log = MemoryShard(1)
    with pytest.raises(Misaddressed):
        log.append(b"hooli", notice(1))
    rejected = log.pricer.reject(log.raw[0][0], "InvoiceNotice under key hooli")
    assert rejected.entries is not None and b'"rejected"' in rejected.entries
