"""Months of random ledgers are closed: exact, gapless, each entry once, whatever dies in between."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from collector import closer as closing
from collector.book import Book
from collector.closer import Closer
from collector.invoicing import Refused
from collector.settling import SETTLING, NotSettled
from schemas.invoices import Invoice, Period
from schemas.limits import DAY, HOUR
from schemas.money import PICO, parse_cents
from schemas.months import month_range
from tests.unit.collector.memory_invoicing import (
    Journal,
    Killed,
    MemoryInvoicing,
    invoiced_in,
    is_late,
    of_invoice,
)
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from warehouse.ledger_row import LedgerRow

SEEDS = st.integers(0, 2**32)
END = month_range("2026-11").end
TIMES = [START + DAY, END + 10_000, END + HOUR, END + 40 * DAY, END + 80 * DAY, END + 120 * DAY]
"""When the collector runs: within the first month, at its end, after the grace, and later."""


async def run(journal: Journal, reads: MemoryInvoicing, times: list[int] = TIMES) -> Book:
    """What is held after a collector has run at each of these times, started anew after each death."""
    owner = journal.closer(reads, HOUR)
    for now in times:
        more = True
        while more:
            try:
                more = await owner.step(now)
            except Killed:
                owner = journal.closer(reads, HOUR)
    book = Book()
    book.load(journal.held.items())
    assert vars(book) == vars(owner.book)
    return book


@settings(deadline=None, max_examples=50)
@given(SEEDS)
async def test_invoices_notes_and_what_is_carried_are_the_ledger(seed: int) -> None:
    """Less what prepaid credit paid."""
    rows = [with_credit(row) for row in made(seed) if row.total_cents]
    book = await run(Journal(), MemoryInvoicing(rows))
    closed = book.closed()
    assert [period.month for period in closed] == ["2026-11", "2026-12", "2027-01", "2027-02"]
    seen: list[int] = []
    for customer in CUSTOMERS:
        exact = 0
        for period in closed:
            mine = of_invoice(rows, period, customer)
            voids = [row for row in rows if row.kind == "void" and row.customer_id == customer and not row.test]
            credited = [row for row in voids if is_late(row, period) and invoiced_in(rows, row.original, closed)]
            credited = [row for row in credited if invoiced_in(rows, row.original, closed[: closed.index(period)])]
            exact += sum(due(row) for row in [*mine, *credited])
            seen += [row.event_id for row in [*mine, *credited]]
            invoice = book.invoices.get((period.month, customer))
            assert (invoice is None) == (not mine)
            if invoice is not None:
                assert parse_cents(invoice.lines) == sum(row.total_cents for row in mine)
                assert parse_cents(invoice.credits) == sum(row.credit_cents or 0 for row in mine)
                assert parse_cents(invoice.lines) - parse_cents(invoice.credits) + parse_cents(invoice.carried_in) == (
                    invoice.total * PICO + parse_cents(invoice.carried_out)
                )
                assert invoice.total >= 0 and invoice.credited <= invoice.total
                assert invoice.total == 0 or -PICO // 2 <= parse_cents(invoice.carried_out) < PICO // 2
            notes = [
                note
                for note in book.notes.values()
                if (note.period.month, note.customer_id) == (period.month, customer)
            ]
            assert sum(parse_cents(note.voided) for note in notes) == -sum(map(due, credited))
            assert all(note.invoice in {one.number for one in of(book, customer)} for note in notes)
        totals = sum(one.total for one in of(book, customer)) - sum(
            note.total for note in book.notes.values() if note.customer_id == customer
        )
        account = book.accounts.get(customer)
        assert totals * PICO + (parse_cents(account.carried) if account else 0) == exact
    assert len(seen) == len(set(seen))
    numbers = sorted(one.number for one in book.invoices.values())
    assert numbers == [f"INV-{number:06d}" for number in range(1, len(numbers) + 1)]
    assert sorted(book.notes) == [f"CN-{number:06d}" for number in range(1, len(book.notes) + 1)]


def with_credit(row: LedgerRow) -> LedgerRow:
    """A third of what the first customer's events cost is paid by credit, and given back by their voids."""
    if row.customer_id != CUSTOMERS[0]:
        return row
    paid = abs(row.total_cents) // 3
    return replace(row, credit_cents=paid if row.total_cents > 0 else -paid)


def due(row: LedgerRow) -> int:
    return row.total_cents - (row.credit_cents or 0)


def of(book: Book, customer: str) -> list[Invoice]:
    return [one for (_, name), one in book.invoices.items() if name == customer]


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.lists(st.sampled_from(["before", "after", ""]), max_size=40))
async def test_a_death_at_any_commit_changes_nothing(seed: int, deaths: list[str]) -> None:
    """Also with one customer for each transaction: the same records as without a death."""
    rows = made(seed, 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "CHUNK", 1)
        undisturbed, disturbed = Journal(), Journal(deaths)
        await run(undisturbed, MemoryInvoicing(rows))
        await run(disturbed, MemoryInvoicing(rows))
    assert disturbed.held == undisturbed.held and undisturbed.commits > 8


