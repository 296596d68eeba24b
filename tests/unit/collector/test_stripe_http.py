"""Stripe over HTTP: a gateway and a collector, Stripe's stand-in behind it, and what Stripe reports back."""

import asyncio
import contextlib
import csv
import io
import json
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stripe
from aiohttp import web

from collector.book import Book
from collector.stripe import webhook
from collector.stripe.modes import open_stripe
from collector.stripe.senders import FileSender
from collector.stripe.stripe_api import StripeApi
from collector.worker import InvoiceWorker
from ingest.collector_client import CollectorClient
from ingest.statements import downloads
from schemas.limits import DAY, HOUR
from schemas.settings import SettingError, read
from tests.stripe_stand_in import KEY, Fault, StripeStandIn, signed
from tests.unit.collector.test_invoices_http import ALL, BODY, World, gateway, settings, world
from tests.unit.ingest.conftest import ADMIN
from tools import reconcile_command

__all__ = ["gateway", "settings", "world"]
SECRET = "whsec_stand_in"
BILLING = "/api/admin/customers/acme/billing"
REPORT = "/v1/stripe/webhook"
BILLED = {
    "currency": "EUR",
    "tax_percent": 19,
    "tax_reason": "German VAT",
    "payment_terms_days": 14,
    "bill_to": {"name": "Acme GmbH", "email": "pay@acme.example", "city": "Berlin", "country": "DE"},
}


class Paying:
    """The world of invoices with Stripe behind it; April has an invoice of acme."""

    def __init__(self, world: World, stand_in: StripeStandIn, worker: InvoiceWorker) -> None:
        self.world = world
        self.stripe = stand_in
        self.worker = worker

    async def push(self) -> None:
        sender = self.worker._sender
        assert sender is not None
        pusher = self.worker.pusher(sender)
        while await pusher.step(self.worker.book):
            pass

    async def report(self, body: bytes, secret: str = SECRET, age: int = 0) -> tuple[int, Any]:
        at = self.world.gateway.now // 1000 - age
        found = await self.world.gateway.call("POST", REPORT, body, Stripe_Signature=signed(body, secret, at))
        return found.status, found.json

    async def invoice(self) -> Any:
        return (await self.world.admin("GET", "/INV-000001"))[1]["invoice"]


