"""Customers with periods of their own: whatever is set, whenever it dies, each entry is billed or credited once."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from collector import cycles
from collector.book import Book
from collector.invoicing import DEFAULT
from collector.settling import NotSettled
from schemas.billing import Billing
from schemas.billing_periods import CALENDAR, Schedule
from schemas.invoices import Invoice, Period
from schemas.limits import DAY, HOUR
from schemas.money import PICO, format_cents, parse_cents
from schemas.months import month_after, month_range
from tests.unit.collector.memory_invoicing import Journal, Killed, MemoryInvoicing, invoiced_in, is_late
from tests.unit.collector.test_billing_periods import SCHEDULES
from tests.unit.collector.test_closer import due, with_credit
from tests.unit.collector.test_notices import Collector, Shards, facts, heard
from tests.unit.statements.random_ledger import CUSTOMERS, START, made
from warehouse.invoice_sums import invoice_query
from warehouse.ledger_row import LedgerRow
from warehouse.memory_statements import scope, statement_rows
from warehouse.statement_rows import StatementQuery
from warehouse.statements import statement
from warehouse.time_range import LAST, TimeRange

FAR = START + 400 * DAY
BERLIN = "Europe/Berlin"


class Setting(NamedTuple):
    """A customer gets other settings after ``hours``."""

    hours: int
    customer: int
    schedule: Schedule
    threshold: int


SETTINGS = st.lists(
    st.builds(
        Setting,
        st.integers(0, 200 * 24),
        st.integers(0, 1),
        st.one_of(SCHEDULES, st.just(CALENDAR)),
        st.sampled_from([0, 0, 1, 50, 100_000]),
    ),
    max_size=8,
)
WAITS = st.lists(st.integers(1, 30 * 24), min_size=1, max_size=40)


async def lived(rows: list[LedgerRow], wanted: list[Setting], waits: list[int], deaths: list[str]) -> Collector:
    """A collector that lives through changes of settings, looks from time to time, and dies at some commits."""
    collector = Collector(Journal(deaths), Shards(), MemoryInvoicing(rows))
    times = [START + HOUR]
    for hours in waits:
        times.append(times[-1] + hours * HOUR)
    times += [max(times[-1], FAR) + days * DAY for days in (0, 1)]
    changes = sorted(wanted, key=lambda one: one.hours)
    for now in times:
        while changes and START + HOUR + changes[0].hours * HOUR <= now:
            await put(collector, changes.pop(0))
        await collector.run(now)
    return collector


async def put(collector: Collector, wanted: Setting) -> None:
    """PUT billing, repeated after a death."""
    collector.now = max(collector.now, START + HOUR + wanted.hours * HOUR)
    billing = Billing(schedule=wanted.schedule, threshold=wanted.threshold)
    while True:
        try:
            await collector.worker.set_billing(CUSTOMERS[wanted.customer], billing)
            return
        except Killed:
            collector.begin()


def held(book: Book, rows: list[LedgerRow], customer: str) -> dict[str, list[LedgerRow]]:
    """By number, the entries that each invoice and credit note of a customer is of."""
    found = {one.number: scope(rows, invoice_query(one)) for one in of(book, customer)}
    numbers = {one.period.month: one.number for one in of(book, customer)}
    cycle = book.cycles.get(customer)
    closed = book.closed() if cycle is None else book.closed_of(customer, cycle)
    for note in book.notes.values():
        if note.customer_id == customer:
            before = [one for one in closed if one.end < note.period.end]
            found[note.number] = [
                row
                for row in rows
                if row.kind == "void" and row.customer_id == customer and not row.test and is_late(row, note.period)
                if (place := invoiced_in(rows, row.original, before))
                and numbers[before[place - 1].month] == note.invoice
            ]
    return found


def of(book: Book, customer: str) -> list[Invoice]:
    """The final invoices of a customer, in order."""
    found = [one for (_, name), one in book.invoices.items() if name == customer]
    assert all(one.number for one in found), "no draft is left over"
    return sorted(found, key=lambda one: one.period.start)


def ledger(seed: int, count: int) -> list[LedgerRow]:
    """Entries that were accepted after invoicing began, also late ones from before it."""
    return [with_credit(row) for row in made(seed, count) if row.recorded_at > START + HOUR and row.total_cents]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), SETTINGS, WAITS, st.lists(st.sampled_from(["before", "after", "", ""]), max_size=40))
async def test_each_entry_is_on_one_invoice_or_credit_note(
    seed: int, wanted: list[Setting], waits: list[int], deaths: list[str]
) -> None:
    rows = ledger(seed, 70)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycles, "CHUNK", 1)
        collector = await lived(rows, wanted, waits, deaths)
        undisturbed = await lived(rows, wanted, waits, [])
    book = collector.worker.book
    assert plain(book) == plain(undisturbed.worker.book)
    for customer in CUSTOMERS:
        mine = [row for row in rows if row.customer_id == customer and not row.test]
        parts = held(book, rows, customer)
        seen = [row.event_id for some in parts.values() for row in some]
        assert sorted(seen) == sorted(row.event_id for row in mine)
        for one in of(book, customer):
            assert parse_cents(one.lines) == sum(row.total_cents for row in parts[one.number])
            assert one.entries == len(parts[one.number])
        notes = [note for note in book.notes.values() if note.customer_id == customer]
        for note in notes:
            assert parse_cents(note.voided) == -sum(map(due, parts[note.number]))
        account = book.accounts.get(customer)
        billed = sum(one.total for one in of(book, customer)) - sum(note.total for note in notes)
        exact = billed * PICO + (parse_cents(account.carried) if account else 0)
        assert exact == sum(map(due, mine)) == statements(rows, customer)
        assert_no_gap([one.period for one in of(book, customer)])
    numbers = sorted(one.number for one in book.invoices.values())
    assert numbers == [f"INV-{number:06d}" for number in range(1, len(numbers) + 1)]
    assert heard(collector.shards.events()) == facts(book)


def plain(book: Book) -> object:
    """What is held but for numbers, which go by the order in which customers were done."""
    invoices = {where: replace(one, number="") for where, one in book.invoices.items()}
    notes = [replace(note, number="", invoice="") for note in book.notes.values()]
    return invoices, sorted(notes, key=repr), book.accounts, book.cycles, book.periods


def statements(rows: list[LedgerRow], customer: str) -> int:
    """What the customer's statements of all months say is due, in pico-cents."""
    month, total = "2026-08", 0
    while month < "2028-03":
        query = StatementQuery(customer, False, TimeRange(*month_range(month)), LAST)
        total += statement(query, statement_rows(rows, query)).due
        month = month_after(month)
    return total


