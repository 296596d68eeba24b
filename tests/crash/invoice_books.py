"""An independent reckoning of invoices: from rows of rev.entries, what each invoice and credit note must be of.

It goes through a customer's closings in their order and puts each entry on the first document that may have it. The
documents are what the API shows, Stripe's side is what the stand-in holds. Money is Decimal cents; times are ISO 8601
texts of UTC, which sort by time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

Object = Mapping[str, Any]
STATUS = {"final": "open", "paid": "paid", "void": "void", "uncollectible": "uncollectible"}
"""The status in Stripe of an invoice in each state."""


class Entry(NamedTuple):
    """An entry of a customer that costs something. ``original``: what a void takes back, else 0."""

    id: int
    kind: str
    original: int
    happened: str
    accepted: str
    cents: Decimal
    credit: Decimal

    @property
    def due(self) -> Decimal:
        return self.cents - self.credit


def half_up(cents: Decimal) -> Decimal:
    return (cents + Decimal("0.5")).to_integral_value(ROUND_FLOOR)


def due(entries: Sequence[Entry]) -> Decimal:
    return sum((one.due for one in entries), Decimal(0))


class Reckoning:
    """A customer's entries against its invoices and credit notes; ``errors`` says what differs."""

    def __init__(self, entries: Sequence[Entry], invoices: Sequence[Object], notes: Sequence[Object]) -> None:
        self.errors: list[str] = []
        self.left = {one.id: one for one in entries}
        """Entries that are on nothing yet."""
        self.carried = Decimal(0)
        self._billed: dict[int, str] = {}
        self._creditable: dict[str, Decimal] = {}
        if len(self.left) != len(entries):
            self.errors.append("two entries have one id")
        for as_of in sorted({one["as_of"] for one in (*invoices, *notes)}):
            known = [one for one in self.left.values() if one.accepted <= as_of]
            self._credit(known, [one for one in notes if one["as_of"] == as_of])
            for invoice in sorted((one for one in invoices if one["as_of"] == as_of), key=lambda one: str(one["to"])):
                self._invoice([one for one in known if one.id in self.left], invoice)

    def _credit(self, known: Sequence[Entry], notes: Sequence[Object]) -> None:
        """Voids of what an earlier invoice has are on a credit note of that invoice."""
        voids: dict[str, list[Entry]] = {}
        for one in known:
            if one.kind == "void" and one.original in self._billed:
                voids.setdefault(self._billed[one.original], []).append(one)
        for note in notes:
            some = voids.pop(note["invoice"], [])
            left = self._creditable.get(note["invoice"], Decimal(0))
            wanted = min(half_up(-due(some)), left)
            self._same(note, {"entries": len(some), "voided_cents": -due(some), "total_cents": wanted})
            self._creditable[note["invoice"]] = left - wanted
            self.carried += wanted + due(some)
            self._take(some)
        self.errors += [f"no credit note of {number} has {len(some)} voids" for number, some in voids.items()]

    def _invoice(self, known: Sequence[Entry], invoice: Object) -> None:
        some = [one for one in known if one.happened < invoice["to"]]
        owed = due(some) + self.carried
        total = max(Decimal(0), half_up(owed))
        wanted = {
            "entries": len(some),
            "lines_cents": sum(one.cents for one in some),
            "credits_cents": sum(one.credit for one in some),
            "carried_in_cents": self.carried,
            "total_cents": total,
            "carried_out_cents": owed - total,
        }
        self._same(invoice, wanted)
        self.carried = owed - total
        self._creditable[invoice["number"]] = total
        self._billed |= {one.id: invoice["number"] for one in some}
        self._take(some)

    def _take(self, some: Sequence[Entry]) -> None:
        for one in some:
            del self.left[one.id]

    def _same(self, document: Object, wanted: Object) -> None:
        found = {name: document[name] for name in wanted}
        if found != wanted:
            self.errors.append(f"{document['number']} has {found}, the ledger {wanted}")


def unlike_stripe(invoices: Sequence[Object], notes: Sequence[Object], stripe: Any) -> Iterator[str]:
    """Yield what Stripe's stand-in holds more, less or otherwise than the API's invoices and credit notes."""
    number_of = {id: one["number"] for id, one in stripe.invoices.items()}
    owner_of = {id: one["metadata"]["rev_customer_id"] for id, one in stripe.customers.items()}
    items: Counter[str] = Counter()
    for one in stripe.items.values():
        items[number_of.get(one["invoice"], one["invoice"])] += one["amount"]
    yield from _differences(
        "invoice",
        [
            (
                one["number"],
                one["customer_id"],
                one["currency"],
                one["amount_due_cents"],
                one["amount_due_cents"],
                STATUS[one["state"]],
                max(0, one["balance_cents"]),
            )
            for one in invoices
            if one["amount_due_cents"]
        ],
        [
            (
                one["number"],
                owner_of[one["customer"]],
                one["currency"],
                one["total"],
                items[one["number"]],
                one["status"],
                one["amount_remaining"],
            )
            for one in stripe.invoices.values()
        ],
    )
    lines = [(one["invoice"], one["metadata"]["rev_line"]) for one in stripe.items.values()]
    if len(set(lines)) != len(lines):
        yield "a line is in Stripe twice"
    if len(set(owner_of.values())) != len(owner_of):
        yield "a customer is in Stripe twice"
    yield from _differences(
        "credit note",
        [(one["number"], one["invoice"], gross) for one in notes if (gross := one["total_cents"] + one["tax_cents"])],
        [
            (one["metadata"]["rev_credit_note"], number_of.get(one["invoice"]), one["total"])
            for one in stripe.notes.values()
        ],
    )


def _differences(what: str, ours: Sequence[Any], stripes: Sequence[Any]) -> Iterator[str]:
    only, there = Counter(ours), Counter(stripes)
    yield from (f"{what} only here: {one}" for one in (only - there).elements())
    yield from (f"{what} only in Stripe: {one}" for one in (there - only).elements())
