"""Part of an invoice is paid by a transfer: Stripe asks for the rest only, and each payment counts once."""

from collections.abc import AsyncIterator, Iterator

import pytest

from collector.stripe import webhook
from collector.stripe.senders import requests_of
from schemas.limits import DAY, HOUR
from tests.stripe_stand_in import FAULTS, KEY, Fault
from tests.unit.collector.test_invoices_http import World, gateway, settings, world
from tests.unit.collector.test_stripe_http import Paying, paying_world
from tests.unit.ingest.conftest import ADMIN

__all__ = ["gateway", "settings", "world"]
RECONCILE = "/api/admin/stripe/reconcile"


@pytest.fixture
async def paying(world: World) -> AsyncIterator[Paying]:
    """An invoice of 105 cents."""
    async for one in paying_world(world, {"REV_STRIPE": "invoice", "REV_STRIPE_KEY": KEY}):
        yield one


async def transfer(paying: Paying, cents: int, reference: str = "wire 1") -> None:
    payment = {"reference": reference, "amount_cents": cents}
    status, told = await paying.world.admin("POST", "/INV-000001/payments", payment)
    assert status == 200, told


async def pushed(paying: Paying) -> None:
    """The pusher runs until nothing is left to try, however long that takes."""
    for _ in range(6):
        await paying.push()
        paying.world.gateway.now += HOUR
    assert not paying.worker.book.unsent


async def agrees(paying: Paying) -> bool:
    found = await paying.world.gateway.call("POST", RECONCILE, {"month": "2026-04"}, ADMIN)
    assert found.json["agrees"], found.json
    return True


async def payments(paying: Paying) -> dict[str, int]:
    """What was paid, by reference; Stripe's id of the invoice is left out."""
    found = (await paying.invoice())["payments"]
    return {one["reference"].split(" in_")[0]: one["amount_cents"] for one in found}


def attached(paying: Paying) -> list[tuple[str, str]]:
    """Amount and reference of what Stripe has credited to an invoice."""
    return [
        (one["amount_requested"]["value"], one["processor_details"]["custom"]["payment_reference"])
        for one in paying.stripe.payment_records.values()
        if one["attached"]
    ]


@pytest.mark.parametrize("is_before", [True, False])
async def test_stripe_asks_for_the_rest(paying: Paying, is_before: bool) -> None:
    """Whether the transfer was recorded before the invoice was brought there, or later."""
    if not is_before:
        await paying.push()
    await transfer(paying, 40)
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    assert (held["status"], held["amount_remaining"], attached(paying)) == ("open", 65, [("40", "wire 1")])
    (record,) = paying.stripe.payment_records.values()
    assert record["customer_details"]["customer"] == held["customer"]
    assert record["metadata"] == {"rev_invoice": "INV-000001", "rev_customer_id": "acme"}
    assert await agrees(paying)
    body = paying.stripe.pay(held["id"])
    for _ in range(2):
        assert await paying.report(body) == (200, {"outcome": "taken"})
    assert await payments(paying) == {"wire 1": 40, "stripe": 65}
    assert (await paying.invoice())["balance_cents"] == 0
    await paying.push()
    assert await agrees(paying)


async def test_the_last_transfer_settles_it(paying: Paying) -> None:
    """Rev tells Stripe that the rest was paid, and Stripe's report of it counts for nothing."""
    await paying.push()
    for cents, reference in ((40, "wire 1"), (25, "wire 2"), (40, "wire 3")):
        await transfer(paying, cents, reference)
        await paying.push()
    (held,) = paying.stripe.invoices.values()
    assert (held["status"], attached(paying)) == ("paid", [("40", "wire 1"), ("25", "wire 2")])
    assert await paying.report(paying.stripe.report("invoice.paid", held["id"])) == (200, {"outcome": "taken"})
    assert await payments(paying) == {"wire 1": 40, "wire 2": 25, "wire 3": 40} and await agrees(paying)


async def test_stripe_is_not_told_of_more_than_is_due_there(paying: Paying) -> None:
    """The customer has paid all of it: Stripe would keep the transfer as a credit for the next invoice."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    body = paying.stripe.pay(held["id"])
    await transfer(paying, 40)
    await pushed(paying)
    assert attached(paying) == [] and paying.stripe.payment_records == {}
    asked = len(paying.stripe.bodies)
    await paying.push()
    assert len(paying.stripe.bodies) == asked
    assert await paying.report(body) == (200, {"outcome": "taken"})
    assert (await paying.invoice())["balance_cents"] == -40 and await agrees(paying)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault])
@pytest.mark.parametrize("a_day_later", [False, True])
async def test_whatever_fails_it_is_credited_once(paying: Paying, fault: Fault, a_day_later: bool) -> None:
    """At any request, also when Stripe has forgotten idempotency keys before the next attempt."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    nothing: list[Fault] = [""] * 4
    for at in range(4):
        # the invoice as it is, again before it is credited, the payment record, and the credit
        paying.stripe.fail(*nothing[:at], fault)
        await transfer(paying, 10, f"wire {at}")
        await paying.push()
        if a_day_later:
            paying.stripe.forget_keys()
            paying.world.gateway.now += DAY
        await pushed(paying)
        assert paying.stripe.off_stripe[held["id"]] == 10 * (at + 1)
        assert attached(paying) == [("10", f"wire {number}") for number in range(at + 1)]
    assert paying.stripe.asked[fault] == 4 and await agrees(paying)


