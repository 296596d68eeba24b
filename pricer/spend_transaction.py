"""What a customer may spend, as metering, outcomes and voids use it: budgets now, in one place. Pure.

A customer who never had a budget costs one look-up: :func:`of_customer` is None.
"""

from pricer.budgets import BudgetTransaction, Change, SpendRefusal
from schemas import spending
from schemas.entries import Entry
from schemas.money import parse_cents
from schemas.spending import Subject
from streams.types import StateView


class SpendingTransaction:
    """What one command spends of one customer in one mode."""

    def __init__(self, budgets: BudgetTransaction) -> None:
        self._budgets = budgets

    def charge(self, subject: Subject, total: str) -> SpendRefusal | tuple[int, ...]:
        """Spend the amount of an event, decimal text in cents, or refuse it: then nothing is counted.

        Returns the budgets whose limit it exceeds.
        """
        amount = parse_cents(total)
        refusal = self._budgets.refusal(subject, amount)
        return self._budgets.spend(subject, amount) if refusal is None else refusal

    def settle(self, subject: Subject, total: str) -> tuple[int, ...]:
        """Spend the charge of an outcome, which is never refused."""
        return self._budgets.spend(subject, parse_cents(total))

    def give_back(self, subject: Subject, event_id: int, recorded_at: int, total: int) -> None:
        """Take back what an entry spent: pico-cents, and the entry's id and accepted time."""
        self._budgets.give_back(subject, event_id, recorded_at, total)

    def notices(self, first_index: int, event_id: int) -> list[Entry]:
        """Return entries for the thresholds that were reached; see BudgetTransaction.notices. Before ``changes``."""
        return self._budgets.notices(first_index, event_id)

    def changes(self) -> tuple[Change, ...]:
        """Return what the state must hold."""
        return tuple(self._budgets.changes())


def of_customer(shard: StateView, customer_id: str, test: bool, at: int) -> SpendingTransaction | None:
    """Return the customer's spending in one mode at the accepted time ``at``; None if nothing limits or counts it."""
    stored = shard.get(spending.index_key(customer_id, test))
    if stored is None:
        return None
    index = spending.decode_index(stored)
    return SpendingTransaction(BudgetTransaction(shard, customer_id, test, index, at))
