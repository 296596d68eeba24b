"""Invoices and usage go to the customer of Stripe that an administrator gave, whatever changes, fails or is killed."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from collector.book import Book
from collector.stripe.pusher import Pusher, retried
from collector.stripe.senders import StripeSender, requests_of
from collector.stripe.stripe_customers import ConfiguredIds, IdsUnknown
from schemas.config import Customer, customer_key, encode
from schemas.invoices import push_key
from schemas.limits import DAY, HOUR
from schemas.pushes import StripeCustomer
from tests.stripe_stand_in import FAULTS, Fault
from tests.unit.collector.memory_invoicing import Killed
from tests.unit.collector.test_closer import END, SEEDS, TIMES
from tests.unit.collector.test_stripe_meters import World as MeterWorld
from tests.unit.collector.test_stripe_pushes import Change, World
from tests.unit.statements.random_ledger import CUSTOMERS, START

ACME, OTHER = CUSTOMERS[0], CUSTOMERS[1]
CLOSES = TIMES[2:]
"""Each closes a month or more."""
GIVEN = st.lists(st.sampled_from(["", "cus_a", "cus_b"]), min_size=1, max_size=5)
DEATHS = st.lists(st.sampled_from(["before", "after", ""]), max_size=20)


@pytest.fixture
async def invoices() -> AsyncIterator[World]:
    one = World(2)
    await begin(one)
    await one.close_until(START + DAY)
    yield one
    await one.stop()


@pytest.fixture
async def usage() -> AsyncIterator[MeterWorld]:
    one = MeterWorld(3)
    await begin(one)
    yield one
    await one.stop()


async def begin(world: World | MeterWorld) -> None:
    """Start it; the owner has two customers in Stripe."""
    await world.start()
    world.stripe.customer("cus_a")
    world.stripe.customer("cus_b")


def give(world: World | MeterWorld, name: str, id: str) -> None:
    """An administrator sets external_ids.stripe of a customer, or takes it away."""
    if id:
        world.ids[name] = id
    else:
        world.ids.pop(name, None)


def owners_customers(world: World | MeterWorld) -> list[Any]:
    return [one for id, one in world.stripe.customers.items() if id in ("cus_a", "cus_b")]


def invoiced(world: World, name: str) -> list[str]:
    """The customers of Stripe that a customer's invoices are of, in their order."""
    held = [one for one in world.stripe.invoices.values() if one["metadata"]["rev_customer_id"] == name]
    return [one["customer"] for one in sorted(held, key=lambda one: str(one["number"]))]


def used(world: MeterWorld) -> dict[str, int]:
    """What is counted of each customer of Stripe."""
    found: dict[str, int] = defaultdict(int)
    for one in world.stripe.events.values():
        found[one["payload"]["stripe_customer_id"]] += int(one["payload"]["value"])
    return {id: value for id, value in found.items() if value}


def total(world: MeterWorld, *names: str) -> int:
    """What some customers used until now."""
    wanted = world.wanted(world.position.since)
    return sum(value for (name, _, _), value in wanted.items() if name in (names or CUSTOMERS))


