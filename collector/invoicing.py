"""The rules of invoices. Pure; exact, uses no floats, no clock: times are passed in.

An invoice is rounded once, half up, to whole cents. What rounding adds or leaves out is carried on to the customer's
next invoice, so that invoices less credit notes plus what is carried are always the ledger, exactly.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from schemas.billing import Billing, tax_of
from schemas.invoices import Account, CreditNote, Invoice, Issuer, Payment, Period, State
from schemas.limits import DAY
from schemas.money import PICO, format_cents, parse_cents

Action = Literal["finalize", "pay", "credit", "void", "give_up"]
TRANSITIONS: dict[tuple[State, Action], State] = {
    ("draft", "finalize"): "final",
    ("final", "pay"): "paid",
    ("final", "credit"): "paid",
    ("final", "void"): "void",
    ("final", "give_up"): "uncollectible",
    ("uncollectible", "pay"): "paid",
    ("uncollectible", "credit"): "paid",
    ("uncollectible", "void"): "void",
}
"""The state after an action; ``pay`` and ``credit`` change it once nothing is due any more. Whatever is not here is
refused, except ``credit``: what was voided is credited in every state."""

DEFAULT = Billing()


class Refused(Exception):
    """An action that an invoice's state or amount does not allow; the message begins with the field."""

    def __init__(self, error: str, status: int = 409, code: str = "conflict") -> None:
        super().__init__(error)
        self.status = status
        self.code = code


class LineSum(NamedTuple):
    """What a customer's entries of a period add up to, and what prepaid credit paid of it, in pico-cents."""

    entries: int
    cents: int
    credit: int = 0


class Credit(NamedTuple):
    """What was voided of one invoice since it was final, less the prepaid credit in it; ``cents``: pico-cents."""

    invoice: Invoice
    entries: int
    cents: int


class Closed(NamedTuple):
    """The outcome of closing a period for a customer; ``invoices`` are the new one and those that were credited."""

    issuer: Issuer
    account: Account
    invoices: list[Invoice]
    notes: list[CreditNote]


