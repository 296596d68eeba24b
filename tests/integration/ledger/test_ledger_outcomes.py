"""Outcomes in the ledger: their rows, and what rev.outcomes and the revenue views make of them."""

import itertools
from decimal import Decimal

import msgspec
import pytest

from ledger.blocks import Block, LogRecord
from ledger.store import LedgerTable
from schemas.commands import MeterEvent, OnExpiry, PriceRef, Rates
from schemas.entries import Entry, EntryRecord, Verdict, encode
from schemas.ids import event_id, outcome_id
from warehouse.client import ClickHouse
from warehouse.errors import InsertRefused

pytestmark = pytest.mark.integration

AT = 1_774_915_200_000
"""2026-03-31T00:00:00Z; record i is accepted i seconds later."""
BONUS = "500.000000000001"
PRICE = PriceRef(7, "lead.qualified", Rates("1", "0.00001", BONUS), 12)
TASK = MeterEvent("sales", "outcome_charge")
LEAD = MeterEvent("mailer", "lead.qualified", tokens=100, outcome="pending")
_tokens = itertools.count()
NULL = "ᴺᵁᴸᴸ"


def moment(record: int) -> str:
    """Accepted time of a record as ClickHouse prints it."""
    return f"2026-03-31 00:00:{record:02d}.000"


class Book:
    """One partition's records, each with one entry, as the pricer writes them for one customer.
    What opens or closes returns its event id."""

    def __init__(self, partition: int) -> None:
        self.customer = f"outcomes-{partition}"
        self._partition = partition
        self._records: list[LogRecord] = []

    def register(self, task: str, success: str, failure: str = "0", on_expiry: OnExpiry = "failure") -> int:
        event = msgspec.structs.replace(TASK, outcome="pending", task_id=task, on_expiry=on_expiry)
        detail = msgspec.Raw(b'{"status":"pending"}')
        return self._open(
            Entry("registered", event=event, price_on_success=success, price_on_failure=failure, detail=detail)
        )

    def pending(self, test: bool = False) -> int:
        """A meter event that costs 1.001 cents at once and opens an outcome."""
        return self._open(Entry("event", event=LEAD, price=0, base="1", token="0.001", total="1.001"), test)

    def close(self, opened: int, verdict: Verdict, charge: str = "0", event: MeterEvent = TASK) -> int:
        entry = Entry(
            "waived" if charge == "0" else "charge",
            event=event,
            bonus=charge,
            total=charge,
            outcome_id=outcome_id(opened),
            original=opened,
            verdict=verdict,
            detail=msgspec.Raw(b'{"status":"%s","evidence":{"n":1.00}}' % verdict.encode()),
        )
        return self.add(entry)

    def void(self, original: int, opened: int, amounts: tuple[str, str, str, str], event: MeterEvent) -> int:
        base, token, bonus, total = amounts
        entry = Entry("void", event=event, base=base, token=token, bonus=bonus, total=total, original=original)
        of = None if original == opened else "charge"
        return self.add(
            msgspec.structs.replace(entry, outcome_id=outcome_id(opened), type=of, reason="mistake", actor="admin")
        )

    def add(self, entry: Entry, test: bool = False) -> int:
        offset, at = 3 * len(self._records), AT + 1000 * len(self._records)
        prices = [PRICE] if entry.price == 0 else []
        record = EntryRecord(self.customer, offset, at, [entry], prices, api_key_id=4, test=test)
        self._records.append(LogRecord(len(self._records), at, encode(record)))
        return event_id(self._partition, offset)

    def _open(self, entry: Entry, test: bool = False) -> int:
        id = outcome_id(event_id(self._partition, 3 * len(self._records)))
        return self.add(msgspec.structs.replace(entry, outcome_id=id, expires_at=AT + 3_600_000), test)

    async def store(self, db: ClickHouse) -> None:
        table = LedgerTable(db, lambda: f"o{next(_tokens)}")
        await table.take_over(self._partition)
        await table.write(self._partition, Block(-1, tuple(self._records)))


@pytest.fixture
def book(partition: int) -> Book:
    return Book(partition)


