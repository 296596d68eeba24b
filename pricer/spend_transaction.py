"""What a customer may spend, as metering, outcomes and voids use it: budgets and prepaid credit, in one place. Pure.

A customer who never had either costs one look-up: :func:`of_customer` is None.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pricer.budgets import BudgetTransaction, Change, SpendRefusal
from pricer.credits import INSUFFICIENT, CreditTransaction
from schemas import spending
from schemas.commands import OnEmpty
from schemas.entries import Entry
from schemas.funding import Draw
from schemas.money import format_cents, parse_cents
from schemas.spending import SpendingIndex, Subject
from streams.types import StateView


class Spent(NamedTuple):
    """What an amount did: the budgets whose limit it exceeds, and what credit paid, in cents (None: no grant ever)."""

    exceeded: tuple[int, ...] = ()
    credit: str | None = None
    draws: tuple[Draw, ...] = ()


NOTHING = Spent()


class SpendingTransaction:
    """What one command spends of one customer in one mode. ``credit``: None if the customer never had a grant."""

    def __init__(self, budgets: BudgetTransaction, credit: CreditTransaction | None, on_empty: OnEmpty) -> None:
        self._budgets = budgets
        self._credit = credit
        self._covers = on_empty == "refuse"

    def charge(self, subject: Subject, total: str) -> SpendRefusal | Spent:
        """Spend the amount of an event, decimal text in cents, or refuse it: then nothing is counted or drawn."""
        amount = parse_cents(total)
        refusal = self._budgets.refusal(subject, amount)
        if refusal is None and self._covers and amount:
            refusal = uncovered(amount) if self._credit is None else self._credit.refusal(amount)
        return self._spend(subject, amount) if refusal is None else refusal

    def settle(self, subject: Subject, total: str) -> Spent:
        """Spend the charge of an outcome, which is never refused."""
        return self._spend(subject, parse_cents(total))

    def give_back(self, subject: Subject, event_id: int, recorded_at: int, total: int, draws: Iterable[Draw]) -> None:
        """Take back what an entry spent: pico-cents, its id and accepted time, and its draws. Raises UnknownGrant."""
        self._budgets.give_back(subject, event_id, recorded_at, total)
        if self._credit is not None:
            self._credit.give_back(draws)

    def notices(self, first_index: int, event_id: int) -> list[Entry]:
        """Return entries for the thresholds that were reached; see BudgetTransaction.notices. Before ``changes``."""
        return self._budgets.notices(first_index, event_id)

    def changes(self) -> tuple[Change, ...]:
        """Return what the state must hold."""
        drawn = () if self._credit is None else self._credit.changes()
        return (*self._budgets.changes(), *drawn)

    def _spend(self, subject: Subject, amount: int) -> Spent:
        exceeded = self._budgets.spend(subject, amount)
        if self._credit is None:
            return Spent(exceeded)
        draws = self._credit.draw(amount)
        return Spent(exceeded, format_cents(sum(parse_cents(draw.cents) for draw in draws)), draws)


def of_customer(
    shard: StateView, customer_id: str, test: bool, at: int, on_empty: OnEmpty = "charge"
) -> SpendingTransaction | None:
    """Return the customer's spending in one mode at the accepted time ``at``; None if nothing limits or counts it."""
    stored = shard.get(spending.index_key(customer_id, test))
    if stored is None and on_empty == "charge":
        return None
    index = SpendingIndex() if stored is None else spending.decode_index(stored)
    credit = CreditTransaction(shard, customer_id, test, at) if index.granted else None
    return SpendingTransaction(BudgetTransaction(shard, customer_id, test, index, at), credit, on_empty)


def uncovered(amount: int) -> SpendRefusal:
    """Return the refusal of an event that credit must cover, of a customer who never had any."""
    error = f"prepaid credit has 0 cents left; this event would cost {format_cents(amount)}"
    return SpendRefusal(INSUFFICIENT, error, balance="0")