async def test_a_month_is_drafted_then_final() -> None:
    """A draft has no number; the final invoice takes its place, with what came in the grace period."""
    rows, journal = made(1), Journal()
    reads = MemoryInvoicing(rows)
    book = await run(journal, reads, [START + DAY, END + 10_000])
    drafts = list(book.invoices.values())
    assert {(one.state, one.number) for one in drafts} == {("draft", "")} and book.periods["2026-11"].state == "draft"
    book = await run(journal, reads, [END + HOUR])
    assert {one.state for one in book.invoices.values()} <= {"final", "paid"}
    assert book.periods["2026-11"].as_of == END + HOUR - SETTLING
    assert len(book.invoices) >= len(drafts)


async def test_it_waits_for_the_ledger() -> None:
    reads, journal = MemoryInvoicing(made(1)), Journal()
    await run(journal, reads, [START + DAY])
    reads.settled_until = END
    with pytest.raises(NotSettled, match="does not hold everything"):
        await run(journal, reads, [END + 2 * HOUR])
    assert not Closer(_loaded(journal), reads, journal.commit, HOUR).book.invoices
    reads.settled_until = END + 2 * HOUR
    assert (await run(journal, reads, [END + 2 * HOUR])).closed()


async def test_a_customer_that_fails_stops_no_other() -> None:
    """The month stays open; when the cause is gone, the numbers go on without a gap."""
    rows, journal = made(1), Journal()
    reads = MemoryInvoicing(rows)
    book = await run(journal, reads, [START + DAY, END + HOUR])
    owner = journal.closer(reads, HOUR)
    real = owner._closed

    def failing(issuer: object, period: object, name: str, *rest: object) -> object:
        if name == CUSTOMERS[0]:
            raise ValueError(name)
        return real(issuer, period, name, *rest)  # type: ignore[arg-type]

    owner._closed = failing  # type: ignore[assignment, method-assign]
    with pytest.raises(NotSettled, match="1 customers could not be invoiced for 2026-12"):
        await owner.step(END + 40 * DAY)
    assert owner.book.periods["2026-12"].state == "closing"
    assert (CUSTOMERS[1] in owner.book.accounts) and owner.book.accounts[CUSTOMERS[1]].through == "2026-12"
    book = await run(journal, reads, [END + 40 * DAY])
    numbers = sorted(one.number for one in book.invoices.values())
    assert numbers == [f"INV-{number:06d}" for number in range(1, len(numbers) + 1)]
    assert book.periods["2026-12"].state == "closed"


async def test_a_draft_that_fails_stops_no_other() -> None:
    """The others have drafts, and the month closes in time with everybody when the cause is gone."""
    reads, journal = MemoryInvoicing(made(1)), Journal()
    await run(journal, reads, [START + DAY])
    owner = journal.closer(reads, HOUR)
    real = owner._drafted

    def failing(period: Period, name: str, *rest: Any) -> Invoice:
        if name == CUSTOMERS[0]:
            raise ValueError(name)
        return real(period, name, *rest)

    owner._drafted = failing  # type: ignore[method-assign]
    with capture_logs() as logs:
        assert await owner.step(END + SETTLING)
    assert owner.book.periods["2026-11"].state == "draft"
    assert {one.customer_id for one in owner.book.invoices.values()} == set(CUSTOMERS[1:])
    assert [line["customer"] for line in logs if line["event"] == "invoice_failed"] == [CUSTOMERS[0]]
    book = await run(journal, reads, [END + HOUR])
    assert {one.customer_id for one in book.invoices.values()} == set(CUSTOMERS)


async def test_which_months_may_be_closed() -> None:
    """Not before the grace is over, in their order, and an earlier one only before the first."""
    reads, journal = MemoryInvoicing(made(1)), Journal()
    await run(journal, reads, [END + DAY])  # begins with December
    owner = journal.closer(reads, HOUR)
    with pytest.raises(Refused, match="month 2026-12 is not closed yet; its invoices are made from 2027-01-01T01:00"):
        await owner.close("2026-12", END + DAY)
    with pytest.raises(Refused, match="month must be 2026-12, the first one that is not closed, not 2027-01"):
        await owner.close("2027-01", END + 80 * DAY)
    shown = await owner.preview("2026-11", END + DAY)
    assert shown and {one.state for one in shown} == {"draft"} and not owner.book.invoices
    made_now = await owner.close("2026-11", END + DAY)
    assert [(one.customer_id, one.lines, one.total) for one in made_now] == [
        (one.customer_id, one.lines, one.total) for one in shown
    ]
    assert await owner.close("2026-11", END + DAY) == made_now == await owner.preview("2026-11", END + 2 * DAY)
    with pytest.raises(Refused, match="month must be 2026-12"):
        await owner.close("2026-10", END + 90 * DAY)


def _loaded(journal: Journal) -> Book:
    book = Book()
    book.load(journal.held.items())
    return book
