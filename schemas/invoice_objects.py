"""Invoices as the API shows them, and the requests that change them, between a gateway and the collector."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from schemas.billing import Billing, BillTo, percent
from schemas.billing_periods import Interval
from schemas.invoices import CreditNote, Invoice, State
from schemas.objects import Number, iso, number
from schemas.pushes import Push, PushState


class PaymentObject(msgspec.Struct, frozen=True):
    """A payment. ``reference`` names it within the invoice."""

    reference: str
    amount_cents: int
    recorded_at: str


class InvoiceObject(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """An invoice.

    ``lines_cents`` - ``credits_cents`` (what prepaid credit paid) + ``carried_in_cents`` are rounded half up to
    ``total_cents``; the next invoice carries ``carried_out_cents`` on. ``amount_due_cents`` is ``total_cents`` with the
    tax, ``balance_cents`` what is left of it after credit notes and payments. Cents are the currency's minor unit.
    ``number``: None in a draft. ``late_after``: entries from before ``from`` are on it if they were accepted later than
    this.
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
    credits_cents: Number
    tax_cents: int
    tax_percent: Number
    tax_reason: str
    amount_due_cents: int
    due_at: str | None
    voided_at: str | None
    given_up_at: str | None
    bill_to: BillTo
    time_zone: str | UnsetType = UNSET
    """Of a period of the customer's own; absent from calendar months, UTC."""


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
    tax_cents: int


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


class BillingObject(msgspec.Struct, frozen=True):
    """How a customer is billed. ``tax_percent`` of an invoice's total is added to it.

    ``billing_anchor``: the day of the month or week on which its periods begin. ``invoice_threshold_cents``: a period
    ends early once its invoice would be of more; None: it does not.
    """

    customer_id: str
    currency: str
    tax_percent: Number
    tax_reason: str
    payment_terms_days: int
    bill_to: BillTo
    billing_interval: Interval
    billing_anchor: int
    time_zone: str
    invoice_threshold_cents: int | None


class PushObject(msgspec.Struct, frozen=True):
    """An invoice on its way to Stripe. ``error``: why the last attempt failed; None after a success.

    ``next_attempt_at``: None for one that is sent, or that Stripe refuses and an administrator has to push again.
    """

    number: str
    customer_id: str
    state: PushState
    attempts: int
    next_attempt_at: str | None
    error: str | None
    stripe_invoice: str | None
    stripe_status: str | None
    stripe_url: str | None


class PushList(msgspec.Struct, frozen=True):
    """Invoices that Stripe does not have as they are, the first number first."""

    pushes: Sequence[PushObject]
    mode: str
    unsent: int
    refused: int


class StripeDifference(msgspec.Struct, frozen=True):
    """What differs between Rev and Stripe."""

    number: str
    what: str
    rev: str
    stripe: str


class Reconciliation(msgspec.Struct, frozen=True):
    """Ledger, invoices and Stripe compared line by line. ``checked``: invoices that were found in Stripe.

    ``mode``: of REV_STRIPE; unless it is invoice, ledger and invoices are compared. ``hours``: in mode meter, those
    of customers and meters that were compared; their differences have the customer's id as ``number``.
    ``differences``: at most 1000.
    """

    month: str
    mode: str
    agrees: bool
    invoices: int
    checked: int
    count: int
    differences: Sequence[StripeDifference]
    hours: int | UnsetType = UNSET


class StripeReport(msgspec.Struct, frozen=True):
    """A webhook of Stripe as the gateway passes it on."""

    signature: str
    body: str


class ReportTaken(msgspec.Struct, frozen=True):
    """What became of a webhook of Stripe."""

    outcome: str


class MonthRequest(msgspec.Struct, frozen=True):
    month: str


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
        month=period.calendar_month,
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
        credits_cents=number(invoice.credits),
        tax_cents=invoice.tax,
        tax_percent=number(percent(invoice.tax_rate)),
        tax_reason=invoice.tax_reason,
        amount_due_cents=invoice.gross,
        due_at=None if invoice.due_at is None else iso(invoice.due_at),
        voided_at=None if invoice.voided_at is None else iso(invoice.voided_at),
        given_up_at=None if invoice.given_up_at is None else iso(invoice.given_up_at),
        bill_to=invoice.bill_to,
        time_zone=period.zone or UNSET,
    )


def note_shown(note: CreditNote) -> CreditNoteObject:
    """Return a credit note as the API shows it."""
    return CreditNoteObject(
        number=note.number,
        invoice=note.invoice,
        customer_id=note.customer_id,
        month=note.period.calendar_month,
        as_of=iso(note.period.as_of),
        currency=note.currency,
        entries=note.entries,
        voided_cents=number(note.voided),
        total_cents=note.total,
        created_at=iso(note.created_at),
        tax_cents=note.tax,
    )


def billing_shown(customer: str, billing: Billing) -> BillingObject:
    """Return a customer's billing as the API shows it."""
    return BillingObject(
        customer_id=customer,
        currency=billing.currency,
        tax_percent=number(percent(billing.tax)),
        tax_reason=billing.tax_reason,
        payment_terms_days=billing.terms,
        bill_to=billing.bill_to,
        billing_interval=billing.schedule.interval,
        billing_anchor=billing.schedule.anchor,
        time_zone=billing.schedule.time_zone,
        invoice_threshold_cents=billing.threshold or None,
    )


def push_shown(customer: str, push: Push) -> PushObject:
    """Return a push as the API shows it."""
    return PushObject(
        number=push.number,
        customer_id=customer,
        state=push.state,
        attempts=push.attempts,
        next_attempt_at=iso(push.due) if push.state == "pending" else None,
        error=push.error or None,
        stripe_invoice=push.invoice or None,
        stripe_status=push.status or None,
        stripe_url=push.url or None,
    )