@pytest.mark.parametrize(
    ("changes", "customers"),
    [
        (["cus_a", "cus_a"], ["cus_a", "cus_a"]),
        (["cus_a", "cus_b"], ["cus_a", "cus_b"]),
        (["cus_a", "", "cus_a"], ["cus_a", "own", "cus_a"]),
        (["", "cus_a", ""], ["own", "cus_a", "own"]),
    ],
)
async def test_an_invoice_is_of_the_customer_that_was_given(
    invoices: World, changes: list[str], customers: list[str]
) -> None:
    """A change holds for the invoices that are begun after it; none of the owner's customers is changed or made."""
    before = [dict(one) for one in owners_customers(invoices)]
    for now, id in zip(CLOSES, changes, strict=False):
        give(invoices, ACME, id)
        await invoices.close_until(now)
        await invoices.push()
    own = {id for id, one in invoices.stripe.customers.items() if one["metadata"].get("rev_customer_id") == ACME}
    assert ["own" if id in own else id for id in invoiced(invoices, ACME)] == customers and len(own) <= 1
    assert owners_customers(invoices) == before
    for period in invoices.book.closed():
        assert (await invoices.reconcile(period.month)).agrees


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_customer_that_stripe_does_not_have_stops_no_other(invoices: World, is_deleted: bool) -> None:
    if is_deleted:
        invoices.stripe.customers["cus_x"] = {"id": "cus_x", "object": "customer", "deleted": True}
    give(invoices, ACME, "cus_x")
    await invoices.close_until(END + HOUR)
    await invoices.push()
    (number,) = invoices.book.refused
    error = f"Stripe has no customer 'cus_x'; set external_ids.stripe of customer {ACME!r} right"
    assert invoices.book.pushes[number].error == error
    assert invoiced(invoices, ACME) == [] and len(invoiced(invoices, OTHER)) == 1
    give(invoices, ACME, "cus_a")
    await invoices.record([Change(push_key(number), retried(invoices.book.pushes[number], number, invoices.now))])
    await invoices.push()
    assert invoiced(invoices, ACME) == ["cus_a"] and not invoices.book.refused
    assert (await invoices.reconcile()).agrees


async def test_a_customer_that_is_deleted_later_is_named(invoices: World) -> None:
    """After a change Stripe does not give the same refusal again for a day."""
    give(invoices, ACME, "cus_a")
    await invoices.close_until(END + HOUR)
    await invoices.push()
    del invoices.stripe.customers["cus_a"]
    await invoices.close_until(CLOSES[1])
    await invoices.push()
    (number,) = invoices.book.refused
    assert invoices.book.pushes[number].error == "Stripe answers 400: No such customer: 'cus_a'"
    give(invoices, ACME, "cus_b")
    await invoices.record([Change(push_key(number), retried(invoices.book.pushes[number], number, invoices.now))])
    await invoices.push()
    assert invoiced(invoices, ACME) == ["cus_a", "cus_b"]


@pytest.mark.parametrize("a_day_later", [False, True])
@pytest.mark.parametrize("death", ["", "before"])
async def test_an_invoice_that_was_begun_stays_where_it_is(invoices: World, a_day_later: bool, death: str) -> None:
    """Its answer is lost, and then the collector's life; meanwhile another customer of Stripe is given."""
    for name in CUSTOMERS:
        give(invoices, name, "cus_a")
    await invoices.close_until(END + HOUR)
    pusher = Pusher(StripeSender(invoices.client.call), invoices.reads, invoices.record, lambda: END, invoices.ids)
    invoices.stripe.fail("", "", *["lost"] * 2, *["cut"] * 20)
    if death:
        # attempt, attempt, customer, customer, and then what became of them
        invoices.deaths = [death, "", "", "", ""]
        with pytest.raises(Killed):
            await pusher.step(invoices.book)
        invoices.load()
    else:
        await pusher.step(invoices.book)
    assert all(push.invoice == "" for push in invoices.book.pushes.values()) and len(invoices.stripe.invoices) == 2
    if a_day_later:
        invoices.stripe.forget_keys()
    invoices.stripe.fail()
    for name in CUSTOMERS:
        give(invoices, name, "cus_b")
    invoices.now += DAY
    await invoices.push()
    assert {one["customer"] for one in invoices.stripe.invoices.values()} == {"cus_a"}
    assert len(invoices.stripe.invoices) == 2 and (await invoices.reconcile()).agrees


