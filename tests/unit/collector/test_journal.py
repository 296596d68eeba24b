"""The journal of random histories of invoices and prepaid credit balances to zero, in each month and over all."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings

from collector.book import Book
from collector.invoicing import Refused, marked, paid
from schemas.invoice_objects import invoice_shown, note_shown
from schemas.limits import DAY, HOUR
from schemas.money import PICO
from schemas.months import month_of, month_range
from tests.unit.collector.memory_invoicing import Journal, MemoryInvoicing
from tests.unit.collector.test_closer import SEEDS, TIMES, run, with_credit
from tests.unit.statements.random_ledger import START, made
from tools.exporter.credit_postings import PaidGrant, Use, credit_postings
from tools.exporter.paid_grants import paid_grants
from tools.exporter.postings import Posting, postings

FIRST = "2026-10"
MONTHS = [FIRST, *("2026-11", "2026-12", "2027-01", "2027-02", "2027-03", "2027-04")]


class Credit:
    """A grant as the shard treats it: draws until it expires, voids at any time, exact amounts."""

    def __init__(self, rng: random.Random, id: int) -> None:
        self.amount = rng.choice([PICO, rng.randrange(1, 2000 * PICO), rng.randrange(1, PICO)])
        self.left = self.amount
        self.created_at = month_range(FIRST).start + rng.randrange(150 * DAY)
        self.expires_at = self.created_at + rng.randrange(1, 90 * DAY) if rng.random() < 0.6 else None
        self.id = id
        self.drawn: list[int] = []
        self.used: dict[str, Use] = {}
        at = self.created_at
        while (at := at + rng.randrange(1, 10 * DAY)) < month_range(MONTHS[-1]).end:
            if self.drawn and rng.random() < 0.3:
                self._use(at, -self.drawn.pop(rng.randrange(len(self.drawn))))
            elif self.left and (self.expires_at is None or at < self.expires_at):
                part = self.left if rng.random() < 0.2 else rng.randrange(1, self.left + 1)
                self.drawn.append(part)
                self._use(at, part)

    def _use(self, at: int, cents: int) -> None:
        self.left -= cents
        before = self.used.get(month_of(at), Use(0, 0))
        self.used[month_of(at)] = Use(before.cents + cents, at)

    def paid(self) -> PaidGrant:
        return PaidGrant(self.id, "acme", "usd", self.amount, self.created_at, self.expires_at, self.used)


def whole(pico: int) -> int:
    return (2 * pico + PICO) // (2 * PICO)


async def invoiced(seed: int, rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
    """Invoices of months of random events, some paid, void, given up; and their credit notes."""
    reads = MemoryInvoicing([with_credit(row) for row in made(seed, 120)])
    book: Book = await run(Journal(), reads, TIMES)
    shown, notes = [], {}
    for invoice in book.invoices.values():
        now = (invoice.finalized_at or invoice.created_at) + rng.randrange(1, 40 * DAY)
        for _ in range(rng.randrange(3)):
            try:
                match rng.randrange(3):
                    case 0:
                        invoice = paid(invoice, str(now), rng.randrange(1, max(invoice.balance, 1) + 1), now)
                    case 1:
                        invoice = marked(invoice, "void", now)
                    case _:
                        invoice = marked(invoice, "give_up", now)
            except Refused:
                pass
            now += rng.randrange(1, 20 * DAY)
        shown.append(plain(invoice_shown(invoice)))
        notes[invoice.number] = [plain(note_shown(note)) for note in book.notes_of(invoice.number)]
    return shown, notes


def plain(shown: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(shown))


def sums(posted: Sequence[Posting], *by: str) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = defaultdict(int)
    for one in posted:
        found[tuple(str(getattr(one, name)) for name in by)] += one.debit_cents - one.credit_cents
    return found


@settings(deadline=None, max_examples=60)
@given(SEEDS)
async def test_the_journal_balances(seed: int) -> None:
    """Each document, each month and all of it; what is deferred is what is left of what was paid for."""
    rng = random.Random(seed)
    invoices, notes = await invoiced(seed, rng)
    grants = [Credit(rng, id) for id in range(1, rng.randrange(2, 8))]
    every: list[Posting] = []
    for month in MONTHS:
        posted = [*postings(month, invoices, notes), *credit_postings(month, [one.paid() for one in grants])]
        assert set(sums(posted).values()) <= {0} and set(sums(posted, "document", "memo").values()) <= {0}
        assert {month_of_text(one.date) for one in posted} <= {month}
        assert all(one.debit_cents >= 0 and one.credit_cents >= 0 for one in posted)
        every += posted
        check_credit(every, grants, month_range(month).end)
    accounts = sums(every, "account")
    due = sum(one["balance_cents"] for one in invoices if one["state"] in ("final", "paid"))
    assert accounts["accounts_receivable",] == due


def month_of_text(date: str) -> str:
    return date[:7]


def check_credit(every: Sequence[Posting], grants: Sequence[Credit], end: int) -> None:
    """What each grant's accounts are at a month's end: computed from its draws, not from postings."""
    accounts = sums([one for one in every if one.document.startswith("credit-")], "document", "account")
    for grant in grants:
        if grant.created_at >= end:
            assert not [key for key in accounts if key[0] == f"credit-{grant.id}"]
            continue
        used = sum(use.cents for month, use in grant.used.items() if month_range(month).end <= end)
        expired = grant.expires_at is not None and grant.expires_at < end
        revenue, amount = whole(used), whole(grant.amount)
        wanted = {"cash": amount, "revenue": -revenue}
        wanted["breakage_revenue" if expired else "deferred_revenue"] = revenue - amount
        found = {account: cents for (of, account), cents in accounts.items() if of == f"credit-{grant.id}" and cents}
        assert found == {account: cents for account, cents in wanted.items() if cents}
        assert 0 <= revenue <= amount


def test_a_promotional_grant_is_not_asked_for_and_a_paid_one_is_read() -> None:
    """What is asked of the ledger, and what its rows mean."""
    detail = (
        '{"id":65536,"customer_id":"a/b","amount_cents":0.000000000001,"left_cents":5,"expires_at":null,"priority":50,'
        '"reason":"x","created_at":"2026-11-02T00:00:00.000Z","test":false,"category":"paid"}'
    )
    asked: list[str] = []

    def query(sql: str) -> Iterator[bytes]:
        asked.append(sql)
        row = ["65536", "2026-11", str(START + DAY), "0.25"] if "ARRAY JOIN" in sql else [detail]
        yield msgspec.json.encode(row) + b"\n"

    def get(path: str) -> Any:
        assert path == "/api/admin/customers/a%2Fb/billing"
        return {"currency": "eur"}

    grant = PaidGrant(65536, "a/b", "eur", 1, START + DAY, None, {"2026-11": Use(PICO // 4, START + DAY)})
    assert paid_grants(query, get, "2026-11") == [grant]
    end = f"recorded_at < fromUnixTimestamp64Milli({month_range('2026-11').end}, 'UTC')"
    assert all(end in sql and "NOT test" in sql and "'category') = 'paid'" in sql for sql in asked)
    assert paid_grants(lambda sql: iter(()), get, "2026-11") == []


def test_breakage_is_a_line_of_its_own() -> None:
    """Half is drawn, the rest expires; a void after that makes more of it expire."""
    at = month_range("2026-11").start
    used = {"2026-11": Use(60 * PICO, at + HOUR), "2026-12": Use(-10 * PICO, at + 40 * DAY)}
    grant = PaidGrant(7, "acme", "usd", 100 * PICO, at, at + 20 * DAY, used)
    lines = [
        (one.date[:10], one.account, one.debit_cents, one.credit_cents, one.memo)
        for month in MONTHS
        for one in credit_postings(month, [grant])
    ]
    assert lines == [
        ("2026-11-01", "cash", 100, 0, "prepaid credit 7 is paid"),
        ("2026-11-01", "deferred_revenue", 0, 100, "prepaid credit 7 is paid"),
        ("2026-11-01", "deferred_revenue", 60, 0, "prepaid credit 7 is drawn"),
        ("2026-11-01", "revenue", 0, 60, "prepaid credit 7 is drawn"),
        ("2026-11-21", "deferred_revenue", 40, 0, "prepaid credit 7 has expired"),
        ("2026-11-21", "breakage_revenue", 0, 40, "prepaid credit 7 has expired"),
        ("2026-12-11", "revenue", 10, 0, "prepaid credit 7 is drawn"),
        ("2026-12-11", "deferred_revenue", 0, 10, "prepaid credit 7 is drawn"),
        ("2026-12-11", "deferred_revenue", 10, 0, "prepaid credit 7 has expired"),
        ("2026-12-11", "breakage_revenue", 0, 10, "prepaid credit 7 has expired"),
    ]