def assert_no_gap(periods: list[Period]) -> None:
    """Each begins at or after the end of the one before (between them are periods without entries), and none was closed
    before an earlier one."""
    for before, after in pairwise(periods):
        assert before.end <= after.start < after.end and before.as_of <= after.late_after <= after.as_of


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), SETTINGS, WAITS)
async def test_a_customer_with_settings_changes_nothing_for_others(
    seed: int, wanted: list[Setting], waits: list[int]
) -> None:
    """Their invoices and credit notes are the same but for the numbers, which go through all customers."""
    rows = ledger(seed, 70)
    others = [setting._replace(customer=1) for setting in wanted]
    found, alone = [(await lived(rows, some, waits, [])).worker.book for some in (others, [])]
    plain = [[replace(one, number="") for one in of(book, CUSTOMERS[0])] for book in (found, alone)]
    assert plain[0] == plain[1]
    assert [period.zone for one in plain[0] for period in [one.period]] == [""] * len(plain[0])


def event(at: str, cents: int, number: int, **more: object) -> LedgerRow:
    time = moment(at)
    row = LedgerRow(
        kind="event", event_id=number, customer_id=CUSTOMERS[0], agent_id="a", action="chat", event_time=time,
        recorded_at=time, base_cents=cents * PICO, total_cents=cents * PICO, price_base=cents * PICO,
    )  # fmt: skip
    return replace(row, **more)


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def spans(book: Book) -> list[tuple[str, str, str, int]]:
    """Each invoice's name, begin, end and entries."""

    def text(at: int) -> str:
        return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M}"

    return [
        (one.period.month, text(one.period.start), text(one.period.end), one.entries)
        for one in of(book, CUSTOMERS[0])
    ]  # fmt: skip


async def daily(collector: Collector, until: str) -> None:
    """Run once a day, at noon."""
    now = max(collector.now, START + HOUR) // DAY * DAY + DAY // 2
    while now < moment(until):
        await collector.run(now)
        now += DAY


EACH_DAY = [event(f"2026-{month}-{day:02d}T12:00", 1, 100 * month + day) for month in (11, 12) for day in range(1, 31)]


async def test_a_change_in_the_middle_of_a_month() -> None:
    """The month ends early, at the new settings' next end; weeks follow; then back, and the week ends as planned."""
    collector = Collector(Journal(), Shards(), MemoryInvoicing(EACH_DAY))
    await daily(collector, "2026-11-12T12:00")
    weekly = Billing(schedule=Schedule("week", 1, BERLIN))
    await collector.worker.set_billing(CUSTOMERS[0], weekly)
    await daily(collector, "2026-11-25T12:00")
    await collector.worker.set_billing(CUSTOMERS[0], DEFAULT)
    await daily(collector, "2027-02-02T12:00")
    assert spans(collector.worker.book) == [
        ("2026-11-0001", "2026-11-01 00:00", "2026-11-15 23:00", 15),
        ("2026-11-0002", "2026-11-15 23:00", "2026-11-22 23:00", 7),
        ("2026-11-0003", "2026-11-22 23:00", "2026-11-29 23:00", 7),
        ("2026-11-0004", "2026-11-29 23:00", "2026-12-01 00:00", 1),
        ("2026-12-0005", "2026-12-01 00:00", "2027-01-01 00:00", 30),
    ]