async def paying_world(world: World, mode: dict[str, str]) -> AsyncIterator[Paying]:
    stand_in = StripeStandIn(now=lambda: world.gateway.now)
    await stand_in.start()
    env = {"REV_ADMIN_TOKEN": ADMIN, "REV_STRIPE_URL": stand_in.url, "REV_STRIPE_WEBHOOK_SECRET": SECRET, **mode}
    chosen = open_stripe(read(env))
    worker = world.worker
    worker._sender = chosen.sender
    app = web.Application()
    from collector.invoice_api import InvoiceApi

    def now() -> int:
        return world.gateway.now

    app.add_routes(InvoiceApi(read(env), lambda: worker, now).routes())
    app.add_routes(StripeApi(read(env), lambda: worker, now, chosen, world.reads).routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = CollectorClient(f"http://127.0.0.1:{runner.addresses[0][1]}", ADMIN)
    object.__setattr__(world.gateway.context, "collector", client)
    world.begin()
    await world.step()
    key = await world.gateway.make_key("acme")
    for _ in range(60):
        assert (await world.gateway.call("POST", "/v1/meter", BODY, key)).status == 201
    assert (await world.gateway.call("PUT", BILLING, BILLED, ADMIN)).status == 200
    world.gateway.now += 5 * DAY
    await world.step()
    yield Paying(world, stand_in, worker)
    await chosen.close()
    await client.close()
    await runner.cleanup()
    await stand_in.stop()


@pytest.fixture
async def paying(world: World) -> AsyncIterator[Paying]:
    async for one in paying_world(world, {"REV_STRIPE": "invoice", "REV_STRIPE_KEY": KEY}):
        yield one


async def test_an_invoice_is_pushed_and_its_payment_comes_back(paying: Paying) -> None:
    """Once, however often Stripe reports it; then all three agree."""
    _, told = await paying.world.admin("GET", "/INV-000001")
    assert (told["invoice"]["total_cents"], told["invoice"]["tax_cents"]) == (88, 17)
    assert (told["invoice"]["amount_due_cents"], told["invoice"]["due_at"][:10]) == (105, "2026-05-15")
    listed = await paying.world.gateway.call("GET", "/api/admin/stripe/pushes", None, ADMIN)
    assert [one["state"] for one in listed.json["pushes"]] == ["pending"] and listed.json["mode"] == "invoice"
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    assert (held["number"], held["total"], held["currency"], held["days_until_due"]) == ("INV-000001", 105, "eur", "14")
    (customer,) = paying.stripe.customers.values()
    assert (customer["email"], customer["metadata"]) == ("pay@acme.example", {"rev_customer_id": "acme"})
    body = paying.stripe.pay(held["id"])
    for _ in range(3):
        assert await paying.report(body) == (200, {"outcome": "taken"})
    invoice = await paying.invoice()
    assert (invoice["state"], invoice["paid_cents"], len(invoice["payments"])) == ("paid", 105, 1)
    assert invoice["payments"][0]["reference"] == f"stripe {held['id']}"
    await paying.push()
    found = await paying.world.gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
    assert found.json == {
        "month": "2026-04", "mode": "invoice", "agrees": True, "invoices": 1, "checked": 1, "count": 0,
        "differences": [],
    }  # fmt: skip
    # out of order: that the payment failed, reported late, takes nothing back
    assert (await paying.report(paying.stripe.report("invoice.payment_failed", held["id"])))[0] == 200
    assert (await paying.invoice())["state"] == "paid"


async def test_a_report_before_the_push_is_recorded(paying: Paying) -> None:
    """Stripe reports a payment while the collector does not yet know that its invoice arrived."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    push = paying.worker.book.pushes["INV-000001"]
    paying.worker.book.pushes["INV-000001"] = msgspec.structs.replace(push, invoice="", status="", state="pending")
    assert (await paying.report(paying.stripe.pay(held["id"])))[0] == 200
    assert (await paying.invoice())["state"] == "paid"


async def test_money_is_recorded_whatever_the_invoice_is(paying: Paying) -> None:
    """Paid by a transfer and through Stripe: what is too much is to be paid back, and nothing is lost."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    assert (await paying.world.admin("POST", "/INV-000001/payments", {"reference": "w", "amount_cents": 105}))[0] == 200
    assert await paying.report(paying.stripe.pay(held["id"])) == (200, {"outcome": "taken"})
    assert (await paying.invoice())["balance_cents"] == -105


async def test_what_rev_settles_itself_is_not_a_payment(paying: Paying) -> None:
    """A transfer makes the invoice paid in Stripe, out of band; Stripe's report of that counts for nothing."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    await paying.world.admin("POST", "/INV-000001/payments", {"reference": "w", "amount_cents": 105})
    await paying.push()
    assert paying.stripe.invoices[held["id"]]["status"] == "paid"
    assert (await paying.report(paying.stripe.report("invoice.paid", held["id"])))[0] == 200
    assert (await paying.invoice())["balance_cents"] == 0
    found = await paying.world.gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
    assert found.json["agrees"], found.json


@pytest.mark.parametrize("fault", ["cut", "lost", "error", "error after", ""])
@pytest.mark.parametrize("customer_pays", [True, False])
async def test_a_transfer_and_a_payment_at_once_are_told_apart(
    paying: Paying, fault: Fault, customer_pays: bool
) -> None:
    """The customer pays through Stripe while Rev says that a transfer paid: both count, whatever answer is lost."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    await paying.world.admin("POST", "/INV-000001/payments", {"reference": "w", "amount_cents": 105})

    def faults() -> Iterator[Fault]:
        yield ""
        if customer_pays:
            paying.stripe.pay(held["id"])
        yield fault

    paying.stripe._faults = faults()
    await paying.push()
    told = [await paying.report(paying.stripe.report("invoice.paid", held["id"]))]
    for _ in range(3):
        paying.world.gateway.now += HOUR
        await paying.push()
    if held["amount_paid"]:
        told.append(await paying.report(paying.stripe.report("invoice.paid", held["id"])))
    assert told[-1] == (200, {"outcome": "taken"}) and {status for status, _ in told} <= {200, 503}
    assert paying.worker.book.pushes["INV-000001"].state == "sent"
    assert (await paying.invoice())["balance_cents"] == (-105 if customer_pays else 0)
    found = await paying.world.gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
    assert found.json["agrees"], found.json


async def test_a_draft_that_was_deleted_is_made_again(paying: Paying) -> None:
    """As the message says what to do with one that has another total."""
    original = paying.stripe._item

    def more(id: str, action: str, params: Any) -> Any:
        made = original(id, action, params)
        paying.stripe.invoices[params["invoice"]]["total"] += 1
        return made

    paying.stripe._item = more  # type: ignore[method-assign]
    await paying.push()
    assert "or delete it, and push again" in paying.worker.book.pushes["INV-000001"].error
    paying.stripe._item = original  # type: ignore[method-assign]
    paying.stripe.invoices.clear()
    paying.stripe.items.clear()
    assert (await paying.world.gateway.call("POST", f"{ALL}/INV-000001/push", None, ADMIN)).status == 200
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    assert (held["status"], held["total"]) == ("open", 105)
    assert paying.worker.book.pushes["INV-000001"].state == "sent"


async def test_a_void_invoice_takes_no_credit_note(paying: Paying) -> None:
    """Stripe refuses one, and nothing is due of it anyway."""
    await paying.push()
    assert (await paying.world.admin("POST", "/INV-000001/void"))[0] == 200
    gateway = paying.world.gateway
    event = next(row.event_id for row in gateway.ledger.rows if row.kind == "event")
    assert (await gateway.call("POST", f"/api/admin/events/{event}/void", {"reason": "x"}, ADMIN)).status == 201
    gateway.now += 31 * DAY
    await paying.world.step()
    assert [note.invoice for note in paying.worker.book.notes.values()] == ["INV-000001"]
    await paying.push()
    book = paying.worker.book
    assert (book.pushes["INV-000001"].status, book.refused, book.unsent) == ("void", set(), set())
    assert paying.stripe.notes == {}
    found = await gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
    assert found.json["agrees"], found.json


async def test_a_lost_key_does_not_lose_where_an_invoice_is(paying: Paying, tmp_path: Path) -> None:
    """Without one, invoices go to files; one that is in Stripe waits, and is not made twice when the key is back."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    stripe_sender, paying.worker._sender = paying.worker._sender, FileSender(tmp_path)
    await paying.world.admin("POST", "/INV-000001/payments", {"reference": "w", "amount_cents": 5})
    await paying.world.admin("POST", "/INV-000001/uncollectible")
    await paying.push()
    push = paying.worker.book.pushes["INV-000001"]
    assert (push.invoice, push.state) == (held["id"], "pending") and "set REV_STRIPE=invoice and a key" in push.error
    assert await paying.report(paying.stripe.report("invoice.marked_uncollectible", held["id"])) == (
        200,
        {"outcome": "taken"},
    )
    paying.worker._sender = stripe_sender
    paying.world.gateway.now += HOUR
    await paying.push()
    assert paying.worker.book.unsent == set() and len(paying.stripe.invoices) == 1
    assert held["status"] == "uncollectible"


async def test_an_attempt_before_the_files_is_looked_for(paying: Paying, tmp_path: Path) -> None:
    """Its answer was lost, then the key, and Stripe has forgotten idempotency keys when it is back."""
    book, stripe_sender = paying.worker.book, paying.worker._sender
    paying.stripe.fail("", "lost")
    await paying.push()
    assert book.pushes["INV-000001"].invoice == "" and len(paying.stripe.invoices) == 1
    paying.worker._sender = FileSender(tmp_path)
    paying.world.gateway.now += HOUR
    await paying.push()
    assert (book.pushes["INV-000001"].invoice, book.unsent) == ("file", set())
    paying.stripe.forget_keys()
    paying.worker._sender, book._files_suffice = stripe_sender, False
    book._mark("INV-000001")
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    assert (book.pushes["INV-000001"].invoice, held["status"], held["total"]) == (held["id"], "open", 105)


async def test_reports_that_are_not_to_be_trusted(paying: Paying) -> None:
    """Forged, old, without a signature, of an unknown invoice, of another one, and of what is not Rev's."""
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    body = paying.stripe.report("invoice.paid", held["id"]).replace(b'"amount_paid": 0', b'"amount_paid": 105')
    status, told = await paying.report(body, "whsec_other")
    assert (status, told["error"][:42]) == (401, "Stripe-Signature does not match the body; ")
    status, told = await paying.report(body, age=301)
    assert (status, told["error"]) == (401, "Stripe-Signature is more than 300 s from now")
    unsigned = await paying.world.gateway.call("POST", REPORT, body)
    assert (unsigned.status, unsigned.json["error"]) == (401, "Stripe-Signature is required, as Stripe sends it")
    status, told = await paying.report(body.replace(b"INV-000001", b"INV-000009"))
    assert (status, told["code"]) == (404, "not_found")
    status, told = await paying.report(body.replace(held["id"].encode(), b"in_999"))
    assert (status, told["error"]) == (404, "invoice 'INV-000001' with the id 'in_999' is not here")
    assert (await paying.report(body.replace(b'"eur"', b'"usd"')))[0] == 409
    assert await paying.report(body.replace(b"rev_invoice", b"some_thing")) == (200, {"outcome": "ignored"})
    others = b'{"id": "evt", "type": "invoice.paid", "data": {"object": {"id": "in_5", "metadata": null}}}'
    assert await paying.report(others) == (200, {"outcome": "ignored"})
    assert await paying.report(b'{"id": "evt", "type": "charge.updated"}') == (200, {"outcome": "ignored"})
    assert (await paying.report(b'{"id": 5}'))[0] == 400
    assert (await paying.invoice())["payments"] == []


def test_a_signature_is_checked_as_stripes_own_client_does() -> None:
    body = b'{"id": "evt"}'
    header = signed(body, SECRET, 1000)
    webhook.check(body, header, [SECRET, "whsec_new"], 1_000_000)
    webhook.check(body, f"{header},v0=abc,v1=00", ["whsec_new", SECRET], 1_299_000)
    assert stripe.WebhookSignature.verify_header(body.decode(), header, SECRET)
    for wrong in ("", "v1=00", "t=1000", "t=x,v1=00", header.replace("t=1000", "t=1001")):
        with pytest.raises(webhook.Forged):
            webhook.check(body, wrong, [SECRET], 1_000_000)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body.decode(), wrong, SECRET)


