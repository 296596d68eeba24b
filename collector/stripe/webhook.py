"""What Stripe reports of invoices: whether it is Stripe that does, and what it means for an invoice here. Pure.

Reports come late, twice and in any order, so each is what it says of an invoice, whatever was reported before it.
"""

import hmac
from collections.abc import Sequence

import msgspec

from collector.book import Book, attached_cents
from collector.invoicing import Refused, marked, received
from collector.stripe.dropped_events import METER_REPORTS, MeterReport, meter_report
from collector.stripe.requests import INVOICE
from schemas.invoices import Invoice
from schemas.pushes import Push

TOLERANCE = 300
"""Seconds that a report's time may differ from now: one that is kept and sent again later is refused."""
REPORTS = ("invoice.paid", "invoice.voided", "invoice.marked_uncollectible", "invoice.payment_failed")


class Forged(Exception):
    """A report that does not have Stripe's signature."""


class _StripeInvoice(msgspec.Struct, frozen=True):
    id: str = ""
    currency: str = ""
    amount_paid: int = 0
    metadata: dict[str, str] | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _StripeInvoice


class _Kind(msgspec.Struct, frozen=True):
    id: str
    type: str


class InvoiceReport(msgspec.Struct, frozen=True):
    """A report of one invoice."""

    id: str
    type: str
    data: _Data

    @property
    def about(self) -> _StripeInvoice:
        return self.data.object

    @property
    def number(self) -> str:
        """The invoice's number; empty if it is none of Rev's."""
        return (self.about.metadata or {}).get(INVOICE, "")


_kind = msgspec.json.Decoder(_Kind).decode
_report = msgspec.json.Decoder(InvoiceReport).decode


def check(body: bytes, signature: str, secrets: Sequence[str], now: int) -> None:
    """Check the header Stripe-Signature of a body. ``now``: ms UTC. Raises Forged."""
    parts = [part.partition("=") for part in signature.split(",")]
    time = next((value for name, _, value in parts if name.strip() == "t"), "")
    if not (time.isascii() and time.isdigit() and len(time) <= 12):
        raise Forged("Stripe-Signature is required, as Stripe sends it")
    given = [value.encode() for name, _, value in parts if name.strip() == "v1"]
    wanted = [hmac.digest(secret.encode(), time.encode() + b"." + body, "sha256").hex().encode() for secret in secrets]
    if not sum(hmac.compare_digest(one, other) for one in wanted for other in given):
        raise Forged("Stripe-Signature does not match the body; is REV_STRIPE_WEBHOOK_SECRET the endpoint's?")
    if abs(now // 1000 - int(time)) > TOLERANCE:
        raise Forged(f"Stripe-Signature is more than {TOLERANCE} s from now")


def report_of(body: bytes) -> InvoiceReport | MeterReport | None:
    """Return the report in a body; None for a kind that means nothing here. Raises msgspec.DecodeError."""
    kind = _kind(body).type
    if kind in METER_REPORTS:
        return meter_report(body)
    return _report(body) if kind in REPORTS else None


def check_known(report: InvoiceReport, book: Book) -> None:
    """Raise Refused for a report of an invoice that is not here, or that is another one in Stripe."""
    push, invoice = book.push_of(report.number), book.numbered(report.number)
    if invoice is None or push is None or (push.invoice and push.invoice != report.about.id):
        raise Refused(
            f"invoice {report.number[:40]!r} with the id {report.about.id[:40]!r} is not here", 404, "not_found"
        )
    if report.about.currency != invoice.currency:
        raise Refused(f"currency must be {invoice.currency}, the one of invoice {report.number}")


def is_undecided(report: InvoiceReport, push: Push) -> bool:
    """Return whether it is not known yet if Rev told Stripe of this payment, or the customer paid through Stripe."""
    if report.type != "invoice.paid":
        return False
    if push.settles == "paid":
        return not push.told
    return any(record and name not in push.attached for name, record in push.transfers.items())


def changed(report: InvoiceReport, invoice: Invoice, push: Push, now: int) -> Invoice:
    """Return the invoice after a report. What Rev told Stripe itself is no other payment. Raises Refused."""
    if report.type == "invoice.voided":
        return marked(invoice, "void", now)
    if report.type == "invoice.marked_uncollectible":
        return invoice if invoice.state == "paid" else marked(invoice, "give_up", now)
    through = report.about.amount_paid - attached_cents(invoice, push)
    if report.type == "invoice.paid" and push.settles != "paid" and through > 0:
        return received(invoice, f"stripe {report.about.id}", through, now)
    return invoice
