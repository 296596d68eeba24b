"""What rev.invoices holds, in memory. Pure: records are applied in their order, and nothing else changes it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from schemas import invoices
from schemas.billing import Billing
from schemas.invoices import (
    Account,
    CreditNote,
    Cycle,
    Invoice,
    Issuer,
    Notice,
    NoticeCounter,
    Payment,
    Period,
    Record,
    State,
)
from schemas.meters import MeterPosition, RefusedMeterLine
from schemas.months import month_after
from schemas.pushes import WRITTEN, Push, StripeCustomer, StripeStatus

STATUS: dict[State, StripeStatus] = {
    "draft": "",
    "final": "open",
    "paid": "paid",
    "void": "void",
    "uncollectible": "uncollectible",
}
"""The status in Stripe of an invoice in each state."""


class Change(NamedTuple):
    """A record to write; without a value, it is deleted."""

    key: bytes
    value: Record | None


class Book:
    """The issuer, periods, accounts, invoices and credit notes.

    ``files_suffice``: whether an invoice that was written to a file does not have to come to Stripe.
    """

    def __init__(self, files_suffice: bool = True) -> None:
        self._files_suffice = files_suffice
        self.issuer: Issuer | None = None
        self.periods: dict[str, Period] = {}
        self.accounts: dict[str, Account] = {}
        self.invoices: dict[tuple[str, str], Invoice] = {}
        """By month and customer."""
        self.notes: dict[str, CreditNote] = {}
        self.billing: dict[str, Billing] = {}
        self.pushes: dict[str, Push] = {}
        """By the number of the invoice."""
        self.stripe_customers: dict[str, StripeCustomer] = {}
        self.by_stripe_id: dict[str, tuple[str, ...]] = {}
        """By Stripe's id of a customer: those that are it or were it."""
        self.meter: MeterPosition | None = None
        self.refused_lines: dict[str, RefusedMeterLine] = {}
        """By identifier: usage that Stripe refuses."""
        self.unsent: set[str] = set()
        """The numbers of invoices that Stripe does not have as they are."""
        self.refused: set[str] = set()
        """The numbers of invoices that Stripe refuses."""
        self.cycles: dict[str, Cycle] = {}
        """By customer: of those that have periods of their own."""
        self._own_periods: dict[str, dict[str, Period]] = {}
        """By customer and name: those of its own that have an invoice."""
        self.notices: dict[int, Notice] = {}
        """By number, in order: those that the customers' shards may not have."""
        self.last_notice = 0
        self._notes_of: dict[str, list[str]] = {}
        self._months: dict[str, tuple[str, str]] = {}
        """By number: month and customer."""

    def load(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Apply encoded records. Raises KeyError or msgspec.DecodeError for one that cannot be read."""
        self.apply(Change(key, invoices.decode(key, value)) for key, value in records)
        self.notices = dict(sorted(self.notices.items()))

    def apply(self, changes: Iterable[Change]) -> None:
        """Apply changes that are committed."""
        for key, value in changes:
            if value is None:
                self.notices.pop(int(_name(key)), None)  # nothing else is deleted
            elif isinstance(value, Notice):
                self.notices[int(_name(key))] = value
            elif isinstance(value, NoticeCounter):
                self.last_notice = value.last
            elif isinstance(value, Issuer):
                self.issuer = value
            elif isinstance(value, Period):
                self.periods[value.month] = value
            elif isinstance(value, Account):
                self.accounts[_name(key)] = value
            elif isinstance(value, Cycle):
                self.cycles[_name(key)] = value
            elif isinstance(value, Billing):
                self.billing[_name(key)] = value
            elif isinstance(value, StripeCustomer):
                self.stripe_customers[_name(key)] = value
                for id in value.ids:
                    names = self.by_stripe_id.get(id, ())
                    self.by_stripe_id[id] = names if _name(key) in names else (*names, _name(key))
            elif isinstance(value, MeterPosition):
                self.meter = value
            elif isinstance(value, RefusedMeterLine):
                self.refused_lines.pop(_name(key), None)
                if value.state == "refused":
                    self.refused_lines[_name(key)] = value
            elif isinstance(value, Push):
                self.pushes[value.number] = value
                self._mark(value.number)
            elif isinstance(value, CreditNote):
                if value.number not in self.notes:
                    self._notes_of.setdefault(value.invoice, []).append(value.number)
                self.notes[value.number] = value
                self._mark(value.invoice)
            else:
                where = value.period.month, value.customer_id
                self.invoices[where] = value
                if value.number and value.period.zone:
                    self._own_periods.setdefault(value.customer_id, {})[value.period.month] = value.period
                if value.number:
                    self._months[value.number] = where
                    self._mark(value.number)

    def _mark(self, number: str) -> None:
        """Note whether Stripe has an invoice as it is."""
        invoice = self.numbered(number)
        push = self.push_of(number)
        if invoice is not None and wants_push(invoice, self.notes_to_push(invoice), push):
            self.unsent.add(number)
        else:
            self.unsent.discard(number)
        if push is not None and push.state == "failed":
            self.refused.add(number)
        else:
            self.refused.discard(number)

    def push_of(self, number: str) -> Push | None:
        """Return how far an invoice is on its way to Stripe; None if that has not begun."""
        push = self.pushes.get(number)
        return None if push is not None and push.invoice == WRITTEN and not self._files_suffice else push

    def notes_of(self, number: str) -> list[CreditNote]:
        """Return the credit notes of an invoice, in the order in which they were made."""
        return [self.notes[name] for name in sorted(self._notes_of.get(number, ()))]

    def notes_to_push(self, invoice: Invoice) -> list[CreditNote]:
        """Return the credit notes that Stripe is to have: it takes none of a void invoice, of which nothing is due."""
        if invoice.state == "void":
            return []
        return [note for note in self.notes_of(invoice.number) if note.gross]

    def numbered(self, number: str) -> Invoice | None:
        """Return a final invoice by its number."""
        where = self._months.get(number)
        return None if where is None else self.invoices[where]

    def closed(self) -> list[Period]:
        """Return the closed periods, the earliest first."""
        return sorted((one for one in self.periods.values() if one.state == "closed"), key=lambda one: one.month)

    def closed_of(self, customer: str, cycle: Cycle) -> list[Period]:
        """Return the closed periods that hold entries of a customer with periods of its own, the earliest first."""
        months = [period for period in self.closed() if period.month <= cycle.through]
        own = self._own_periods.get(customer, {}).values()
        return [*months, *sorted(own, key=lambda one: one.start)]

    def next_month(self) -> str | None:
        """Return the month to close next; None before invoicing has begun."""
        closed = self.closed()
        if closed:
            return month_after(closed[-1].month)
        return None if self.issuer is None else self.issuer.first_month


def wants_push(invoice: Invoice, notes: Sequence[CreditNote], push: Push | None) -> bool:
    """Return whether Stripe does not have an invoice as it is. One of which nothing is due is never begun.

    ``notes``: those that Stripe is to have.
    """
    if push is None:
        return invoice.state == "final" and invoice.balance > 0
    if push.state == "failed":
        return False
    unsent = [note.number for note in notes if note.number not in push.notes]
    return push.state == "pending" or bool(unsent or unsent_transfers(invoice, push)) or _is_behind(invoice, push)


def _is_behind(invoice: Invoice, push: Push) -> bool:
    """Return whether Rev knows of a status that Stripe's invoice is to get. An open one has none: if Stripe is ahead,
    its report is on the way."""
    return push.status != STATUS[invoice.state] and (STATUS[invoice.state] != "open" or push.status in ("", "draft"))


def unsent_transfers(invoice: Invoice, push: Push) -> list[Payment]:
    """Return what was paid outside of Stripe and is not credited to its invoice yet. Of one that is not open, these are
    only those of which it is not known whether they are credited."""
    found = []
    for payment in invoice.payments:
        name = payment.reference
        record = push.transfers.get(name)
        is_settled = name in push.attached or record == "" or name == f"stripe {push.invoice}"
        if not is_settled and (record or STATUS[invoice.state] == "open"):
            found.append(payment)
    return found


def attached_cents(invoice: Invoice, push: Push) -> int:
    """Return the cents of payments outside of Stripe that it has credited to its invoice."""
    return sum(payment.cents for payment in invoice.payments if payment.reference in push.attached)


def _name(key: bytes) -> str:
    return key.partition(b"/")[2].decode()