async def test_what_stripe_voids_is_void_here(paying: Paying) -> None:
    await paying.push()
    (held,) = paying.stripe.invoices.values()
    held["status"] = "void"
    for _ in range(2):
        assert await paying.report(paying.stripe.report("invoice.voided", held["id"])) == (200, {"outcome": "taken"})
    assert (await paying.invoice())["state"] == "void"


async def test_a_refused_push_is_listed_and_pushed_again(paying: Paying) -> None:
    paying.stripe.fail(*["error after"] * 2, "cut")
    await paying.push()
    listed = await paying.world.gateway.call("GET", "/api/admin/stripe/pushes", None, ADMIN)
    (one,) = listed.json["pushes"]
    assert (one["number"], one["state"], one["error"]) == (
        "INV-000001", "pending", "Stripe answers 500: An unknown error occurred",
    )  # fmt: skip
    again = await paying.world.gateway.call("POST", f"{ALL}/INV-000001/push", None, ADMIN)
    assert (again.status, again.json["attempts"]) == (200, 1)
    for _ in range(8):
        paying.world.gateway.now += HOUR
        await paying.push()
    listed = await paying.world.gateway.call("GET", "/api/admin/stripe/pushes", None, ADMIN)
    assert listed.json == {"pushes": [], "mode": "invoice", "unsent": 0, "refused": 0}
    assert len(paying.stripe.invoices) == 1
    missing = await paying.world.gateway.call("POST", f"{ALL}/INV-000077/push", None, ADMIN)
    assert (missing.status, missing.json["error"]) == (404, "there is no invoice 'INV-000077'")