async def test_two_customers_may_be_invoiced_as_one(invoices: World) -> None:
    for name in CUSTOMERS:
        give(invoices, name, "cus_a")
    for now in CLOSES[:2]:
        await invoices.close_until(now)
        await invoices.push()
    assert [invoiced(invoices, name) for name in CUSTOMERS] == [["cus_a"] * 2] * 2
    for period in invoices.book.closed():
        assert (await invoices.reconcile(period.month)).agrees


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.lists(st.sampled_from(FAULTS), max_size=60), DEATHS, GIVEN)
async def test_each_invoice_is_in_stripe_once_whoever_it_is_of(
    seed: int, faults: Sequence[Fault], deaths: list[str], changes: list[str]
) -> None:
    world = World(seed, faults)
    await begin(world)
    try:
        for number, now in enumerate(TIMES):
            give(world, ACME, changes[number % len(changes)])
            await world.close_until(now)
            world.deaths = [*deaths]
            await world.push()
            world.deaths = []
            if number % 2:
                world.stripe.forget_keys()
        world.stripe.fail()
        numbers = [one["number"] for one in world.stripe.invoices.values()]
        assert sorted(numbers) == sorted(world.book.pushes)
        for period in world.book.closed():
            found = await world.reconcile(period.month)
            assert found.agrees, found.differences
    finally:
        await world.stop()


@pytest.mark.parametrize("changes", [["cus_a", "cus_a"], ["cus_a", "cus_b"], ["", "cus_a"], ["cus_a", "", "cus_b"]])
async def test_usage_goes_to_the_customer_that_was_given(usage: MeterWorld, changes: list[str]) -> None:
    """What was sent before a change stays; late events and voids go where usage goes now. It is compared over all."""
    counted: list[dict[str, int]] = []
    for number, id in enumerate(changes, 1):
        give(usage, ACME, id)
        await usage.push(START + 8 * number * DAY)
        counted.append(used(usage))
    own = {one["metadata"].get("rev_customer_id"): id for id, one in usage.stripe.customers.items()}
    for id, before, after in zip(changes[1:], counted, counted[1:], strict=False):
        moved = {one for one in after if after[one] != before.get(one, 0)}
        assert moved <= {id or own[ACME], own[OTHER]} and (id or own[ACME]) in after
    assert sum(used(usage).values()) == total(usage)
    assert ACME not in own or "" in changes
    for month in ("2026-10", "2026-11", "2026-12"):
        assert await usage.differences(month) == []


async def test_usage_of_a_customer_that_stripe_does_not_have_waits(usage: MeterWorld) -> None:
    """It is named and sent as soon as the id is right; no other waits."""
    give(usage, ACME, "cus_x")
    await usage.push(START + 10 * DAY)
    assert {one.line.customer_id for one in usage.book.refused_lines.values()} == {ACME}
    assert {one.error for one in usage.book.refused_lines.values()} == {
        f"Stripe has no customer 'cus_x'; set external_ids.stripe of customer {ACME!r} right"
    }
    assert sum(used(usage).values()) == total(usage, OTHER)
    give(usage, ACME, "cus_a")
    await usage.push(START + 10 * DAY + HOUR)
    assert not usage.book.refused_lines and used(usage)["cus_a"] == total(usage, ACME)
    assert await usage.differences("2026-11") == []


async def test_usage_of_two_customers_does_not_go_to_one(usage: MeterWorld) -> None:
    """Whoever has it keeps it; the other one waits until its id is right, and may have that of one who moved."""
    give(usage, ACME, "cus_a")
    await usage.push(START + 4 * DAY)
    give(usage, OTHER, "cus_a")
    await usage.push(START + 8 * DAY)
    assert {one.error for one in usage.book.refused_lines.values()} == {
        f"customer 'cus_a' in Stripe has the usage of customer {ACME!r} already; "
        f"set external_ids.stripe of {OTHER!r} or {ACME!r} right"
    }
    assert used(usage)["cus_a"] == total(usage, ACME)
    give(usage, ACME, "cus_b")
    await usage.push(START + 12 * DAY)
    assert not usage.book.refused_lines and sum(used(usage).values()) == total(usage)
    assert usage.book.by_stripe_id["cus_a"] == (ACME, OTHER)
    assert await usage.differences("2026-11") == []
    one = next(one for one in usage.stripe.events.values() if one["timestamp"] * 1000 > START)
    one["payload"]["value"] = str(int(one["payload"]["value"]) + 1)
    (difference,) = await usage.differences("2026-11")
    assert difference.number == f"{ACME}, {OTHER}"


