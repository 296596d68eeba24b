"""Invoices come to Stripe, each once, whatever is lost, refused or killed on the way: by the official client."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from collector.book import STATUS, Book, Change
from collector.invoicing import marked, paid
from collector.stripe import pusher as pushing
from collector.stripe.client import OfficialClient
from collector.stripe.items import MOST, items_of
from collector.stripe.pusher import Pusher, retried
from collector.stripe.reconciling import reconciled
from collector.stripe.requests import StripeRequest
from collector.stripe.senders import StripeSender
from schemas.billing import Billing, BillTo
from schemas.invoices import Invoice, billing_key, invoice_key, push_key
from schemas.limits import DAY, HOUR
from schemas.money import PICO, parse_cents
from tests.stripe_stand_in import FAULTS, KEY, Fault, StripeStandIn
from tests.unit.collector.memory_invoicing import Ids, Journal, Killed, MemoryInvoicing
from tests.unit.collector.test_closer import END, SEEDS, TIMES, with_credit
from tests.unit.statements.random_ledger import CUSTOMERS, START, made

BILLED = Billing(currency="eur", tax=1900, tax_reason="German VAT", terms=14, bill_to=BillTo("Acme", "a@b.invalid"))


class World:
    """A collector with what it holds, and Stripe. ``deaths``: commits of the pusher at which it dies."""

    def __init__(self, seed: int, faults: Sequence[Fault] = (), count: int = 100) -> None:
        self.now = END
        self.stripe = StripeStandIn(faults, lambda: self.now)
        self.reads = MemoryInvoicing([with_credit(row) for row in made(seed, count)])
        self.journal = Journal()
        self.book = Book()
        self.deaths: list[str] = []
        self.ids = Ids()

    async def start(self) -> None:
        await self.stripe.start()
        self.client = OfficialClient(KEY, self.stripe.url)
        for name in CUSTOMERS:
            await self.journal.commit([Change(billing_key(name), BILLED)])

    async def stop(self) -> None:
        await self.client.close()
        await self.stripe.stop()

    def load(self) -> None:
        """A new owner."""
        self.book = Book()
        self.book.load(self.journal.held.items())

    async def close_until(self, now: int) -> None:
        self.now = now
        owner = self.journal.closer(self.reads, HOUR)
        while await owner.step(now):
            pass
        self.load()

    async def record(self, changes: Sequence[Change]) -> None:
        death = self.deaths.pop() if self.deaths else ""
        if death == "before":
            raise Killed
        await self.journal.commit(changes)
        self.book.apply(changes)
        if death == "after":
            raise Killed

    async def change(self, number: str, change: Callable[[Invoice], Invoice]) -> None:
        invoice = self.book.numbered(number)
        assert invoice is not None
        await self.record([Change(invoice_key(invoice.period.month, invoice.customer_id), change(invoice))])

    async def push(self, steps: int = 200) -> None:
        """The pusher runs, anew after each death, until nothing is left or only what Stripe refuses."""
        for _ in range(steps):
            pusher = Pusher(StripeSender(self.client.call), self.reads, self.record, lambda: self.now, self.ids)
            try:
                while self.book.unsent:
                    if not await pusher.step(self.book):
                        self.now += HOUR
            except Killed:
                self.load()
                continue
            return
        raise AssertionError(f"not sent: {[self.book.pushes.get(number) for number in self.book.unsent]}")

    def check(self) -> None:
        """What Stripe holds is the invoices: each once, with its lines, notes and status."""
        held: dict[str, dict[str, Any]] = {}
        for one in self.stripe.invoices.values():
            number = one["metadata"]["rev_invoice"]
            assert number not in held
            held[number] = one
        for number, push in self.book.pushes.items():
            invoice = self.book.numbered(number)
            assert invoice is not None and push.state == "sent", push
            one = held.pop(number)
            items = [item for item in self.stripe.items.values() if item["invoice"] == one["id"]]
            assert len({item["metadata"]["rev_line"] for item in items}) == len(items)
            assert one["total"] == sum(item["amount"] for item in items) == invoice.gross
            assert (one["status"], one["number"], one["currency"]) == (STATUS[invoice.state], number, invoice.currency)
            notes = [note for note in self.stripe.notes.values() if note["invoice"] == one["id"]]
            wanted = [(note.number, note.gross) for note in self.book.notes_of(number) if note.gross]
            assert sorted((note["metadata"]["rev_credit_note"], note["total"]) for note in notes) == wanted
        assert not held
        names = [one["metadata"]["rev_customer_id"] for one in self.stripe.customers.values()]
        assert sorted(names) == sorted({one.customer_id for one in self.pushed()})

    def pushed(self) -> list[Invoice]:
        return [one for number in self.book.pushes if (one := self.book.numbered(number)) is not None]

    async def reconcile(self, month: str = "2026-11") -> Any:
        return await reconciled(self.book, self.reads, self.client.call, month)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    one = World(2)
    await one.start()
    await one.close_until(START + DAY)
    yield one
    await one.stop()


@settings(deadline=None, max_examples=12)
@given(
    SEEDS,
    st.lists(st.sampled_from(FAULTS), max_size=60),
    st.lists(st.sampled_from(["before", "after", ""]), max_size=30),
)
async def test_stripe_holds_the_invoices(seed: int, faults: list[Fault], deaths: list[str]) -> None:
    """Over months with credit notes, payments, voids, lost answers, 429, 500 and kills."""
    world, rng = World(seed, faults), random.Random(seed)
    await world.start()
    try:
        for now in TIMES:
            await world.close_until(now)
            world.deaths = [*deaths]
            await world.push()
            world.deaths = []
            for invoice in world.pushed():
                chance = rng.random()
                if invoice.state == "final" and chance < 0.2:
                    await world.change(invoice.number, lambda one: paid(one, "wire", one.balance, world.now))
                elif invoice.state == "final" and chance < 0.5 and invoice.balance > 1:
                    await world.change(
                        invoice.number, lambda one: paid(one, f"w{world.now}", one.balance // 2, world.now)
                    )
                elif invoice.state == "final" and chance < 0.6 and not invoice.credited:
                    await world.change(invoice.number, lambda one: marked(one, "give_up", world.now))
            if rng.random() < 0.3:
                world.stripe.forget_keys()
            await world.push()
            world.check()
        for period in world.book.closed():
            found = await world.reconcile(period.month)
            assert found.agrees, found.differences
    finally:
        await world.stop()


async def test_a_repeat_charges_nothing(world: World) -> None:
    """The same invoices are pushed again by an owner that knows of no attempt, a day later or not."""
    await world.close_until(END + HOUR)
    await world.push()
    held, asked = dict(world.stripe.items), len(world.stripe.bodies)
    forgotten = {key: value for key, value in world.journal.held.items() if not key.startswith((b"push", b"stripe"))}
    world.journal.held = forgotten
    world.load()
    await world.push()
    assert world.stripe.items == held and len(world.stripe.bodies) > asked
    world.check()


async def test_stripe_is_away_for_a_day(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, at the latest every hour, and nothing else waits."""
    await world.close_until(END + HOUR)
    world.stripe.away = True
    pusher = Pusher(StripeSender(world.client.call), world.reads, world.record, lambda: world.now, world.ids)
    for _ in range(24):
        await pusher.step(world.book)
        world.now += HOUR
    pushes = list(world.book.pushes.values())
    assert {push.state for push in pushes} == {"pending"} and all(push.attempts > 10 for push in pushes)
    assert all(push.error.startswith("Stripe does not answer") and push.due <= world.now + HOUR for push in pushes)
    world.stripe.away = False
    world.stripe.forget_keys()
    await world.push()
    world.check()