async def test_without_a_key_files_say_what_would_be_sent(world: World, tmp_path: Path) -> None:
    """The same requests, the same idempotency keys, once for each invoice."""
    mode = {"REV_STRIPE": "invoice", "REV_DATA": str(tmp_path)}
    async for paying in paying_world(world, mode):
        await paying.push()
        (path,) = (tmp_path / "stripe").iterdir()
        written = path.read_bytes()
        sent = [json.loads(line) for line in written.splitlines()]
        assert path.name == "INV-000001.jsonl" and paying.stripe.bodies == []
        assert [one["path"] for one in sent[:2]] == ["/v1/customers", "/v1/invoices"]
        amounts = [one["params"]["amount"] for one in sent if one["path"] == "/v1/invoiceitems"]
        assert sum(amounts) == 105 and len({one["idempotency_key"] for one in sent}) == len(sent)
        assert isinstance(paying.worker._sender, FileSender)
        again = paying.worker.book.pushes["INV-000001"]
        document = await paying.worker.pusher(paying.worker._sender)._document(
            paying.worker.book, paying.worker.book.invoices["2026-04", "acme"], None
        )
        await paying.worker._sender.send(document, again, paying.worker.record)  # type: ignore[arg-type]
        assert path.read_bytes() == written
        found = await paying.world.gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
        assert (found.json["mode"], found.json["agrees"], found.json["checked"]) == ("file", True, 0)
        # with a key, what is in a file alone comes to Stripe
        for files_suffice, unsent in ((True, set()), (False, {"INV-000001"})):
            book = Book(files_suffice)
            book.load(world.journal.held.items())
            assert book.unsent == unsent