async def test_of_two_new_customers_with_one_id_the_first_has_it(usage: MeterWorld) -> None:
    for name in CUSTOMERS:
        give(usage, name, "cus_a")
    await usage.push(START + 8 * DAY)
    assert used(usage) == {"cus_a": total(usage, ACME)}
    assert {one.line.customer_id for one in usage.book.refused_lines.values()} == {OTHER}


async def test_a_customer_that_was_given_is_not_found_for_another(usage: MeterWorld) -> None:
    """Its metadata name another one than the id that an administrator set."""
    usage.stripe.customers["cus_a"]["metadata"] = {"rev_customer_id": OTHER}
    give(usage, ACME, "cus_a")
    await usage.push(START + 8 * DAY)
    assert used(usage) == {"cus_a": total(usage, ACME)}
    assert {one.line.customer_id for one in usage.book.refused_lines.values()} == {OTHER}


async def test_what_may_be_there_is_never_sent_again(usage: MeterWorld) -> None:
    """A day after a lost answer the meter has something else: a person has to look, however often it is tried."""
    await usage.push(START + 8 * DAY)
    usage.now = START + 12 * DAY + 5_000
    assert await usage.pusher.step(usage.book)
    usage.stripe.fail(*["lost"] * 8, *["cut"] * 400)
    assert not await usage.pusher.step(usage.book) and usage.position.tried
    usage.stripe.fail()
    usage.stripe.forget_keys()
    taken = list(usage.stripe.events.values())[-1]
    taken["payload"]["value"] = str(int(taken["payload"]["value"]) + 1)
    usage.now += 2 * DAY
    for _ in range(3):
        usage.now += HOUR
        await usage.push(usage.now // HOUR * HOUR - HOUR)
    assert ["set it right in Stripe by hand" in one.error for one in usage.book.refused_lines.values()] == [True]
    taken["payload"]["value"] = str(int(taken["payload"]["value"]) - 1)
    usage.now += HOUR
    await usage.push(usage.now // HOUR * HOUR - HOUR)
    assert not usage.book.refused_lines and sum(used(usage).values()) == total(usage)


async def test_a_line_in_doubt_holds_back_no_other(usage: MeterWorld) -> None:
    """One that Stripe certainly does not have is sent without a look, also when its hour has more by then."""
    until, rows = START + 8 * DAY, usage.reads.rows
    usage.reads.rows = [row for row in rows if row.customer_id == OTHER or row.recorded_at <= until]
    give(usage, ACME, "cus_x")
    await usage.push(until)
    refused = [one.line for one in usage.book.refused_lines.values()]
    usage.now = START + 12 * DAY + 5_000
    assert await usage.pusher.step(usage.book)
    usage.stripe.fail(*["lost"] * 8, *["cut"] * 400)
    assert not await usage.pusher.step(usage.book)
    usage.stripe.fail()
    usage.stripe.forget_keys()
    taken = list(usage.stripe.events.values())[-1]
    taken["payload"]["value"] = str(int(taken["payload"]["value"]) + 1)
    await usage.push(START + 16 * DAY)
    assert {one.line.customer_id for one in usage.book.refused_lines.values() if one.tried} == {OTHER}
    event = next(row for row in rows if row.kind == "event" and not row.test)
    event = replace(event, customer_id=ACME, recorded_at=START + 17 * DAY)
    late = [replace(event, event_id=10_000 + n, event_time=line.hour) for n, line in enumerate(refused)]
    usage.reads.rows = [*usage.reads.rows, *late]
    give(usage, ACME, "cus_a")
    await usage.push(START + 18 * DAY)
    assert late and used(usage)["cus_a"] == total(usage, ACME)
    assert {one.line.customer_id for one in usage.book.refused_lines.values()} == {OTHER}


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.lists(st.sampled_from(FAULTS), max_size=80), DEATHS, GIVEN, st.booleans(), st.booleans())
async def test_each_unit_is_counted_once_wherever_it_goes(
    seed: int, faults: Sequence[Fault], deaths: list[str], changes: list[str], days_pass: bool, streams: bool
) -> None:
    world = MeterWorld(seed, faults, streams=streams)
    await begin(world)
    try:
        for number, id in enumerate(changes, 1):
            give(world, ACME, id)
            if days_pass:
                world.stripe.forget_keys()
            world.deaths = [*deaths]
            await world.push(START + 3 * number * DAY)
            world.deaths = []
        world.stripe.fail()
        assert sum(used(world).values()) == total(world)
        for month in ("2026-10", "2026-11"):
            assert await world.differences(month) == []
    finally:
        await world.stop()


@pytest.mark.parametrize(
    ("key", "customer", "id"),
    [
        (customer_key("acme"), Customer("acme", 1, external_ids={"crm": "x", "stripe": "cus_2"}), "cus_2"),
        (customer_key("acme"), Customer("acme", 1, external_ids={"crm": "x"}), ""),
        (customer_key("acme"), None, ""),
        (b"key/5", Customer("acme", 1), "cus_1"),
        (customer_key("other/acme"), Customer("other/acme", 1, external_ids={"stripe": "cus_3"}), "cus_1"),
    ],
)
async def test_ids_are_read_from_the_configuration(key: bytes, customer: Customer | None, id: str) -> None:
    ids = ConfiguredIds("127.0.0.1:1")
    ids.apply(customer_key("acme"), encode(Customer("acme", 1, external_ids={"stripe": "cus_1"})), 0)
    assert (ids.get("acme"), ids.get("nobody")) == ("cus_1", "")
    ids.apply(key, None if customer is None else encode(customer), 1)
    assert ids.get("acme") == id


async def test_nothing_is_pushed_until_the_ids_are_known(invoices: World, caplog: pytest.LogCaptureFixture) -> None:
    """An invoice must not go to a new customer because the given one was not read yet."""
    await invoices.close_until(END + HOUR)
    unread = ConfiguredIds("127.0.0.1:1")
    with pytest.raises(IdsUnknown, match=r"rev\.config is not followed"):
        await unread.catch_up()
    pusher = Pusher(StripeSender(invoices.client.call), invoices.reads, invoices.record, lambda: END, unread)
    assert not await pusher.step(invoices.book)
    assert invoices.book.unsent and not invoices.book.pushes and not invoices.stripe.bodies


def test_old_records_keep_their_meaning() -> None:
    """Of a customer from before ids could be given; and what a file would say of one that is given."""
    book = Book()
    book.load([(b"stripe-customer/acme", b'{"id":"cus_1","bill_to":{"name":"Acme"}}')])
    assert book.stripe_customers["acme"].ids == ("cus_1",) and book.by_stripe_id == {"cus_1": ("acme",)}
    book.load([(b"stripe-customer/acme", b'{"id":"cus_1","bill_to":{},"given":["cus_2","cus_3"]}')])
    assert book.stripe_customers["acme"].ids == ("cus_1", "cus_2", "cus_3")
    book.load([(b"stripe-customer/acme", b'{"id":"cus_1","bill_to":{},"given":["cus_2","cus_1"]}')])
    assert book.stripe_customers["acme"].ids == ("cus_1", "cus_2")


async def test_a_file_names_the_customer_that_was_given(invoices: World) -> None:
    give(invoices, ACME, "cus_a")
    await invoices.close_until(END + HOUR)
    pusher = Pusher(StripeSender(invoices.client.call), invoices.reads, invoices.record, lambda: END, invoices.ids)
    invoice = next(one for one in invoices.book.invoices.values() if one.customer_id == ACME)
    document = await pusher._document(invoices.book, invoice, None)
    sent = list(requests_of(document))
    assert sent[0].path == "/v1/invoices" and json.dumps([one.params.get("customer") for one in sent]).count("cus_a")
    assert StripeCustomer("", invoice.bill_to).ids == ()