@pytest.mark.parametrize("fault", ["lost", "cut", "error", "error after"])
async def test_a_payment_is_told_apart_while_the_answer_is_missing(paying: Paying, fault: Fault) -> None:
    """The customer pays the rest; whether Stripe's sum has the transfer in it is not known until it has answered."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    paying.stripe.fail("", "", "", fault)
    await transfer(paying, 40)
    await paying.push()
    body = paying.stripe.pay(held["id"])
    status, told = await paying.report(body)
    assert (status, told["code"]) == (503, "invoices_unavailable")
    await pushed(paying)
    assert await paying.report(body) == (200, {"outcome": "taken"})
    through = 65 if attached(paying) else 105
    assert await payments(paying) == {"wire 1": 40, "stripe": through} and await agrees(paying)


@pytest.mark.parametrize(("fault", "through"), [("lost", 65), ("cut", 105)])
async def test_an_answer_that_is_missing_is_found_out_of_an_invoice_that_is_given_up(
    paying: Paying, fault: Fault, through: int
) -> None:
    """Nothing more is told to Stripe of it, and what the customer pays after all is recorded."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    paying.stripe.fail("", "", "", fault)
    await transfer(paying, 40)
    await paying.push()
    assert (await paying.world.admin("POST", "/INV-000001/uncollectible"))[0] == 200
    await pushed(paying)
    assert held["status"] == "uncollectible" and bool(attached(paying)) == (fault == "lost")
    held["status"] = "open"  # so that the customer can pay
    assert await paying.report(paying.stripe.pay(held["id"])) == (200, {"outcome": "taken"})
    assert await payments(paying) == {"wire 1": 40, "stripe": through}


@pytest.mark.parametrize("customer_pays", [True, False])
async def test_the_last_transfer_and_a_payment_at_once(paying: Paying, customer_pays: bool) -> None:
    """After one that Stripe knows: what was paid outside of it says whether the customer has paid the rest."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    await transfer(paying, 40)
    await paying.push()
    await transfer(paying, 65, "wire 2")

    def faults() -> Iterator[Fault]:
        yield ""
        if customer_pays:
            paying.stripe.pay(held["id"])
        yield "lost"

    paying.stripe._faults = faults()
    await pushed(paying)
    assert await paying.report(paying.stripe.report("invoice.paid", held["id"])) == (200, {"outcome": "taken"})
    wanted = {"wire 1": 40, "wire 2": 65, **({"stripe": 65} if customer_pays else {})}
    assert await payments(paying) == wanted and await agrees(paying)


async def test_what_stripe_refuses_is_visible_and_decided(paying: Paying) -> None:
    """The push waits for a person, and a report of a payment does not wait for its answer."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    held["currency"], currency = "usd", held["currency"]
    await transfer(paying, 40)
    await paying.push()
    push = paying.worker.book.pushes["INV-000001"]
    assert push.state == "failed" and "currency" in push.error and push.transfers == {}
    report = webhook.report_of(paying.stripe.report("invoice.paid", held["id"]))
    assert isinstance(report, webhook.InvoiceReport) and not webhook.is_undecided(report, push)
    held["currency"] = currency
    assert (await paying.world.gateway.call("POST", "/api/admin/invoices/INV-000001/push", None, ADMIN)).status == 200
    await paying.push()
    assert attached(paying) == [("40", "wire 1")] and held["amount_remaining"] == 65


async def test_a_credit_note_of_more_than_is_left_is_paid_back(paying: Paying) -> None:
    """Of 105 cents 100 were transferred; 53 are credited, so 48 go back, which Stripe does not do."""
    await paying.push()
    await transfer(paying, 100)
    await paying.push()
    gateway = paying.world.gateway
    for row in [row for row in gateway.ledger.rows if row.kind == "event"][:30]:
        answer = await gateway.call("POST", f"/api/admin/events/{row.event_id}/void", {"reason": "x"}, ADMIN)
        assert answer.status == 201
    gateway.now += 31 * DAY
    await paying.world.step()
    await pushed(paying)
    (note,) = paying.stripe.notes.values()
    assert (note["total"], note["out_of_band_amount"]) == (53, "48")
    (held,) = paying.stripe.invoices.values()
    assert (held["status"], held["amount_remaining"]) == ("paid", 0)
    assert (await paying.invoice())["balance_cents"] == -48 and await agrees(paying)


async def test_a_transfer_from_before_is_told(paying: Paying) -> None:
    """Of an invoice that was brought to Stripe before transfers were."""
    await paying.push()
    book = paying.worker.book
    before = book.pushes["INV-000001"]
    await transfer(paying, 40)
    assert before.transfers == {} and book.unsent == {"INV-000001"}
    await paying.push()
    assert attached(paying) == [("40", "wire 1")] and book.unsent == set()


async def test_a_file_has_the_transfer(paying: Paying) -> None:
    await transfer(paying, 40)
    sender = paying.worker._sender
    assert sender is not None
    book = paying.worker.book
    document = await paying.worker.pusher(sender)._document(book, book.invoices["2026-04", "acme"], None)
    assert [one.path for one in requests_of(document)][-2:] == [
        "/v1/payment_records/report_payment",
        "/v1/invoices/{invoice}/attach_payment",
    ]