async def test_the_command_says_what_differs(paying: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    await paying.push()
    found = await paying.world.gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
    asked = Namespace(month="2026-04", url=None, token="t")
    monkeypatch.setattr(reconcile_command, "admin_post", lambda *_: found.json)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert reconcile_command.run(asked) == 0
    assert out.getvalue() == "2026-04: 1 invoices, 1 of them compared with Stripe; all agree\n"
    next(iter(paying.stripe.invoices.values()))["total"] = 99
    found = await paying.world.gateway.call("POST", "/api/admin/stripe/reconcile", {"month": "2026-04"}, ADMIN)
    monkeypatch.setattr(reconcile_command, "admin_post", lambda *_: found.json)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert reconcile_command.run(asked) == 3
    assert out.getvalue().startswith("INV-000001  total_cents: 105 here, 99 in Stripe\n")


def test_keys_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_live_1\n")
    assert read({"REV_STRIPE_KEY_FILE": str(tmp_path / "key")}).stripe_key == "sk_live_1"
    assert read({"REV_STRIPE_KEY": "sk_2"}).stripe_key == "sk_2"
    with pytest.raises(SettingError, match="set REV_STRIPE_KEY or REV_STRIPE_KEY_FILE, not both"):
        read({"REV_STRIPE_KEY": "x", "REV_STRIPE_KEY_FILE": "y"})
    with pytest.raises(SettingError, match="REV_STRIPE_KEY_FILE must be a file that can be read"):
        read({"REV_STRIPE_KEY_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"currency": "btc"}, "currency must be an ISO 4217 code that Rev knows, such as usd or eur, not 'btc'"),
        ({"tax_percent": 101, "tax_reason": "x"}, "tax_percent must be a percentage from 0 to 100"),
        ({"tax_percent": "7.125", "tax_reason": "x"}, "tax_percent must be a percentage from 0 to 100"),
        ({"tax_percent": 7}, "tax_reason is required with tax_percent, such as German VAT"),
        ({"payment_terms_days": -1}, "payment_terms_days must be an integer from 0 to 365"),
        ({"billing_interval": "day"}, "billing_interval must be week or month"),
        ({"billing_anchor": 32}, "billing_anchor must be an integer from 1 to 31 with billing_interval month"),
        (
            {"billing_interval": "week", "billing_anchor": 8},
            "billing_anchor must be an integer from 1 to 7 with",
        ),
        ({"time_zone": "CEST"}, "time_zone must be a name of the IANA database, such as Europe/Berlin, not 'CEST'"),
        ({"invoice_threshold_cents": 0}, "invoice_threshold_cents must be an integer from 1 to 1000000000000"),
        ({"bill_to": {"email": "nobody"}}, "bill_to.email must be an e-mail address"),
        ({"bill_to": {"country": "Germany"}}, "bill_to.country must be an ISO 3166 code such as DE"),
        ({"bill_to": {"city": " x"}}, "bill_to.city must not begin or end with whitespace"),
        ({"bill_to": {"street": "x"}}, "unknown field 'street'"),
    ],
)
async def test_billing_that_is_wrong_names_its_field(paying: Paying, body: Any, error: str) -> None:
    answer = await paying.world.gateway.call("PUT", BILLING, body, ADMIN)
    assert answer.status == 400 and answer.json["error"].startswith(error), answer.json
    shown = (await paying.world.gateway.call("GET", BILLING, None, ADMIN)).json
    assert shown["currency"] == "eur" and shown["payment_terms_days"] == 14


async def test_a_currency_stays_once_there_is_an_invoice(paying: Paying) -> None:
    answer = await paying.world.gateway.call("PUT", BILLING, {**BILLED, "currency": "usd"}, ADMIN)
    assert (answer.status, answer.json["error"]) == (409, "currency must be eur: the customer has invoices in it")
    answer = await paying.world.gateway.call("GET", "/api/admin/customers/nobody/billing", None, ADMIN)
    assert (answer.status, answer.json["error"]) == (404, "no customer 'nobody'")


async def test_statements_and_invoices_are_pdfs(paying: Paying) -> None:
    """By Accept or ?format=; the same as_of gives the same bytes after later changes, in the customer's currency."""
    gateway = paying.world.gateway
    key = await gateway.make_key("acme")
    path = "/v1/statement?month=2026-04&as_of=2026-04-30T00:00:00Z&format="
    first = {format: await gateway.call("GET", path + format, key=key) for format in ("json", "csv", "pdf")}
    assert first["json"].json["currency"] == "eur" and first["pdf"].body.startswith(b"%PDF-")
    assert first["pdf"].headers["Content-Type"] == "application/pdf"
    invoice = await gateway.call("GET", "/v1/invoices/INV-000001?format=pdf", key=key)
    assert invoice.status == 200 and invoice.body.startswith(b"%PDF-")
    assert invoice.headers["Content-Disposition"] == 'attachment; filename="INV-000001.pdf"'
    event = next(row.event_id for row in gateway.ledger.rows if row.kind == "event")
    assert (await gateway.call("POST", f"/api/admin/events/{event}/void", {"reason": "x"}, ADMIN)).status == 201
    for _ in range(3):
        late = {**BODY, "timestamp": "2026-04-30T23:00:00Z"}
        assert (await gateway.call("POST", "/v1/meter", late, key)).status == 201
    gateway.now += DAY
    gateway.settle()
    for format, before in first.items():
        assert (await gateway.call("GET", path + format, key=key)).body == before.body
    again = await gateway.call("GET", "/api/admin/invoices/INV-000001", key=ADMIN, Accept="application/pdf")
    assert again.body == invoice.body
    table = await gateway.call("GET", "/v1/invoices/INV-000001?format=csv", key=key)
    amounts = [Decimal(row["amount_cents"]) for row in csv.DictReader(io.StringIO(table.text))]
    assert sum(amounts) == Decimal("88.2") == 60 * Decimal("1.47")


async def test_a_pdf_is_bounded_and_drawn_one_at_a_time(paying: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since it takes CPU from all requests; the others do not wait for it."""
    gateway = paying.world.gateway
    key = await gateway.make_key("acme")
    path = "/v1/invoices/INV-000001?format="
    async with gateway.context.drawing:
        waiting = asyncio.create_task(gateway.call("GET", path + "pdf", key=key))
        assert (await gateway.call("GET", path + "csv", key=key)).status == 200
        assert not waiting.done()
    assert (await waiting).status == 200
    monkeypatch.setattr(downloads, "MAX_ROWS", 0)
    for refused in (path, "/v1/statement?month=2026-04&format="):
        found = await gateway.call("GET", refused + "pdf", key=key)
        assert (found.status, found.json["code"]) == (413, "too_large")
        assert found.json["error"] == "a PDF may have at most 0 lines; ask for format=csv or json instead"
        assert (await gateway.call("GET", refused + "csv", key=key)).status == 200
