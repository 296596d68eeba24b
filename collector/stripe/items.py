"""An invoice's lines in whole cents: each is rounded so that all together are the invoice's total. Pure; exact."""

from collections.abc import Sequence
from typing import NamedTuple

from collector.invoicing import half_up
from schemas.billing import percent
from schemas.invoices import Invoice
from schemas.money import PICO, format_cents, parse_cents
from warehouse.row_events import canonical
from warehouse.statement_rows import StatementLineRow

MOST = 200
"""Items of an invoice in Stripe, which takes 250; further lines are summed in the last one."""
MAX_WORDS = 500
"""Characters of an item's description."""


class Item(NamedTuple):
    """``line`` names the item within its invoice: a line's number, or ``carried``, ``more``, ``credit`` or ``tax``."""

    line: str
    words: str
    cents: int


class Mismatch(Exception):
    """The lines of the ledger are not what the invoice says."""


def items_of(invoice: Invoice, lines: Sequence[StatementLineRow]) -> list[Item]:
    """Return the items of an invoice: they add up to its total and tax. Raises Mismatch.

    Item n is what rounding the sum of the first n lines adds to rounding that of the first n - 1, so no item is off by
    a cent or more.
    """
    exact = [("carried", "Carried over from the invoice before", parse_cents(invoice.carried_in))]
    exact = exact if exact[0][2] else []
    for number, line in enumerate(lines[:MOST], 1):
        exact.append((str(number), words_of(line)[:MAX_WORDS], parse_cents(line.cents)))
    if more := lines[MOST:]:
        exact.append(("more", f"{len(more)} more lines", sum(parse_cents(line.cents) for line in more)))
    if credit := parse_cents(invoice.credits):
        exact.append(("credit", "Paid by prepaid credit", -credit))
    items, sum_before = [], 0
    for name, words, cents in exact:
        items.append(Item(name, words, half_up(sum_before + cents) - half_up(sum_before)))
        sum_before += cents
    if sum_before != invoice.total * PICO + parse_cents(invoice.carried_out):
        raise Mismatch(f"the ledger's lines and what is carried in are {format_cents(sum_before)} cents")
    if invoice.tax:
        items.append(Item("tax", tax_words(invoice), invoice.tax))
    return items


def tax_words(invoice: Invoice) -> str:
    """Return how a tax is named: ``Tax 19 % (German VAT)``."""
    reason = f" ({invoice.tax_reason})" if invoice.tax_reason else ""
    return f"Tax {percent(invoice.tax_rate)} %{reason}"[:MAX_WORDS]


def words_of(line: StatementLineRow) -> str:
    """Return a line as people read it: ``chat (m1, p1): 2401 tokens at 0.0003 cents``."""
    names = ", ".join(name for name in (line.model, line.provider) if name)
    what = f"{line.action} ({names})" if names else line.action
    what = f"{what}, late" if line.late else what
    if line.kind == "void":
        which = f" of event {line.original}" if line.original else "s"
        reason = f": {line.reason}" if line.reason else ""
        return f"{what}: void{which}{reason}"
    per = f" per {line.per}" if line.per != 1 else ""
    return f"{what}: {canonical(line.quantity)} {line.component} at {canonical(line.rate)} cents{per}"