async def outcome(db: ClickHouse, opened: int, columns: str) -> list[str]:
    (row,) = await db.execute(f"SELECT {columns} FROM rev.outcomes WHERE outcome_id = '{outcome_id(opened)}'")
    return row


STANDING = "status, charge_cents, revenue_cents, voided, resolved_at, resolution_ms, closed_by"


async def test_a_registered_outcome_from_its_opening_to_its_void(db: ClickHouse, book: Book) -> None:
    """The row of an outcome says what it was promised for, how it ended, what that cost and what was taken back."""
    price = "4900.123456789012"
    opened = book.register("ticket-1", price, "0.000000000001", "success")
    book.add(Entry("event", event=LEAD))
    charged = book.close(opened, "succeeded", price)
    book.void(charged, opened, ("0", "0", f"-{price}", f"-{price}"), TASK)
    await book.store(db)
    columns = "task_id, customer_id, agent_id, action, opened_by, event_id, price_on_success_cents, "
    columns += "price_on_failure_cents, on_expiry, opened_at, expires_at, voided_at, detail, test"
    assert await outcome(db, opened, columns) == [
        *("ticket-1", book.customer, "sales", "outcome_charge", "registered", str(opened), price, "0.000000000001"),
        *("success", moment(0), "2026-03-31 01:00:00.000", moment(3), '{"status":"succeeded","evidence":{"n":1.00}}'),
        "false",
    ]
    assert await outcome(db, opened, STANDING) == ["succeeded", price, "0", "true", moment(2), "2000", str(charged)]


async def test_an_open_outcome_is_pending(db: ClickHouse, book: Book) -> None:
    """Until the closing entry is in the ledger an outcome is pending, also when its time is over."""
    registered, event = book.register("ticket", "4900"), book.pending()
    await book.store(db)
    for opened in (registered, event):
        assert await outcome(db, opened, STANDING) == ["pending", NULL, "0", "false", NULL, NULL, NULL]
    assert await outcome(db, registered, "detail, on_expiry") == ['{"status":"pending"}', "failure"]
    columns = "opened_by, price_on_success_cents, price_on_failure_cents, on_expiry, action, task_id, detail"
    assert await outcome(db, event, columns) == ["event", BONUS, "0", "failure", "lead.qualified", "", ""]


@pytest.mark.parametrize(
    ("verdict", "charge"),
    [
        ("succeeded", "999999999.999999999999"),
        ("succeeded", "0"),
        ("failed", "0.000000000001"),
        ("failed", "0"),
        ("expired", "4900.5"),
        ("expired", "0"),
    ],
)
async def test_every_way_to_end(db: ClickHouse, book: Book, verdict: Verdict, charge: str) -> None:
    """A verdict with money is a charge of exactly that, one without is waived; an expiry may cost the success price."""
    opened = book.register("ticket", "4900.5", on_expiry="success")
    closed = book.close(opened, verdict, charge)
    await book.store(db)
    assert await outcome(db, opened, STANDING) == [*(verdict, charge, charge, "false", moment(1), "1000", str(closed))]
    sql = f"SELECT kind, verdict, total_cents, bonus_cents, original FROM rev.entries WHERE event_id = {closed}"
    kind = "waived" if charge == "0" else "charge"
    assert await db.execute(sql) == [[kind, verdict, charge, charge, str(opened)]]


async def test_a_pending_event_that_is_voided(db: ClickHouse, book: Book) -> None:
    """The void of the event that opened it leaves the outcome open and voided; its verdict then charges nothing."""
    opened = book.pending()
    book.void(opened, opened, ("-1", "-0.001", "0", "-1.001"), LEAD)
    await book.store(db)
    assert (await outcome(db, opened, STANDING))[:4] == ["pending", NULL, "0", "true"]
    book.close(opened, "succeeded", event=LEAD)
    await book.store(db)
    assert (await outcome(db, opened, STANDING))[:4] == ["succeeded", "0", "0", "true"]


