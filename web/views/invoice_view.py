"""One invoice: its lines with the way to their events, its sums, and what may be done with it. Pure.

Amounts are in pico of the currency's minor unit, times in ms.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.money import PICO
from web import currency_amounts, filters
from web.exact_json import ms_of, ms_or_none, pico_of
from web.views.invoices_view import state_of
from web.views.overview_view import Figure

SHOWN = 500
"""Lines that the page shows; the PDF and the CSV file have all."""
FILTERED = ("action", "model", "provider")
"""Fields of a line that the list of events can be filtered by."""


class BilledLine(NamedTuple):
    """A line. ``rate``: None of a void. ``href``: the events that it is of. ``detail``: model, provider, reason."""

    action: str
    component: str
    detail: str
    late: bool
    quantity: str
    rate: int | None
    per: int
    entries: int
    amount: int
    href: str


class SumLine(NamedTuple):
    label: str
    amount: int
    strong: bool = False


class PaymentLine(NamedTuple):
    reference: str
    amount: int
    at: int


class NoteLine(NamedTuple):
    """A credit note: what it credits with its tax, and the entries that it is of."""

    number: str
    month: str
    entries: int
    amount: int
    at: int


class InvoiceView(NamedTuple):
    """An invoice. ``balance``: what is still due. ``may``: pay, void and give_up, as the state allows."""

    number: str
    customer_id: str
    month: str
    own_period: str
    state: str
    currency: str
    as_of: int
    finalized: int | None
    due: int | None
    closed: int | None
    bill_to: list[str]
    balance: int
    figures: list[Figure]
    lines: list[BilledLine]
    more: int
    sums: list[SumLine]
    left: int
    payments: list[PaymentLine]
    notes: list[NoteLine]
    may: frozenset[str]


def assemble(answer: Mapping[str, Any], now: int, root: str = "") -> InvoiceView:
    """Return the page of an invoice as the API shows it. ``root``: of the addresses, as the portal's begin."""
    shown, notes, lines = answer["invoice"], answer["credit_notes"], answer["lines"]
    balance = shown["balance_cents"] * PICO
    return InvoiceView(
        number=shown["number"],
        customer_id=shown["customer_id"],
        month=shown["month"],
        own_period=_own_period(shown),
        state=state_of(shown, now),
        currency=shown["currency"],
        as_of=ms_of(shown["as_of"]),
        finalized=ms_or_none(shown["finalized_at"]),
        due=ms_or_none(shown["due_at"]),
        closed=ms_or_none(shown["voided_at"] or shown["given_up_at"]),
        bill_to=address(shown["bill_to"]),
        balance=balance,
        figures=_figures(shown, balance),
        lines=[_line(one, shown, root) for one in lines[:SHOWN]],
        more=max(len(lines) - SHOWN, 0),
        sums=_sums(shown, notes),
        left=pico_of(shown["carried_out_cents"]),
        payments=[_payment(one) for one in shown["payments"]],
        notes=[_note(one) for one in notes],
        may=_may(shown),
    )


def _own_period(shown: Mapping[str, Any]) -> str:
    """Return the first and the last day of a period of the customer's own; empty for a calendar month."""
    if "time_zone" not in shown:
        return ""
    zone = ZoneInfo(shown["time_zone"])
    first, last = (datetime.fromtimestamp(at / 1000, zone) for at in (ms_of(shown["from"]), ms_of(shown["to"]) - 1))
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d} ({zone.key})"


def address(bill_to: Mapping[str, str]) -> list[str]:
    """Return the lines of an address; what is not set is left out."""
    given = {name: bill_to.get(name, "") for name in ("postal_code", "city", "state", "country")}
    lines = [bill_to.get(name, "") for name in ("name", "line1", "line2")]
    lines += [f"{given['postal_code']} {given['city']}".strip(), f"{given['state']} {given['country']}".strip()]
    lines += [bill_to.get("email", ""), f"Tax id {bill_to['tax_id']}" if bill_to.get("tax_id") else ""]
    return [line for line in lines if line]