async def test_retry_after_is_waited_for(world: World) -> None:
    """A 429 stops all pushes until the time that Stripe names."""
    await world.close_until(END + HOUR)
    world.stripe.retry_after = "90"
    world.stripe.fail(*["limit"] * 2)
    pusher = Pusher(StripeSender(world.client.call), world.reads, world.record, lambda: world.now, world.ids)
    assert not await pusher.step(world.book)
    asked = len(world.stripe.bodies)
    world.now += 89_999
    assert not await pusher.step(world.book) and len(world.stripe.bodies) == asked
    push = next(iter(world.book.pushes.values()))
    assert push.error == "Stripe answers 429: Too many requests" and push.due >= END + HOUR + 90_000
    world.now += 1
    assert await pusher.step(world.book)
    await world.push()
    world.check()


async def test_what_stripe_refuses_waits_for_an_administrator(world: World) -> None:
    """A customer without an e-mail address stops no other; pushed again, it goes on where it was."""
    await world.journal.commit([Change(billing_key(CUSTOMERS[0]), replace(BILLED, bill_to=BillTo("Acme")))])
    await world.close_until(END + HOUR)
    await world.push()
    refused = [world.book.pushes[number] for number in world.book.refused]
    assert [push.error for push in refused] == [
        "Stripe answers 400: The customer needs an email address for an invoice that is sent"
    ]
    others = [push for push in world.book.pushes.values() if push.number not in world.book.refused]
    assert others and {push.state for push in others} == {"sent"}
    asked = len(world.stripe.bodies)
    world.now += DAY
    await world.push()
    assert len(world.stripe.bodies) == asked
    (push,) = refused
    invoice = world.book.numbered(push.number)
    assert invoice is not None
    await world.change(push.number, lambda one: replace(one, bill_to=BILLED.bill_to))
    await world.record([Change(push_key(push.number), retried(push, push.number, world.now))])
    await world.push()
    world.check()
    assert not world.book.refused


