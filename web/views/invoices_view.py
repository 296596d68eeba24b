"""Invoices in lists, what is receivable by age, and what Stripe does not have yet. Pure.

Amounts are in pico of the currency's minor unit, times in ms.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.limits import DAY
from schemas.money import PICO
from web import currency_amounts, formats
from web.exact_json import ms_or_none
from web.views.overview_view import Figure

AGES = (
    ("Not yet due", 0),
    ("1–30 days late", 30),
    ("31–60 days late", 60),
)
"""What is receivable by how many days after its due date at most."""
OLDEST = "Over 60 days late"


class InvoiceLine(NamedTuple):
    """An invoice in a list. ``number``: empty of a draft. ``state``: the API's, or overdue. ``balance``: still due."""

    number: str
    customer_id: str
    customer: str
    month: str
    state: str
    currency: str
    gross: int
    balance: int
    due: int | None


class Receivables(NamedTuple):
    """What is receivable in one currency, by age."""

    currency: str
    figures: list[Figure]


class Awaited(NamedTuple):
    """The drafts in one currency."""

    currency: str
    invoices: int
    gross: int


class PushLine(NamedTuple):
    """An invoice that Stripe does not have as it is. ``again``: when Rev tries by itself; None: never."""

    number: str
    customer_id: str
    customer: str
    error: str
    attempts: int
    again: int | None


def invoice_lines(shown: Sequence[Mapping[str, Any]], names: Mapping[str, str], now: int) -> list[InvoiceLine]:
    """Return the lines of invoices as the API shows them. ``names``: of customers."""
    return [
        InvoiceLine(
            number=one["number"] or "",
            customer_id=one["customer_id"],
            customer=names.get(one["customer_id"], one["customer_id"]),
            month=one["month"],
            state=state_of(one, now),
            currency=one["currency"],
            gross=one["amount_due_cents"] * PICO,
            balance=one["balance_cents"] * PICO,
            due=ms_or_none(one["due_at"]),
        )
        for one in shown
    ]


def state_of(shown: Mapping[str, Any], now: int) -> str:
    """Return the state of an invoice; ``overdue`` of a final one after its due date."""
    due = ms_or_none(shown["due_at"])
    is_late = shown["state"] == "final" and due is not None and due < now
    return "overdue" if is_late else str(shown["state"])


def receivables(final: Sequence[Mapping[str, Any]], now: int) -> list[Receivables]:
    """Return what is receivable of final invoices, the currency with most invoices first."""
    labels = [label for label, _ in AGES] + [OLDEST]
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(labels, 0))
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(labels, 0))
    for one in final:
        label = _age(ms_or_none(one["due_at"]), now)
        sums[one["currency"]][label] += one["balance_cents"] * PICO
        counts[one["currency"]][label] += 1
    ordered = sorted(sums, key=lambda currency: (-sum(counts[currency].values()), currency))
    return [Receivables(currency, _figures(sums[currency], counts[currency], currency)) for currency in ordered]


def _figures(sums: Mapping[str, int], counts: Mapping[str, int], currency: str) -> list[Figure]:
    every = {"Receivable": (sum(sums.values()), sum(counts.values()))}
    every |= {label: (pico, counts[label]) for label, pico in sums.items()}
    return [
        Figure(
            label,
            currency_amounts.exact(pico, currency),
            currency_amounts.in_minor_units(pico, currency),
            note=_invoices(count),
        )
        for label, (pico, count) in every.items()
    ]


def _invoices(count: int) -> str:
    return f"{formats.grouped(count)} invoice{'' if count == 1 else 's'}"


def _age(due: int | None, now: int) -> str:
    late = 0 if due is None or due >= now else (now - due) // DAY + 1
    return next((label for label, most in AGES if late <= most), OLDEST)


def awaited(drafts: Sequence[Mapping[str, Any]]) -> list[Awaited]:
    """Return what is about to be invoiced, by currency."""
    found: dict[str, tuple[int, int]] = {}
    for one in drafts:
        count, gross = found.get(one["currency"], (0, 0))
        found[one["currency"]] = count + 1, gross + one["amount_due_cents"] * PICO
    return [Awaited(currency, *found[currency]) for currency in sorted(found)]


def push_lines(shown: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[PushLine]:
    """Return the pushes of which the last attempt failed, as the API orders them: what Stripe refuses first."""
    return [
        PushLine(
            number=one["number"],
            customer_id=one["customer_id"],
            customer=names.get(one["customer_id"], one["customer_id"]),
            error=one["error"],
            attempts=one["attempts"],
            again=None if one["state"] == "failed" else ms_or_none(one["next_attempt_at"]),
        )
        for one in shown
        if one["error"]
    ]