def events_of(line: Mapping[str, Any], shown: Mapping[str, Any], root: str = "") -> str:
    """Return the address of the events, or outcomes, that a line is of.

    A void of one entry leads to what it takes back. The portal's lists have no filter of customers.
    """
    whose = {} if root else {"customer": shown["customer_id"]}
    if original := line.get("voided_event_id") or line.get("event_id"):
        return f"{root}/events/{original}"
    if line["kind"] == "outcome":
        return f"{root}/outcomes?{filters.query_string({**whose, 'status': 'closed'})}"
    chosen = {name: line.get(name, "") for name in FILTERED}
    if line["kind"] == "void":
        chosen |= {"import_id": line.get("import_id", ""), "status": "voided"}
    # what is late happened before the month
    time = {"to": shown["from"]} if line.get("late") else {"from": shown["from"], "to": shown["to"]}
    return f"{root}/events?{filters.query_string({**whose, **chosen, **time})}"


def _line(line: Mapping[str, Any], shown: Mapping[str, Any], root: str) -> BilledLine:
    is_void = line["kind"] == "void"
    parts = [line.get(name, "") for name in ("model", "provider")]
    if is_void:
        parts += [f"event {line['voided_event_id']}" if "voided_event_id" in line else "several events"]
    parts += [line.get("reason", ""), f"price {line['price_id']}" if "price_id" in line else ""]
    return BilledLine(
        action=line["action"],
        component="void" if is_void else line["component"],
        detail=" · ".join(part for part in parts if part),
        late=line.get("late", False),
        quantity="" if is_void else _number(line["quantity"]),
        rate=None if is_void else pico_of(line["rate_cents"]),
        per=line.get("per", 1),
        entries=line["entries"],
        amount=pico_of(line["amount_cents"]),
        href=events_of(line, shown, root),
    )


def _number(value: int | Decimal) -> str:
    return f"{Decimal(value):,f}"


def _figures(shown: Mapping[str, Any], balance: int) -> list[Figure]:
    made = {"Amount": shown["amount_due_cents"] * PICO, "Paid": shown["paid_cents"] * PICO}
    made["Credited"] = shown["amount_due_cents"] * PICO - made["Paid"] - balance
    made["Balance"] = balance
    currency = shown["currency"]
    return [
        Figure(label, currency_amounts.exact(pico, currency), currency_amounts.in_minor_units(pico, currency))
        for label, pico in made.items()
    ]


def _sums(shown: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> list[SumLine]:
    made = [SumLine("Lines", pico_of(shown["lines_cents"]))]
    if credits := pico_of(shown["credits_cents"]):
        made.append(SumLine("Paid by prepaid credit", -credits))
    if carried := pico_of(shown["carried_in_cents"]):
        made.append(SumLine("Carried over from the invoice before", carried))
    made.append(SumLine("Subtotal, rounded once", shown["total_cents"] * PICO))
    if shown["tax_cents"] or shown["tax_percent"]:
        made.append(SumLine(f"Tax {shown['tax_percent']} % {shown['tax_reason']}".rstrip(), shown["tax_cents"] * PICO))
    made.append(SumLine("Total", shown["amount_due_cents"] * PICO, strong=True))
    made += [SumLine(f"Credit note {one['number']}", -_credited(one)) for one in notes]
    if shown["paid_cents"]:
        made.append(SumLine("Paid", -shown["paid_cents"] * PICO))
    return [*made, SumLine("Balance", shown["balance_cents"] * PICO, strong=True)]


def _credited(note: Mapping[str, Any]) -> int:
    credited: int = (note["total_cents"] + note["tax_cents"]) * PICO
    return credited


def _payment(shown: Mapping[str, Any]) -> PaymentLine:
    return PaymentLine(shown["reference"], shown["amount_cents"] * PICO, ms_of(shown["recorded_at"]))


def _note(shown: Mapping[str, Any]) -> NoteLine:
    return NoteLine(shown["number"], shown["month"], shown["entries"], _credited(shown), ms_of(shown["created_at"]))


def _may(shown: Mapping[str, Any]) -> frozenset[str]:
    """Return what the state allows, as the table of states in docs/invoices.md says."""
    allowed = set()
    if shown["state"] in ("final", "uncollectible"):
        allowed |= {"pay"} if shown["payments"] else {"pay", "void"}
    if shown["state"] == "final":
        allowed.add("give_up")
    return frozenset(allowed)