def half_up(pico: int) -> int:
    """Return whole cents of an amount in pico-cents, rounded half up.

    >>> half_up(PICO // 2), half_up(PICO // 2 - 1), half_up(-PICO // 2)
    (1, 0, 0)
    """
    return (pico + PICO // 2) // PICO


def close(
    issuer: Issuer,
    account: Account,
    period: Period,
    customer: str,
    sums: LineSum | None,
    credits: Sequence[Credit],
    now: int,
    billing: Billing = DEFAULT,
) -> Closed:
    """Close a period for one customer: credit notes first, then the invoice, if there are entries for one.

    An invoice is never negative: what is too much is carried on. Tax is computed on the rounded total, and credited so
    that it is always the tax of what is left.
    """
    carried = parse_cents(account.carried)
    changed, notes = [], []
    for credit in sorted(credits, key=lambda one: one.invoice.number):
        left = credit.invoice.total - credit.invoice.credited
        total = min(half_up(credit.cents), left)
        carried += total * PICO - credit.cents
        left_tax = tax_of(left - total, credit.invoice.tax_rate)
        tax = credit.invoice.tax - credit.invoice.tax_credited - left_tax
        notes.append(
            CreditNote(
                customer_id=customer,
                number=f"CN-{issuer.next_note:06d}",
                invoice=credit.invoice.number,
                period=period,
                currency=credit.invoice.currency,
                entries=credit.entries,
                voided=format_cents(credit.cents),
                total=total,
                created_at=now,
                tax=tax,
            )
        )
        issuer = replace(issuer, next_note=issuer.next_note + 1)
        credited, tax_credited = credit.invoice.credited + total, credit.invoice.tax_credited + tax
        changed.append(_settled(replace(credit.invoice, credited=credited, tax_credited=tax_credited), "credit"))
    if sums is not None:
        made = drafted(account, period, customer, sums, now, billing, carried=carried)
        number, due_at = f"INV-{issuer.next_invoice:06d}", now + billing.terms * DAY
        final = replace(made, state="final", number=number, finalized_at=now, due_at=due_at)
        issuer = replace(issuer, next_invoice=issuer.next_invoice + 1)
        carried = parse_cents(final.carried_out)
        changed.append(_settled(final, "pay"))
    return Closed(issuer, Account(period.month, format_cents(carried)), changed, notes)


def drafted(
    account: Account,
    period: Period,
    customer: str,
    sums: LineSum,
    now: int,
    billing: Billing = DEFAULT,
    carried: int | None = None,
) -> Invoice:
    """Return the draft of an invoice. ``carried``: pico-cents; None: what the account carries."""
    carried_in = parse_cents(account.carried) if carried is None else carried
    due = sums.cents - sums.credit + carried_in
    total = max(0, half_up(due))
    return Invoice(
        customer_id=customer,
        period=period,
        state="draft",
        number="",
        currency=billing.currency,
        entries=sums.entries,
        lines=format_cents(sums.cents),
        carried_in=format_cents(carried_in),
        total=total,
        carried_out=format_cents(due - total * PICO),
        created_at=now,
        credits=format_cents(sums.credit),
        tax=tax_of(total, billing.tax),
        tax_rate=billing.tax,
        tax_reason=billing.tax_reason,
        bill_to=billing.bill_to,
    )


def paid(invoice: Invoice, reference: str, cents: int, now: int) -> Invoice:
    """Return the invoice with a payment. The same payment again changes nothing. Raises Refused."""
    for payment in invoice.payments:
        if payment.reference == reference:
            if payment.cents != cents:
                raise Refused(f"reference {reference!r} is that of a payment of {payment.cents} cents")
            return invoice
    if (invoice.state, "pay") not in TRANSITIONS:
        raise Refused(f"invoice {invoice.number} is {invoice.state}; only a final or uncollectible one can be paid")
    if cents > invoice.balance:
        raise Refused(
            f"amount_cents must be at most {invoice.balance}, which is what is still due", 400, "invalid_request"
        )
    return _settled(replace(invoice, payments=(*invoice.payments, Payment(reference, cents, now))), "pay")


def received(invoice: Invoice, reference: str, cents: int, now: int) -> Invoice:
    """Return the invoice with money that came in, whatever its state: more than is due is to be paid back.

    The same payment again changes nothing. Raises Refused for another amount under its reference.
    """
    if (invoice.state, "pay") in TRANSITIONS and cents <= invoice.balance:
        return paid(invoice, reference, cents, now)
    for payment in invoice.payments:
        if payment.reference == reference:
            return paid(invoice, reference, cents, now)
    return _settled(replace(invoice, payments=(*invoice.payments, Payment(reference, cents, now))), "pay")


def marked(invoice: Invoice, action: Literal["void", "give_up"], now: int) -> Invoice:
    """Return the invoice after it was voided or given up. A repeat changes nothing. Raises Refused."""
    after: State = "void" if action == "void" else "uncollectible"
    if invoice.state == after:
        return invoice
    if (invoice.state, action) not in TRANSITIONS:
        raise Refused(f"invoice {invoice.number} is {invoice.state}; only a final one can become {after}")
    if action == "void" and invoice.payments:
        raise Refused(f"invoice {invoice.number} has payments; void its events instead, so that they are credited")
    changed = replace(invoice, state=TRANSITIONS[invoice.state, action])
    return replace(changed, voided_at=now) if action == "void" else replace(changed, given_up_at=now)


def _settled(invoice: Invoice, action: Literal["pay", "credit"]) -> Invoice:
    """Return the invoice as paid if nothing is due any more."""
    if invoice.balance > 0 or (invoice.state, action) not in TRANSITIONS:
        return invoice
    return replace(invoice, state=TRANSITIONS[invoice.state, action])
