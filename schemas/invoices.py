"""Invoices and credit notes: the values of rev.invoices, by key. One process writes them, in transactions.

Exact amounts are canonical decimal text in cents; what is billed is a whole number of cents. Times are ms UTC.
"""

from typing import Literal

import msgspec

from schemas.billing import Billing, BillTo
from schemas.meters import MeterPosition, RefusedMeterLine
from schemas.pushes import Push, StripeCustomer

State = Literal["draft", "final", "paid", "void", "uncollectible"]
PeriodState = Literal["draft", "closing", "closed"]
NoticeType = Literal["invoice.created", "invoice.finalized", "invoice.paid", "credit_note.created"]
ISSUER_KEY = b"issuer"
NOTICES_KEY = b"notices"


class Issuer(msgspec.Struct, frozen=True):
    """The issuer's counters, and the first month that is invoiced."""

    first_month: str
    next_invoice: int = 1
    next_note: int = 1


class Period(msgspec.Struct, frozen=True, omit_defaults=True):
    """A month, or a period of one customer, and the entries that its invoices are of.

    They are those of before ``end`` that were accepted until ``as_of`` and are on no earlier invoice: of from
    ``start`` on, or accepted after ``late_after``, the earlier month's ``as_of``. What happened and was accepted
    before ``first`` is on no invoice. ``zone``: the time zone of one customer's period; empty: it is everybody's month.
    """

    month: str
    """``2026-11``; of one customer's period, the month that it begins in and its number: ``2026-11-0003``."""
    start: int
    end: int
    first: int
    late_after: int
    as_of: int
    state: PeriodState
    zone: str = ""

    @property
    def calendar_month(self) -> str:
        """The month that it is listed under."""
        return self.month[:7]


class Cycle(msgspec.Struct, frozen=True, omit_defaults=True):
    """The running period of a customer that has periods of its own, since its billing was first set so.

    ``through``: the last calendar month that it is invoiced for with everybody. ``name`` is that of its period;
    ``number``: how many periods of its own were closed. ``late_after``: until when entries from before ``start`` had to
    be accepted to be on an earlier invoice; None: until ``through`` was closed. ``drafted``: it has its draft.
    """

    through: str
    name: str
    start: int
    end: int
    number: int = 0
    late_after: int | None = None
    drafted: bool = False


class Account(msgspec.Struct, frozen=True):
    """How far a customer is invoiced, and the exact cents that the next invoice carries on."""

    through: str
    carried: str


class Payment(msgspec.Struct, frozen=True):
    """A payment; ``reference`` names it within its invoice, so that a repeat is not another one."""

    reference: str
    cents: int
    at: int


class Invoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """An invoice. ``lines`` - ``credits`` + ``carried_in`` = ``total`` + ``carried_out``, exactly.

    ``credits``: what prepaid credit paid of the lines.
    ``number`` is empty in a draft. ``credited``: cents of its credit notes, ``tax_credited`` of the tax on them.
    ``tax``: cents on top of ``total``; ``tax_rate``: hundredths of a percent. Cents are the currency's minor unit.
    """

    customer_id: str
    period: Period
    state: State
    number: str
    currency: str
    entries: int
    lines: str
    carried_in: str
    total: int
    carried_out: str
    created_at: int
    credited: int = 0
    payments: tuple[Payment, ...] = ()
    finalized_at: int | None = None
    tax: int = 0
    tax_rate: int = 0
    tax_reason: str = ""
    tax_credited: int = 0
    due_at: int | None = None
    credits: str = "0"
    voided_at: int | None = None
    given_up_at: int | None = None
    bill_to: BillTo = BillTo()

    @property
    def gross(self) -> int:
        """The cents of the invoice with its tax."""
        return self.total + self.tax

    @property
    def paid(self) -> int:
        """The cents that were paid."""
        return sum(payment.cents for payment in self.payments)

    @property
    def balance(self) -> int:
        """The cents that are still due; negative: to be paid back."""
        return self.gross - self.credited - self.tax_credited - self.paid


class CreditNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was voided of an invoice after it was final, in the months up to ``period``.

    ``voided`` is exact, less what prepaid credit gets back; ``total`` is what is credited; the next invoice carries
    the difference on. ``tax``: cents of the invoice's tax that are credited with it.
    """

    customer_id: str
    number: str
    invoice: str
    period: Period
    currency: str
    entries: int
    voided: str
    total: int
    created_at: int
    tax: int = 0

    @property
    def gross(self) -> int:
        """The cents that are credited with their tax."""
        return self.total + self.tax


METER_KEY = b"meter"


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an invoice or credit note, until the customer's shard has it for the customer's webhooks."""

    type: NoticeType
    invoice: Invoice | None = None
    note: CreditNote | None = None

    @property
    def customer_id(self) -> str:
        one = self.invoice or self.note
        assert one is not None
        return one.customer_id


class NoticeCounter(msgspec.Struct, frozen=True):
    """``last``: the number of the last notice that was made."""

    last: int


Record = (
    Issuer
    | Period
    | Account
    | Invoice
    | CreditNote
    | Billing
    | Push
    | StripeCustomer
    | Notice
    | NoticeCounter
    | Cycle
    | MeterPosition
    | RefusedMeterLine
)
encode = msgspec.json.Encoder().encode
_DECODERS: dict[bytes, msgspec.json.Decoder[Record]] = {
    b"issuer": msgspec.json.Decoder(Issuer),
    b"period": msgspec.json.Decoder(Period),
    b"account": msgspec.json.Decoder(Account),
    b"invoice": msgspec.json.Decoder(Invoice),
    b"note": msgspec.json.Decoder(CreditNote),
    b"billing": msgspec.json.Decoder(Billing),
    b"push": msgspec.json.Decoder(Push),
    b"stripe-customer": msgspec.json.Decoder(StripeCustomer),
    b"meter": msgspec.json.Decoder(MeterPosition),
    b"meter-line": msgspec.json.Decoder(RefusedMeterLine),
    b"notice": msgspec.json.Decoder(Notice),
    b"cycle": msgspec.json.Decoder(Cycle),
    b"notices": msgspec.json.Decoder(NoticeCounter),
}


def period_key(month: str) -> bytes:
    return f"period/{month}".encode()


def account_key(customer: str) -> bytes:
    return f"account/{customer}".encode()


def invoice_key(month: str, customer: str) -> bytes:
    return f"invoice/{month}/{customer}".encode()


def note_key(number: str) -> bytes:
    return f"note/{number}".encode()


def billing_key(customer: str) -> bytes:
    return f"billing/{customer}".encode()


def push_key(number: str) -> bytes:
    return f"push/{number}".encode()


def stripe_customer_key(customer: str) -> bytes:
    return f"stripe-customer/{customer}".encode()


def meter_line_key(identifier: str) -> bytes:
    return f"meter-line/{identifier}".encode()


def cycle_key(customer: str) -> bytes:
    return f"cycle/{customer}".encode()


def notice_key(number: int) -> bytes:
    return b"notice/%020d" % number


def decode(key: bytes, value: bytes) -> Record:
    """Return the value of a record. Raises KeyError for an unknown kind of key, msgspec.DecodeError."""
    return _DECODERS[key.partition(b"/")[0]].decode(value)
