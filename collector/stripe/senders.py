"""The modes: invoices are brought to Stripe, or written to files that say what would be sent."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from collector.book import STATUS, unsent_transfers
from collector.stripe import requests
from collector.stripe.calls import Call, StripeAway
from collector.stripe.pushing import Keep, Pushing, StripeDocument
from collector.stripe.requests import StripeRequest
from schemas.pushes import WRITTEN, Push, StripeCustomer

Sent = tuple[Push, StripeCustomer | None]
CUSTOMER, INVOICE, RECORD = "{customer}", "{invoice}", "{payment_record}"
"""What stands in files where Stripe's ids would."""


class Interrupted(Exception):
    """An attempt that ended early; ``sent`` says how far it came, the cause why it ended."""

    def __init__(self, sent: Sent, cause: Exception) -> None:
        super().__init__(str(cause))
        self.sent = sent
        self.cause = cause


class Sender(Protocol):
    """A mode. ``writes_files``: whether invoices go to files alone."""

    writes_files: bool

    async def send(self, document: StripeDocument, push: Push, keep: Keep) -> Sent:
        """Bring an invoice there. Raises Interrupted; ``keep``: see :class:`collector.stripe.pushing.Pushing`."""
        ...


class StripeSender:
    """Mode ``invoice``. ``call`` sends a request."""

    writes_files = False

    def __init__(self, call: Call) -> None:
        self._call = call

    async def send(self, document: StripeDocument, push: Push, keep: Keep) -> Sent:
        pushing = Pushing(self._call, document, push, keep)
        try:
            await pushing.run()
        except Exception as error:
            raise Interrupted((pushing.push, pushing.customer), error) from error
        return pushing.push, pushing.customer


class FileSender:
    """Mode ``file``: NUMBER.jsonl in ``directory`` has a line for each request, and is replaced as a whole."""

    writes_files = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, document: StripeDocument, push: Push, keep: Keep) -> Sent:
        if push.invoice not in ("", WRITTEN):
            # it must stay known where the invoice is, and Stripe is not told of the change by a file
            away = StripeAway(f"invoice {push.invoice} is in Stripe; set REV_STRIPE=invoice and a key to go on with it")
            raise Interrupted((push, None), away)
        try:
            await asyncio.to_thread(self._write, document)
        except OSError as error:
            raise Interrupted((push, None), error) from error
        notes = tuple(note.number for note in document.notes)
        status, told = STATUS[document.invoice.state], tuple(one.reference for one in document.invoice.payments)
        sent = replace(push, state="sent", error="", notes=notes, attached=told, status=status, invoice=WRITTEN)
        return sent, None

    def _write(self, document: StripeDocument) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{document.invoice.number}.jsonl"
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            for request in requests_of(document):
                shown = {"method": request.method, "path": request.path, "idempotency_key": request.key}
                file.write(msgspec.json.encode({**shown, "params": request.params}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def requests_of(document: StripeDocument) -> Iterator[StripeRequest]:
    """Yield the requests that bring an invoice to Stripe if nothing is there yet and nothing fails."""
    invoice = document.invoice
    customer = document.given or CUSTOMER
    if not document.given:
        yield requests.make_customer(invoice.customer_id, invoice.bill_to, 0)
    yield requests.make_invoice(invoice, customer, 0)
    for item in document.items:
        yield requests.make_item(invoice, item, INVOICE, customer, 0)
    yield requests.finalize(invoice, INVOICE, 0)
    for note in document.notes:
        yield requests.make_note(note, invoice, INVOICE, 0, 0)
    for payment in unsent_transfers(invoice, Push(invoice.number, "pending", 0, 0, 0)):
        yield requests.report_transfer(payment, invoice, customer, 0)
        yield requests.attach_transfer(payment, invoice, INVOICE, RECORD, 0)
    if STATUS[invoice.state] != "open":
        yield requests.settle(invoice, INVOICE, STATUS[invoice.state], 0)