async def test_an_event_voided_after_its_outcome_ended(db: ClickHouse, book: Book) -> None:
    """What the outcome charged stands until it is taken back itself."""
    opened = book.pending()
    charge = book.close(opened, "succeeded", BONUS, event=LEAD)
    book.void(opened, opened, ("-1", "-0.001", "0", "-1.001"), LEAD)
    await book.store(db)
    assert (await outcome(db, opened, STANDING))[:4] == ["succeeded", BONUS, BONUS, "false"]
    book.void(charge, opened, ("0", "0", f"-{BONUS}", f"-{BONUS}"), LEAD)
    await book.store(db)
    assert (await outcome(db, opened, STANDING))[:4] == ["succeeded", BONUS, "0", "true"]


async def test_success_and_revenue_of_agents(db: ClickHouse, book: Book) -> None:
    """Counts by state, an exact success rate and revenue net of voids for each agent; test keys are left out."""
    book.close(book.register("a", "100.000000000001"), "succeeded", "100.000000000001")
    taken = book.register("b", "100")
    book.void(book.close(taken, "succeeded", "100"), taken, ("0", "0", "-100", "-100"), TASK)
    book.close(book.register("c", "100", "0.5"), "failed", "0.5")
    book.close(book.register("d", "100"), "failed")
    book.close(book.register("e", "100", on_expiry="success"), "expired", "100")
    book.close(book.register("f", "100"), "expired")
    book.register("g", "100")
    book.pending()
    book.pending(test=True)
    await book.store(db)
    sql = f"SELECT * EXCEPT customer_id FROM rev.outcomes_by_agent WHERE customer_id = '{book.customer}' ORDER BY 1"
    assert await db.execute(sql) == [
        ["mailer", "1", "1", "0", "0", "0", "0", NULL, "0"],
        ["sales", "7", "1", "2", "2", "2", "6", "0.333333333333", "200.500000000001"],
    ]


async def test_revenue_counts_charges_and_voids_where_the_original_counted(db: ClickHouse, book: Book) -> None:
    """A void of an event takes back the event, its tokens and its cents; a void of a charge only the cents."""
    kept, voided, charged = book.pending(), book.pending(), book.pending()
    book.void(voided, voided, ("-1", "-0.001", "0", "-1.001"), LEAD)
    book.close(kept, "succeeded", BONUS, LEAD)
    charge = book.close(charged, "succeeded", BONUS, LEAD)
    book.void(charge, charged, ("0", "0", f"-{BONUS}", f"-{BONUS}"), LEAD)
    book.close(book.register("ticket", "4900"), "failed", "0.1")
    book.pending(test=True)
    await book.store(db)
    lead, task = 2 * Decimal("1.001") + Decimal(BONUS), Decimal("0.1")
    for view, names in (
        ("agent", {"mailer": lead, "sales": task}),
        ("action", {"lead.qualified": lead, "outcome_charge": task}),
        ("customer", {book.customer: lead + task}),
    ):
        name = {"agent": "agent_id", "action": "action", "customer": "customer_id"}[view]
        sql = f"SELECT {name}, events, revenue_cents, tokens FROM rev.revenue_by_{view} "
        rows = await db.execute(f"{sql} WHERE customer_id = '{book.customer}' ORDER BY 1")
        counts = {name: ("0", "0") if cents == task else ("2", "200") for name, cents in names.items()}
        assert rows == [[name, counts[name][0], str(cents), counts[name][1]] for name, cents in names.items()]


CHARGE = Entry("charge", event=TASK, bonus="1", total="1", outcome_id="oc_1", original=1, verdict="succeeded")


@pytest.mark.parametrize(
    "entry",
    [
        msgspec.structs.replace(CHARGE, verdict=None),
        msgspec.structs.replace(CHARGE, outcome_id=None),
        msgspec.structs.replace(CHARGE, total="2"),
        msgspec.structs.replace(CHARGE, kind="waived", verdict=None),
        Entry("registered", event=TASK),
        Entry("void", base="-1", total="-2"),
    ],
    ids=range(6),
)
async def test_half_an_outcome_is_refused(db: ClickHouse, book: Book, entry: Entry) -> None:
    """No closing without verdict and outcome, no opening without an outcome, no total that its parts do not come to."""
    book.add(entry)
    with pytest.raises(InsertRefused):
        await book.store(db)