async def test_a_draft_that_is_another_one_is_not_finalized(world: World) -> None:
    """Somebody adds an item in Stripe while the push is under way."""
    await world.close_until(END + HOUR)
    world.stripe.fail(*[""] * 4, *["cut"] * 50)
    pusher = Pusher(StripeSender(world.client.call), world.reads, world.record, lambda: world.now, world.ids)
    await pusher.step(world.book)
    world.stripe.fail()
    drafts = [one for one in world.stripe.invoices.values() if one["status"] == "draft"]
    assert drafts
    for one in drafts:
        one["total"] += 5
    await world.push()
    assert world.book.refused
    for number in world.book.refused:
        assert "remove what was added to it there" in world.book.pushes[number].error
    assert all(
        one["status"] == "draft"
        for one in world.stripe.invoices.values()
        if one["metadata"]["rev_invoice"] in world.book.refused
    )
    assert not (await world.reconcile()).agrees


async def test_every_difference_is_named(world: World) -> None:
    """Of totals, lines, payments, status, and what only one side has."""
    await world.close_until(END + HOUR)
    await world.push()
    assert (await world.reconcile()).agrees
    one = next(iter(world.stripe.invoices.values()))
    number = one["metadata"]["rev_invoice"]
    item = next(item for item in world.stripe.items.values() if item["invoice"] == one["id"])
    item["amount"] += 1
    one |= {"status": "paid", "amount_paid": 4, "total": one["total"] + 1}
    world.stripe.invoices["in_x"] = {**one, "id": "in_x", "metadata": {**one["metadata"], "rev_invoice": "INV-999999"}}
    found = await world.reconcile()
    told = {(each.number, each.what) for each in found.differences}
    assert not found.agrees and found.count == len(told)
    assert told == {
        (number, "total_cents"), (number, "state"), (number, "paid_cents"),
        (number, f"line {item['metadata']['rev_line']}"), ("INV-999999", "invoice"),
    }  # fmt: skip
    world.stripe.invoices = {}
    assert {each.what for each in (await world.reconcile()).differences} == {"invoices in Stripe"}