async def test_a_change_after_a_month_that_is_not_closed_yet() -> None:
    """In the grace period the month that has ended is everybody's still; its own periods begin after it."""
    collector = Collector(Journal(), Shards(), MemoryInvoicing(EACH_DAY))
    await daily(collector, "2026-11-30T13:00")
    await collector.run(moment("2026-12-01T00:30"))
    draft = next(iter(collector.worker.book.invoices.values()))
    assert (draft.state, draft.period.month) == ("draft", "2026-11")
    anchored = Billing(schedule=Schedule("month", 15))
    await collector.worker.set_billing(CUSTOMERS[0], anchored)
    await daily(collector, "2027-01-20T12:00")
    assert spans(collector.worker.book) == [
        ("2026-11", "2026-11-01 00:00", "2026-12-01 00:00", 30),
        ("2026-12-0001", "2026-12-01 00:00", "2026-12-15 00:00", 14),
        ("2026-12-0002", "2026-12-15 00:00", "2027-01-15 00:00", 16),
    ]


async def test_a_threshold_ends_a_period_early() -> None:
    """Once more is due than the threshold; the rest of the period follows, and ends as planned."""
    collector = Collector(Journal(), Shards(), MemoryInvoicing(EACH_DAY))
    await daily(collector, "2026-11-02T12:00")
    await collector.worker.set_billing(CUSTOMERS[0], Billing(threshold=12))
    await daily(collector, "2027-01-02T13:00")
    found = spans(collector.worker.book)
    assert [(name, entries) for name, _, _, entries in found] == [
        ("2026-11-0001", 13), ("2026-11-0002", 13), ("2026-11-0003", 4), ("2026-12-0004", 13), ("2026-12-0005", 13),
        ("2026-12-0006", 4),
    ]  # fmt: skip
    assert [end for _, _, end, _ in found][2::3] == ["2026-12-01 00:00", "2027-01-01 00:00"]
    one = of(collector.worker.book, CUSTOMERS[0])[0]
    assert (one.total, one.state) == (13, "final")


async def test_drafts_come_first_and_a_failure_stops_no_other() -> None:
    rows = [*EACH_DAY, *(replace(row, customer_id=CUSTOMERS[1], event_id=row.event_id + 5000) for row in EACH_DAY)]
    collector = Collector(Journal(), Shards(), MemoryInvoicing(rows))
    await daily(collector, "2026-11-03T12:00")
    for customer in CUSTOMERS:
        await collector.worker.set_billing(customer, Billing(schedule=Schedule("week", 1)))
    await collector.run(moment("2026-11-09T00:10"))
    book = collector.worker.book
    assert {(one.state, one.number, one.entries) for one in book.invoices.values()} == {("draft", "", 8)}
    real = book.accounts.__class__

    class Failing(real):  # type: ignore[misc, valid-type]
        def get(self, name: str, default: object = None) -> object:
            if name == CUSTOMERS[0]:
                raise ValueError(name)
            return super().get(name, default)

    book.accounts = Failing(book.accounts)
    await collector.run(moment("2026-11-09T02:00"))
    states = {one.customer_id: (one.state, one.number) for one in book.invoices.values()}
    assert states == {CUSTOMERS[0]: ("draft", ""), CUSTOMERS[1]: ("final", "INV-000001")}
    collector.begin()
    await collector.run(moment("2026-11-09T03:00"))
    assert {one.number for one in collector.worker.book.invoices.values()} == {"INV-000001", "INV-000002"}


async def test_what_waits_for_the_ledger_is_not_closed() -> None:
    collector = Collector(Journal(), Shards(), MemoryInvoicing(EACH_DAY))
    await daily(collector, "2026-11-03T12:00")
    await collector.worker.set_billing(CUSTOMERS[0], Billing(schedule=Schedule("week", 1), threshold=3))
    collector.reads.settled_until = moment("2026-11-04T00:00")
    await collector.run(moment("2026-11-06T12:00"))
    assert not collector.worker.book.invoices, "a threshold waits in silence"
    with pytest.raises(NotSettled):
        await collector.run(moment("2026-11-09T12:00"))
    collector.reads.settled_until = LAST
    await collector.run(moment("2026-11-09T12:00"))
    assert [one.entries for one in of(collector.worker.book, CUSTOMERS[0])] == [8]
    assert format_cents(8 * PICO) == of(collector.worker.book, CUSTOMERS[0])[0].lines
