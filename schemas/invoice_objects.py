"""Invoices as the API shows them, and the requests that change them, between a gateway and the collector."""

from collections.abc import Sequence

import msgspec

from schemas.invoices import CreditNote, Invoice, State
from schemas.objects import Number, iso, number


class PaymentObject(msgspec.Struct, frozen=True):
    """A payment. ``reference`` names it within the invoice."""

    reference: str
    amount_cents: int
    recorded_at: str


class InvoiceObject(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """An invoice.

    ``lines_cents`` + ``carried_in_cents`` are rounded half up to ``total_cents``; the next invoice carries
    ``carried_out_cents`` on. ``balance_cents`` is what is due after credit notes and payments. ``number``: None in a
    draft. ``late_after``: entries from before ``from`` are on it if they were accepted later than this.
    """

    number: str | None
    customer_id: str
    month: str
    state: State
    start: str
    end: str
    as_of: str
    late_after: str
    invoicing_since: str
    currency: str
    entries: int
    lines_cents: Number
    carried_in_cents: Number
    total_cents: int
    carried_out_cents: Number
    credited_cents: int
    paid_cents: int
    balance_cents: int
    payments: Sequence[PaymentObject]
    created_at: str
    finalized_at: str | None


class CreditNoteObject(msgspec.Struct, frozen=True):
    """A credit note: what was voided of an invoice after it was final. ``voided_cents`` is exact."""

    number: str
    invoice: str
    customer_id: str
    month: str
    as_of: str
    currency: str
    entries: int
    voided_cents: Number
    total_cents: int
    created_at: str


class InvoiceList(msgspec.Struct, frozen=True):
    """Invoices, the latest month first."""

    invoices: Sequence[InvoiceObject]
    next_cursor: str | None


class InvoiceWithNotes(msgspec.Struct, frozen=True):
    """An invoice and its credit notes."""

    invoice: InvoiceObject
    credit_notes: Sequence[CreditNoteObject]


class RunResult(msgspec.Struct, frozen=True):
    """The invoices of a month; with ``dry_run``, as they would be.

    ``total_cents``: the sum of all of them. ``largest``: at most 100 of them, the largest totals first.
    """

    month: str
    dry_run: bool
    count: int
    total_cents: int
    largest: Sequence[InvoiceObject]


class PaymentRequest(msgspec.Struct, frozen=True):
    reference: str
    amount_cents: int


class RunRequest(msgspec.Struct, frozen=True):
    month: str
    dry_run: bool = False


def invoice_shown(invoice: Invoice) -> InvoiceObject:
    """Return an invoice as the API shows it."""
    period = invoice.period
    return InvoiceObject(
        number=invoice.number or None,
        customer_id=invoice.customer_id,
        month=period.month,
        state=invoice.state,
        start=iso(period.start),
        end=iso(period.end),
        as_of=iso(period.as_of),
        late_after=iso(period.late_after),
        invoicing_since=iso(period.first),
        currency=invoice.currency,
        entries=invoice.entries,
        lines_cents=number(invoice.lines),
        carried_in_cents=number(invoice.carried_in),
        total_cents=invoice.total,
        carried_out_cents=number(invoice.carried_out),
        credited_cents=invoice.credited,
        paid_cents=invoice.paid,
        balance_cents=invoice.balance,
        payments=[PaymentObject(one.reference, one.cents, iso(one.at)) for one in invoice.payments],
        created_at=iso(invoice.created_at),
        finalized_at=None if invoice.finalized_at is None else iso(invoice.finalized_at),
    )


def note_shown(note: CreditNote) -> CreditNoteObject:
    """Return a credit note as the API shows it."""
    return CreditNoteObject(
        number=note.number,
        invoice=note.invoice,
        customer_id=note.customer_id,
        month=note.period.month,
        as_of=iso(note.period.as_of),
        currency=note.currency,
        entries=note.entries,
        voided_cents=number(note.voided),
        total_cents=note.total,
        created_at=iso(note.created_at),
    )
