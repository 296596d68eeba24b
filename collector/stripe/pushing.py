"""Brings one invoice to Stripe, from wherever an earlier attempt ended.

An attempt after the first looks for what is there before it makes anything: an answer that was lost may have been a
success, and Stripe forgets idempotency keys after a day.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from collector.book import STATUS
from collector.stripe import requests
from collector.stripe.items import Item
from collector.stripe.requests import CUSTOMER, INVOICE, LINE, NOTE, StripeRequest
from schemas.invoices import CreditNote, Invoice
from schemas.pushes import Push, StripeCustomer

Call = Callable[[StripeRequest], Awaitable[dict[str, Any]]]
"""Sends a request and returns what Stripe answers. Raises StripeAway or StripeRefuses."""
SETTLED = ("paid", "void")
"""Statuses that nothing changes any more."""


class StripeAway(Exception):
    """Stripe did not answer, or asks to try again. ``after``: ms until then, if it says so.

    ``decided``: it answered an error of its own, which it repeats for the same idempotency key.
    """

    def __init__(self, error: str, after: int = 0, decided: bool = False) -> None:
        super().__init__(error)
        self.after = after
        self.decided = decided


class StripeRefuses(Exception):
    """Stripe refuses a request, or has something else than Rev; the message says what to do.

    ``missing``: it does not have the object that was named. ``duplicate``: it has this meter event already.
    ``denied``: the key may not do this.
    """

    def __init__(self, error: str, missing: bool = False, duplicate: bool = False, denied: bool = False) -> None:
        super().__init__(error)
        self.missing = missing
        self.duplicate = duplicate
        self.denied = denied


class StripeDocument(NamedTuple):
    """An invoice as Stripe is to have it. ``notes``: those that it takes; ``customer``: who it is there, if known."""

    invoice: Invoice
    items: Sequence[Item]
    notes: Sequence[CreditNote]
    customer: StripeCustomer | None


class Pushing:
    """One attempt. ``push`` and ``customer`` say how far it came, also after an error.

    ``settling`` is awaited before Stripe is told a status, so that what it then reports is not taken for a payment.
    """

    def __init__(
        self, call: Call, document: StripeDocument, push: Push, settling: Callable[[Push], Awaitable[None]]
    ) -> None:
        self.push = push
        self.customer = document.customer
        self._call = call
        self._document = document
        self._settling = settling

    async def run(self) -> None:
        """Bring the invoice to Stripe. Raises StripeAway or StripeRefuses."""
        customer = await self._ensure_customer()
        found = await self._ensure_invoice(customer)
        if found["status"] == "draft":
            await self._ensure_items(found, customer)
            found = await self._finalize(found)
        self._note(found)
        await self._ensure_notes(found)
        await self._settle()
        self.push = replace(self.push, state="sent", error="")

    @property
    def _is_repeat(self) -> bool:
        return self.push.attempts > 1

    async def _ensure_customer(self) -> str:
        name, wanted = self._document.invoice.customer_id, self._document.invoice.bill_to
        known = self.customer
        if known is None and self._is_repeat:
            found = (await self._call(requests.find_customer(name)))["data"]
            known = StripeCustomer(str(found[0]["id"]), wanted) if found else None
        if known is None:
            made = await self._call(requests.make_customer(name, wanted, self.push.generation))
            known = StripeCustomer(str(made["id"]), wanted)
        elif known.bill_to != wanted:
            await self._call(requests.change_customer(known.id, name, wanted, self.push))
            known = replace(known, bill_to=wanted)
        self.customer = known
        return known.id

    async def _ensure_invoice(self, customer: str) -> dict[str, Any]:
        invoice = self._document.invoice
        if self.push.invoice and (kept := await self._kept_invoice()) is not None:
            return kept
        if self._is_repeat:
            async for found in listed(self._call, requests.find_invoices(customer)):
                if found["metadata"].get(INVOICE) == invoice.number and found["status"] != "void":
                    self._note(found)
                    return found
        made = await self._call(requests.make_invoice(invoice, customer, self.push.generation))
        if made["metadata"].get(CUSTOMER) != invoice.customer_id:
            raise StripeRefuses(f"invoice {made['id']} in Stripe is of another customer; look at its metadata")
        self._note(made)
        return made

    async def _kept_invoice(self) -> dict[str, Any] | None:
        """Return the invoice that Stripe had at the last attempt; None if it was a draft that somebody deleted."""
        try:
            return await self._call(requests.read_invoice(self.push.invoice))
        except StripeRefuses as error:
            if not error.missing or self.push.status != "draft":
                raise
        # with the old keys Stripe would only repeat what it answered for the deleted one
        self.push = replace(self.push, invoice="", status="", generation=self.push.generation + 1)
        return None

    async def _ensure_items(self, found: dict[str, Any], customer: str) -> None:
        id, there = str(found["id"]), set()
        if self._is_repeat:
            async for held in listed(self._call, requests.find_items(id)):
                there.add(held["metadata"].get(LINE))
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
        id, there = str(found["id"]), set()
        if self._is_repeat:
            async for held in listed(self._call, requests.find_notes(id)):
                there.add(held["metadata"].get(NOTE))
        for note in wanted:
            if note.number not in there:
                is_paid = self.push.status == "paid"
                await self._call(requests.make_note(note, self._document.invoice, id, is_paid, self.push.generation))
            self.push = replace(self.push, notes=(*self.push.notes, note.number))
        self._note(await self._call(requests.read_invoice(id)))

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
            await self._settling(self.push)
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
            is_customers = wanted == "paid" and found.get("amount_paid_off_stripe") == 0
            self.push = replace(self.push, settles="" if is_customers else wanted, told=not is_customers)

    def _note(self, found: dict[str, Any]) -> None:
        url = str(found.get("hosted_invoice_url") or "")
        self.push = replace(self.push, invoice=str(found["id"]), status=found["status"], url=url)


async def listed(call: Call, request: StripeRequest) -> AsyncIterator[dict[str, Any]]:
    """Yield the objects of all pages of a list."""
    while True:
        page = await call(request)
        for one in page["data"]:
            yield one
        if not page["has_more"]:
            return
        request = request._replace(params={**request.params, "starting_after": page["data"][-1]["id"]})
