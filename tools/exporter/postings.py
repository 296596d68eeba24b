"""The general ledger journal of invoices: postings by account that balance to zero. Pure; amounts in minor units.

What rounding carries from invoice to invoice is not posted: an invoice's revenue is what it bills. What prepaid credit
paid is not on invoices; ``credit_postings`` has it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

RECEIVABLE, REVENUE, TAX, CASH, BAD_DEBT = (
    "accounts_receivable", "revenue", "tax_payable", "cash", "bad_debt_expense",
)  # fmt: skip


class Posting(NamedTuple):
    """One side of an entry of the journal: ``debit`` or ``credit`` is 0."""

    date: str
    document: str
    account: str
    debit_cents: int
    credit_cents: int
    currency: str
    customer_id: str
    memo: str


def postings(month: str, invoices: Iterable[Mapping[str, Any]], notes: Mapping[str, Any]) -> Iterator[Posting]:
    """Yield the postings of a month, by their own dates. ``notes``: the credit notes of each invoice's number."""
    for invoice in invoices:
        for one in _of_invoice(invoice, notes.get(invoice["number"], [])):
            if one.date.startswith(month) and (one.debit_cents or one.credit_cents):
                yield one


def _of_invoice(invoice: Mapping[str, Any], notes: Iterable[Mapping[str, Any]]) -> Iterator[Posting]:
    number = invoice["number"]
    if number is None:
        return
    made = _Entry(invoice, number)
    total, tax = invoice["total_cents"], invoice["tax_cents"]
    yield from made.entry(invoice["finalized_at"], number, f"invoice {number}", {RECEIVABLE: total + tax},
                          {REVENUE: total, TAX: tax})  # fmt: skip
    void_at, given_up_at = invoice["voided_at"], invoice["given_up_at"]

    def receivable(at: str) -> str:
        """Return the account of what the customer owes: what was given up is an expense already."""
        return BAD_DEBT if given_up_at is not None and at > given_up_at else RECEIVABLE

    left, taxes, paid = total, tax, 0
    for at, kind, one in sorted(_changes(invoice, notes), key=lambda change: change[:2]):
        if kind == "credit note" and not (void_at is not None and at > void_at):  # a void takes back all of it
            credited, taxed = one["total_cents"], one["tax_cents"]
            words = f"credit note {one['number']} of {number}"
            yield from made.entry(
                at, one["number"], words, {REVENUE: credited, TAX: taxed}, {receivable(at): credited + taxed}
            )
            left, taxes = left - credited, taxes - taxed
        elif kind == "payment":
            words, cents = f"payment {one['reference']} of {number}", one["amount_cents"]
            yield from made.entry(at, number, words, {CASH: cents}, {receivable(at): cents})
            paid += cents
        elif kind == "void":
            words = f"invoice {number} is void"
            yield from made.entry(at, number, words, {REVENUE: left, TAX: taxes}, {receivable(at): left + taxes})
        elif kind == "uncollectible":
            words, rest = f"invoice {number} is uncollectible", left + taxes - paid
            yield from made.entry(at, number, words, {BAD_DEBT: rest}, {RECEIVABLE: rest})


def _changes(
    invoice: Mapping[str, Any], notes: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield what became of an invoice: when, what, and the credit note or payment."""
    for note in notes:
        yield note["created_at"], "credit note", note
    for payment in invoice["payments"]:
        yield payment["recorded_at"], "payment", payment
    for field, kind in (("given_up_at", "uncollectible"), ("voided_at", "void")):
        if invoice[field] is not None:
            yield invoice[field], kind, {}


class _Entry:
    """Makes the postings of one invoice."""

    def __init__(self, invoice: Mapping[str, Any], number: str) -> None:
        self._currency, self._customer = invoice["currency"], invoice["customer_id"]

    def entry(
        self, at: str, document: str, memo: str, debits: Mapping[str, int], credits: Mapping[str, int]
    ) -> Iterator[Posting]:
        assert sum(debits.values()) == sum(credits.values())
        for account, cents in debits.items():
            yield self._posting(at, document, account, memo, debit_cents=cents)
        for account, cents in credits.items():
            yield self._posting(at, document, account, memo, credit_cents=cents)

    def _posting(
        self, at: str, document: str, account: str, memo: str, debit_cents: int = 0, credit_cents: int = 0
    ) -> Posting:
        return Posting(
            date=at,
            document=document,
            account=account,
            debit_cents=debit_cents,
            credit_cents=credit_cents,
            currency=self._currency,
            customer_id=self._customer,
            memo=memo,
        )
