"""Brings one invoice to Stripe, from wherever an earlier attempt ended.

An attempt after the first looks for what is there before it makes anything: an answer that was lost may have been a
success, and Stripe forgets idempotency keys after a day.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from collector.book import STATUS, attached_cents, unsent_transfers
from collector.stripe import requests
from collector.stripe.calls import Call, StripeRefuses, listed
from collector.stripe.items import Item
from collector.stripe.requests import CUSTOMER, INVOICE, LINE, NOTE, metadata
from collector.stripe.stripe_customers import is_taken_up, taken_up, with_own
from schemas.invoices import CreditNote, Invoice, Payment
from schemas.pushes import Push, StripeCustomer

Keep = Callable[[Push | StripeCustomer], Awaitable[None]]
"""Records what must be known of an attempt before it goes on."""
SETTLED = ("paid", "void")
"""Statuses that nothing changes any more."""


class StripeDocument(NamedTuple):
    """An invoice as Stripe is to have it. ``notes``: those that it takes. ``customer``: who it is there, if known;
    ``given``: the customer there that an administrator gave, empty if none."""

    invoice: Invoice
    items: Sequence[Item]
    notes: Sequence[CreditNote]
    customer: StripeCustomer | None
    given: str = ""


class Pushing:
    """One attempt. ``push`` and ``customer`` say how far it came, also after an error.

    ``keep`` is awaited before Stripe is told a status, so that what it then reports is not taken for a payment; and
    before a customer that was given is used, so that a later one knows where to look.
    """

    def __init__(self, call: Call, document: StripeDocument, push: Push, keep: Keep) -> None:
        self.push = push
        self.customer = document.customer
        self._call = call
        self._document = document
        self._keep = keep

    async def run(self) -> None:
        """Bring the invoice to Stripe. Raises StripeAway or StripeRefuses."""
        found = await self._kept_invoice()
        if found is None or found["status"] == "draft":
            customer = await self._ensure_customer()
            found = found or await self._ensure_invoice(customer)
        if found["status"] == "draft":
            await self._ensure_items(found)
            found = await self._finalize(found)
        self._note(found)
        await self._ensure_notes(found)
        await self._ensure_transfers()
        await self._settle()
        self.push = replace(self.push, state="sent", error="")

    @property
    def _is_repeat(self) -> bool:
        return self.push.attempts > 1

    async def _ensure_customer(self) -> str:
        """Return Stripe's id of the customer. One that was given is never changed: its address is its owner's."""
        name, wanted, given = self._document.invoice.customer_id, self._document.invoice.bill_to, self._document.given
        known = self.customer
        if given:
            if not is_taken_up(known, given):
                self.customer = await taken_up(self._call, name, given, known)
                await self._keep(self.customer)
            return given
        if known is not None and known.id:
            if known.bill_to != wanted:
                await self._call(requests.change_customer(known.id, name, wanted, self.push))
                self.customer = replace(known, bill_to=wanted)
            return known.id
        found = (await self._call(requests.find_customer(name)))["data"] if self._is_repeat else []
        if not found:
            found = [await self._call(requests.make_customer(name, wanted, self.push.generation))]
        self.customer = with_own(known, str(found[0]["id"]), wanted)
        return self.customer.id

    async def _ensure_invoice(self, customer: str) -> dict[str, Any]:
        invoice = self._document.invoice
        if self._is_repeat and (begun := await self._begun_invoice(customer)) is not None:
            self._note(begun)
            return begun
        made = await self._call(requests.make_invoice(invoice, customer, self.push.generation))
        if metadata(made).get(CUSTOMER) != invoice.customer_id:
            raise StripeRefuses(f"invoice {made['id']} in Stripe is of another customer; look at its metadata")
        self._note(made)
        return made

    async def _begun_invoice(self, customer: str) -> dict[str, Any] | None:
        """Return what an earlier attempt made of any customer that this one was; None if there is nothing."""
        ids = self.customer.ids if self.customer is not None else ()
        for id in dict.fromkeys((customer, *ids)):
            try:
                async for found in listed(self._call, requests.find_invoices(id)):
                    if metadata(found).get(INVOICE) == self._document.invoice.number and found["status"] != "void":
                        return found
            except StripeRefuses as error:
                if not error.missing:
                    raise
        return None

    async def _kept_invoice(self) -> dict[str, Any] | None:
        """Return the invoice that Stripe had at the last attempt; None if it had none, or a draft that was deleted."""
        if not self.push.invoice:
            return None
        try:
            return await self._call(requests.read_invoice(self.push.invoice))
        except StripeRefuses as error:
            if not error.missing or self.push.status != "draft":
                raise
        # with the old keys Stripe would only repeat what it answered for the deleted one
        self.push = replace(self.push, invoice="", status="", generation=self.push.generation + 1)
        return None

    async def _ensure_items(self, found: dict[str, Any]) -> None:
        id, customer, there = str(found["id"]), str(found["customer"]), set()
        if self._is_repeat:
            async for held in listed(self._call, requests.find_items(id)):
                there.add(metadata(held).get(LINE))
        for item in self._document.items:
            if item.line not in there:
                await self._call(requests.make_item(self._document.invoice, item, id, customer, self.push.generation))

    async def _finalize(self, found: dict[str, Any]) -> dict[str, Any]:
        """Finalize the draft, if it is what Rev's invoice is."""
        invoice, id = self._document.invoice, str(found["id"])
        there = await self._call(requests.read_invoice(id))
        if there["total"] != invoice.gross:
            raise StripeRefuses(
                f"invoice {id} in Stripe is of {there['total']}, not {invoice.gross}; "
                "remove what was added to it there, or delete it, and push again"
            )
        return await self._call(requests.finalize(invoice, id, self.push.generation))

    async def _ensure_notes(self, found: dict[str, Any]) -> None:
        wanted = [note for note in self._document.notes if note.number not in self.push.notes]
        if not wanted:
            return
        id, left, there = str(found["id"]), int(found["amount_remaining"]), set()
        if self._is_repeat:
            async for held in listed(self._call, requests.find_notes(id)):
                there.add(metadata(held).get(NOTE))
        for note in wanted:
            if note.number not in there:
                back = max(0, note.gross - left)
                await self._call(requests.make_note(note, self._document.invoice, id, back, self.push.generation))
                left -= note.gross - back
            self.push = replace(self.push, notes=(*self.push.notes, note.number))
        self._note(await self._call(requests.read_invoice(id)))

    async def _ensure_transfers(self) -> None:
        """Credit Stripe's open invoice with what was paid outside of it, so that it asks for the rest only."""
        invoice = self._document.invoice
        for payment in unsent_transfers(invoice, self.push):
            name, record = payment.reference, self.push.transfers.get(payment.reference)
            if record is None or not await self._is_attached(record):
                found = await self._call(requests.read_invoice(self.push.invoice))
                self._note(found)
                is_open = STATUS[invoice.state] == found["status"] == "open"
                if not is_open or found["amount_remaining"] < payment.cents:
                    # it would become a credit there, which the next invoice uses up; here it is to be paid back
                    self.push = replace(self.push, transfers={**self.push.transfers, name: ""})
                    continue
                await self._attach(payment, record, str(found["customer"]))
            self.push = replace(self.push, attached=(*self.push.attached, name))

    async def _is_attached(self, record: str) -> bool:
        return bool((await self._call(requests.find_attached(self.push.invoice, record)))["data"])

    async def _attach(self, payment: Payment, record: str | None, customer: str) -> None:
        invoice, generation = self._document.invoice, self.push.generation
        if record is None:
            made = await self._call(requests.report_transfer(payment, invoice, customer, generation))
            record = str(made["id"])
            self.push = replace(self.push, transfers={**self.push.transfers, payment.reference: record})
            await self._keep(self.push)
        try:
            self._note(
                await self._call(requests.attach_transfer(payment, invoice, self.push.invoice, record, generation))
            )
        except StripeRefuses:
            others = {name: one for name, one in self.push.transfers.items() if name != payment.reference}
            self.push = replace(self.push, transfers=others)
            raise

    async def _settle(self) -> None:
        """Give Stripe's invoice the status that Rev's has."""
        wanted = STATUS[self._document.invoice.state]
        is_unanswered = self.push.settles == wanted and not self.push.told
        if wanted == "open" or (self.push.status == wanted and not is_unanswered):
            return
        if self.push.status in SETTLED and self.push.status != wanted:
            raise StripeRefuses(
                f"invoice {self.push.invoice} is {self.push.status} in Stripe and {self._document.invoice.state} here; "
                "set right by hand which of both is wrong"
            )
        if self.push.settles != wanted:
            self.push = replace(self.push, settles=wanted, told=False)
            await self._keep(self.push)
        told = requests.settle(self._document.invoice, self.push.invoice, wanted, self.push.generation)
        try:
            self._note(await self._call(told))
            self.push = replace(self.push, told=True)
        except StripeRefuses:
            found = await self._call(requests.read_invoice(self.push.invoice))
            self._note(found)
            if self.push.status != wanted:
                raise
            # who paid through Stripe at the same time made a payment of its own, which Stripe reports
            of_transfers = attached_cents(self._document.invoice, self.push)
            is_customers = wanted == "paid" and found.get("amount_paid_off_stripe") == of_transfers
            self.push = replace(self.push, settles="" if is_customers else wanted, told=not is_customers)

    def _note(self, found: dict[str, Any]) -> None:
        url = str(found.get("hosted_invoice_url") or "")
        self.push = replace(self.push, invoice=str(found["id"]), status=found["status"], url=url)