async def test_objects_without_metadata_are_none_of_ours(world: World) -> None:
    """Somebody makes invoices, items and credit notes in Stripe by hand. Stripe need not give them metadata."""
    await world.close_until(END + HOUR)
    foreign = {"object": "invoice", "status": "open", "created": world.now // 1000, "metadata": None}
    world.stripe.invoices["in_x"] = {**foreign, "id": "in_x", "customer": "cus_1", "number": "MINE-1"}
    world.stripe.fail(*["lost"] * 12)
    await world.push()
    assert not world.book.refused and any(body.startswith("GET /v1/invoices ") for body in world.stripe.bodies)
    one = next(one for one in world.stripe.invoices.values() if one["metadata"])
    del world.stripe.invoices["in_x"]["metadata"]
    assert (await world.reconcile()).agrees
    of = {"invoice": one["id"], "metadata": None}
    world.stripe.items["ii_x"] = {**of, "id": "ii_x", "object": "invoiceitem", "amount": 7}
    for id in ("cn_x", "cn_y"):
        world.stripe.notes[id] = {**of, "id": id, "object": "credit_note", "total": 8}
    found = await world.reconcile()
    assert [(each.number, each.what, each.stripe) for each in found.differences] == [
        (one["number"], "line ii_x", "7"),
        (one["number"], "credit note cn_y", "8"),
        (one["number"], "credit note cn_x", "8"),
    ]


async def test_reconciling_reads_what_can_be_of_the_month(world: World) -> None:
    """Not what Stripe made before it began; what is made long after it, is read: a push that was away for weeks."""
    for now in (END + HOUR, END + 40 * DAY, END + 80 * DAY):
        await world.close_until(now)
        world.now = now + 20 * DAY
        await world.push()
    read: dict[str, set[str]] = {}

    async def call(request: StripeRequest) -> dict[str, Any]:
        page = await world.client.call(request)
        if request.path == "/v1/invoices":
            read[month] |= {one["number"] for one in page["data"]}
        return page

    numbers: dict[str, set[str]] = {}
    for period in world.book.closed():
        month = period.month
        read[month] = set()
        found = await reconciled(world.book, world.reads, call, month)
        numbers[month] = {one.number for one in world.pushed() if one.period.month == month}
        assert found.agrees and found.checked == len(numbers[month])
    first, *_, last = sorted(numbers)
    assert read[first] == set().union(*numbers.values()) > read[last] >= numbers[last]


async def test_items_are_the_total_and_none_is_off_by_a_cent(world: World) -> None:
    await world.close_until(END + HOUR)
    for invoice in world.book.invoices.values():
        if invoice.total:
            lines = await world.reads.lines(invoice)
            items = items_of(invoice, lines)
            assert sum(item.cents for item in items) == invoice.gross
            for item in items:
                if item.line.isdigit():
                    assert abs(item.cents * PICO - parse_cents(lines[int(item.line) - 1].cents)) < PICO
    many = [lines[0]] * (MOST + 5)
    exact = parse_cents(lines[0].cents) * len(many)
    big = replace(invoice, carried_in="0", total=pushing_total(exact), tax=0, carried_out=_rest(exact))
    assert [item.line for item in items_of(big, many)][-2:] == [str(MOST), "more"]


def pushing_total(exact: int) -> int:
    return (exact + PICO // 2) // PICO


def _rest(exact: int) -> str:
    from schemas.money import format_cents

    return format_cents(exact - pushing_total(exact) * PICO)


async def test_no_key_is_named_in_errors(world: World) -> None:
    client = OfficialClient("sk_test_wrong", world.stripe.url)
    await world.close_until(END + HOUR)
    pusher = Pusher(StripeSender(client.call), world.reads, world.record, lambda: world.now, world.ids)
    await pusher.step(world.book)
    await client.close()
    assert {push.state for push in world.book.pushes.values()} == {"failed"}
    assert all("sk_test" not in push.error for push in world.book.pushes.values())


def test_delays_double() -> None:
    assert [pushing.delay(number) for number in (1, 2, 3, 50)] == [2000, 4000, 8000, HOUR]
