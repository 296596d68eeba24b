"""Compares ledger, invoices and Stripe line by line."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from collector.book import STATUS, Book, attached_cents
from collector.stripe import requests
from collector.stripe.calls import Call, listed
from collector.stripe.items import Mismatch, items_of
from collector.stripe.requests import CUSTOMER, INVOICE, LINE, NOTE, metadata
from schemas.invoice_objects import Reconciliation, StripeDifference
from schemas.invoices import Invoice
from schemas.limits import DAY
from schemas.months import month_range
from warehouse.invoice_sums import InvoicingReads
from warehouse.statements import TooManyLines, Unbalanced

MOST = 1000
"""Differences that are named."""
MARGIN = DAY
"""ms. A month begins earlier in some time zones, and clocks differ."""


async def reconciled(
    book: Book, reads: InvoicingReads, call: Call | None, month: str, mode: str = "invoice"
) -> Reconciliation:
    """Compare the invoices of a month with the ledger, and with Stripe if there is a way to it.

    Raises StripeAway, StripeRefuses or ReadsUnavailable.
    """
    ours = {one.number: one for (of, _), one in sorted(book.invoices.items()) if of[:7] == month and one.number}
    theirs = {} if call is None else await _stripe_invoices(call, month)
    found: list[StripeDifference] = []
    checked = 0
    for number, invoice in ours.items():
        found += await _against_ledger(reads, invoice)
        if call is None:
            continue
        push = book.push_of(number)
        there = theirs.pop(number, [])
        if push is None and not there:
            if book.pushes or number in book.unsent:
                found += _if_missing(invoice)
            continue
        live = [one for one in there if one["status"] != "void" or invoice.state == "void"]
        if len(live) != 1:
            found.append(StripeDifference(number, "invoices in Stripe", "1", str(len(live))))
            continue
        checked += 1
        found += await _against_stripe(book, reads, call, invoice, live[0])
    for number, extra in theirs.items():
        found += [StripeDifference(number, "invoice", "none", f"{one['id']} of {one['total']}") for one in extra]
    return Reconciliation(
        month=month,
        mode=mode,
        agrees=not found,
        invoices=len(ours),
        checked=checked,
        count=len(found),
        differences=found[:MOST],
    )


def with_usage(found: Reconciliation, hours: int, differences: Sequence[StripeDifference]) -> Reconciliation:
    """Return what was found with what differs between the ledger's usage and Stripe's meters."""
    named = [*found.differences, *differences]
    count = found.count + len(differences)
    return replace(found, agrees=not count, hours=hours, count=count, differences=named[:MOST])


def _if_missing(invoice: Invoice) -> list[StripeDifference]:
    if invoice.state != "final" or invoice.balance <= 0:
        return []
    return [StripeDifference(invoice.number, "invoices in Stripe", "1", "0")]


async def _stripe_invoices(call: Call, month: str) -> dict[str, list[dict[str, Any]]]:
    """Return Stripe's invoices of a month by number. It made each after the period had begun, however much later."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    since = (month_range(month).start - MARGIN) // 1000
    async for one in listed(call, requests.find_invoices_since(since)):
        if metadata(one).get("rev_month") == month and metadata(one).get(INVOICE):
            found[metadata(one)[INVOICE]].append(one)
    return found


async def _against_ledger(reads: InvoicingReads, invoice: Invoice) -> list[StripeDifference]:
    try:
        items_of(invoice, await reads.lines(invoice))
    except (Mismatch, Unbalanced, TooManyLines) as error:
        return [StripeDifference(invoice.number, "lines of the ledger", invoice.lines, str(error) or "too many lines")]
    return []


async def _against_stripe(
    book: Book, reads: InvoicingReads, call: Call, invoice: Invoice, there: dict[str, Any]
) -> list[StripeDifference]:
    notes = book.notes_of(invoice.number)
    pairs = [
        ("customer", invoice.customer_id, metadata(there).get(CUSTOMER)),
        ("currency", invoice.currency, there["currency"]),
        ("total_cents", invoice.gross, there["total"]),
        ("state", STATUS[invoice.state], there["status"]),
    ]
    push = book.push_of(invoice.number)
    if push is not None and push.settles != "paid":
        paid = _paid_through(invoice, there["id"]) + attached_cents(invoice, push)
        pairs.append(("paid_cents", paid, there["amount_paid"]))
    try:
        items = items_of(invoice, await reads.lines(invoice))
    except (Mismatch, Unbalanced, TooManyLines):
        items = []
    lines: dict[str, list[int]] = defaultdict(list)
    async for held in listed(call, requests.find_items(there["id"])):
        lines[metadata(held).get(LINE, held["id"])].append(held["amount"])
    for item in items:
        amounts = lines.pop(item.line, [])
        pairs.append((f"line {item.line}", str(item.cents), ", ".join(map(str, amounts)) or "none"))
    pairs += [(f"line {name}", "none", ", ".join(map(str, amounts))) for name, amounts in lines.items()]
    credited: dict[str, int] = {}
    async for held in listed(call, requests.find_notes(there["id"])):
        credited[metadata(held).get(NOTE, held["id"])] = held["total"]
    # Stripe takes no note of a void invoice, and keeps one from before
    due = {note.number for note in book.notes_to_push(invoice)}
    wanted = [note for note in notes if note.number in due or note.number in credited]
    pairs += [(f"credit note {note.number}", note.gross, credited.pop(note.number, 0)) for note in wanted]
    pairs += [(f"credit note {name}", "none", total) for name, total in credited.items()]
    return [
        StripeDifference(invoice.number, what, str(mine), str(other)) for what, mine, other in pairs if mine != other
    ]


def _paid_through(invoice: Invoice, id: str) -> int:
    """Return the cents that were paid through Stripe."""
    return sum(payment.cents for payment in invoice.payments if payment.reference == f"stripe {id}")
