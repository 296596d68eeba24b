"""What is sent to Stripe. Pure: the same invoice gives the same requests under the same idempotency keys."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from collector.stripe.items import Item
from schemas.billing import BillTo
from schemas.invoices import CreditNote, Invoice, Payment
from schemas.limits import DAY
from schemas.pushes import Push

Params = Mapping[str, object]
CUSTOMER, INVOICE, LINE, NOTE = "rev_customer_id", "rev_invoice", "rev_line", "rev_credit_note"
"""Metadata that says which object of Rev one of Stripe's is."""


class StripeRequest(NamedTuple):
    """A request of Stripe's API; ``key`` is its idempotency key, empty for a read.

    ``token``: a session's, in place of the API key; such a request goes to the host of meter events.
    """

    method: str
    path: str
    params: Params
    key: str = ""
    token: str = ""


def key_of(generation: int, *parts: str) -> str:
    """Return the idempotency key of what is named by ``parts``, which has no limit in length."""
    text = "\0".join([*parts, str(generation)])
    return "rev-" + hashlib.sha256(text.encode()).hexdigest()[:40]


def metadata(held: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the metadata of one of Stripe's objects, which need not have any."""
    return held.get("metadata") or {}


def make_customer(name: str, bill_to: BillTo, generation: int, *attempt: str) -> StripeRequest:
    return StripeRequest(
        "post", "/v1/customers", {**_bill_to(name, bill_to), "metadata": {CUSTOMER: name}},
        key_of(generation, "customer", name, repr(bill_to), *attempt),
    )  # fmt: skip


def change_customer(id: str, name: str, bill_to: BillTo, push: Push) -> StripeRequest:
    key = key_of(push.generation, "change", id, push.number, str(push.attempts), repr(bill_to))
    return StripeRequest("post", f"/v1/customers/{id}", _bill_to(name, bill_to), key)


def find_customer(name: str) -> StripeRequest:
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return StripeRequest("get", "/v1/customers/search", {"query": f"metadata['{CUSTOMER}']:'{quoted}'", "limit": 1})


def read_customer(id: str) -> StripeRequest:
    return StripeRequest("get", f"/v1/customers/{quote(id, safe='')}", {})


def read_event(id: str) -> StripeRequest:
    return StripeRequest("get", f"/v2/core/events/{quote(id, safe='')}", {})


def make_invoice(invoice: Invoice, customer: str, generation: int) -> StripeRequest:
    params = {
        "customer": customer,
        "currency": invoice.currency,
        "number": invoice.number,
        "collection_method": "send_invoice",
        "days_until_due": days_until_due(invoice),
        "auto_advance": "false",
        "pending_invoice_items_behavior": "exclude",
        "metadata": {
            INVOICE: invoice.number,
            CUSTOMER: invoice.customer_id,
            "rev_month": invoice.period.calendar_month,
        },
    }
    return StripeRequest("post", "/v1/invoices", params, key_of(generation, *_named(invoice)))


def days_until_due(invoice: Invoice) -> int:
    """Return the days of the payment terms."""
    if invoice.due_at is None or invoice.finalized_at is None:
        return 30
    return (invoice.due_at - invoice.finalized_at) // DAY


def find_invoices(customer: str) -> StripeRequest:
    return StripeRequest("get", "/v1/invoices", {"customer": customer, "limit": 100})


def find_invoices_since(time: int) -> StripeRequest:
    """Return the request of the invoices that Stripe made since a time, in seconds."""
    return StripeRequest("get", "/v1/invoices", {"created": {"gte": time}, "limit": 100})


def read_invoice(id: str) -> StripeRequest:
    """Return the request of an invoice with what was paid outside of Stripe, which is there only if it is asked for."""
    return StripeRequest("get", f"/v1/invoices/{id}", {"expand": ["amount_paid_off_stripe"]})


def make_item(invoice: Invoice, item: Item, id: str, customer: str, generation: int) -> StripeRequest:
    params = {
        "customer": customer,
        "invoice": id,
        "currency": invoice.currency,
        "amount": item.cents,
        "description": item.words,
        "period": {"start": invoice.period.start // 1000, "end": invoice.period.end // 1000},
        "metadata": {LINE: item.line, INVOICE: invoice.number},
    }
    return StripeRequest("post", "/v1/invoiceitems", params, key_of(generation, *_named(invoice), "line", item.line))


def find_items(id: str) -> StripeRequest:
    return StripeRequest("get", "/v1/invoiceitems", {"invoice": id, "limit": 100})


def finalize(invoice: Invoice, id: str, generation: int) -> StripeRequest:
    key = key_of(generation, *_named(invoice), "finalize")
    return StripeRequest("post", f"/v1/invoices/{id}/finalize", {"auto_advance": "true"}, key)


def make_note(note: CreditNote, invoice: Invoice, id: str, paid_back: int, generation: int) -> StripeRequest:
    """Return the request of a credit note. ``paid_back``: cents of it that were paid; Stripe does not pay them back."""
    params: dict[str, object] = {
        "invoice": id,
        "amount": note.gross,
        "memo": f"{note.number}: voided after {note.invoice} was final",
        "metadata": {NOTE: note.number, INVOICE: note.invoice},
    }
    if paid_back:
        params["out_of_band_amount"] = paid_back
    return StripeRequest("post", "/v1/credit_notes", params, key_of(generation, *_named(invoice), "note", note.number))


def find_notes(id: str) -> StripeRequest:
    return StripeRequest("get", "/v1/credit_notes", {"invoice": id, "limit": 100})


def report_transfer(payment: Payment, invoice: Invoice, customer: str, generation: int) -> StripeRequest:
    """Return the request that makes a payment outside of Stripe known there."""
    at = payment.at // 1000
    params = {
        "amount_requested": {"currency": invoice.currency, "value": payment.cents},
        "initiated_at": at,
        "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": at},
        "customer_details": {"customer": customer},
        "payment_method_details": {"type": "custom", "custom": {"display_name": "Transfer"}},
        "processor_details": {"type": "custom", "custom": {"payment_reference": payment.reference}},
        "metadata": {INVOICE: invoice.number, CUSTOMER: invoice.customer_id},
    }
    key = key_of(generation, *_named(invoice), "transfer", payment.reference)
    return StripeRequest("post", "/v1/payment_records/report_payment", params, key)


def attach_transfer(payment: Payment, invoice: Invoice, id: str, record: str, generation: int) -> StripeRequest:
    """Return the request that credits a payment record to an invoice."""
    key = key_of(generation, *_named(invoice), "attach", payment.reference, record)
    return StripeRequest("post", f"/v1/invoices/{id}/attach_payment", {"payment_record": record}, key)


def find_attached(id: str, record: str) -> StripeRequest:
    """Return the request of an invoice's payments by a payment record."""
    payment = {"type": "payment_record", "payment_record": record}
    return StripeRequest("get", "/v1/invoice_payments", {"invoice": id, "payment": payment, "limit": 1})


def settle(invoice: Invoice, id: str, status: str, generation: int) -> StripeRequest:
    """Return the request that gives an invoice a status that Rev decided: paid by a transfer, void, uncollectible."""
    end, params = {
        "paid": ("pay", {"paid_out_of_band": "true"}),
        "void": ("void", {}),
        "uncollectible": ("mark_uncollectible", {}),
    }[status]
    return StripeRequest("post", f"/v1/invoices/{id}/{end}", params, key_of(generation, *_named(invoice), end))


def _named(invoice: Invoice) -> tuple[str, ...]:
    """Return what makes an invoice one that no other installation has, too."""
    period = invoice.period
    return invoice.customer_id, period.month, invoice.number, str(period.as_of)


def _bill_to(name: str, bill_to: BillTo) -> dict[str, object]:
    """Return the fields of a customer; what is not known is left out."""
    given = msgspec.structs.asdict(bill_to)
    address = {field: given[field] for field in ("line1", "line2", "postal_code", "city", "state", "country")}
    found: dict[str, object] = {"name": bill_to.name or name}
    if bill_to.email:
        found["email"] = bill_to.email
    if any(address.values()):
        found["address"] = {field: value for field, value in address.items() if value}
    return found
