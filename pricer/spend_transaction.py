"""What a customer may spend, as metering, outcomes and voids use it: budgets and prepaid credit, in one place. Pure.

A customer who never had either costs one look-up: :func:`of_customer` is None.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pricer.budgets import EVENT, RESERVATION, BudgetTransaction, Change, SpendRefusal
from pricer.credits import INSUFFICIENT, CreditTransaction
from schemas import ids, spending
from schemas.commands import OnEmpty
from schemas.entries import Entry
from schemas.funding import Draw
from schemas.money import format_cents, parse_cents
from schemas.objects import number
from schemas.reservations import Reservation
from schemas.spending import SpendingIndex, Subject
from streams.types import StateView


class Spent(NamedTuple):
    """What an amount did: the budgets whose limit it exceeds, and what credit paid, in cents (None: no grant ever)."""

    exceeded: tuple[int, ...] = ()
    credit: str | None = None
    draws: tuple[Draw, ...] = ()


NOTHING = Spent()
LOW, EXHAUSTED = "credit.low", "credit.exhausted"
"""Types of notices of prepaid credit, each given once after a grant."""


class SpendingTransaction:
    """What one command spends of one customer in one mode. ``credit``: None if the customer never had a grant."""

    def __init__(
        self,
        owner: tuple[str, bool],
        index: SpendingIndex,
        budgets: BudgetTransaction,
        credit: CreditTransaction | None,
        on_empty: OnEmpty,
    ) -> None:
        self._owner = owner
        self._index = index
        self._noticed = index.noticed
        self._drew = False
        self._reserved = index.reserved
        self._budgets = budgets
        self._credit = credit
        self._covers = on_empty == "refuse"

    def charge(self, subject: Subject, total: str) -> SpendRefusal | Spent:
        """Spend the amount of an event, decimal text in cents, or refuse it: then nothing is counted or drawn."""
        amount = parse_cents(total)
        refusal = self._refusal(subject, amount, EVENT)
        return self._spend(subject, amount) if refusal is None else refusal

    @property
    def open(self) -> int:
        """Number of open reservations."""
        return self._reserved

    def reserve(self, subject: Subject, amount: int) -> SpendRefusal | int:
        """Hold so many pico-cents for an event, or refuse it; return how many of them credit holds."""
        refusal = self._refusal(subject, amount, RESERVATION)
        if refusal is not None:
            return refusal
        self._reserved += 1
        self._budgets.hold(subject, amount)
        return 0 if self._credit is None else self._credit.hold(amount)

    def release(self, subject: Subject, one: Reservation) -> None:
        """Release what a reservation holds."""
        self._reserved -= 1
        self._budgets.release(subject, one.id, parse_cents(one.amount))
        if self._credit is not None:
            self._credit.held -= parse_cents(one.credit)

    def settle_reserved(
        self, held_for: Subject, one: Reservation, subject: Subject, total: str
    ) -> SpendRefusal | Spent:
        """Spend the amount of an event that settles a reservation: what it holds is released first. If that is
        refused, it holds on."""
        self.release(held_for, one)
        spent = self.charge(subject, total)
        if isinstance(spent, SpendRefusal):
            self._reserved += 1
            self._budgets.release(held_for, one.id, -parse_cents(one.amount))
            if self._credit is not None:
                self._credit.held += parse_cents(one.credit)
        return spent

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
        found = self._budgets.notices(first_index, event_id)
        type = self._credit_notice()
        if type and first_index + len(found) <= ids.MAX_INDEX:
            self._noticed = type
            assert self._credit is not None and self._index.low is not None
            notice = spending.CreditNotice(
                customer_id=self._owner[0],
                balance_cents=number(format_cents(self._credit.balance)),
                low_cents=number(self._index.low),
                event_id=event_id,
                test=self._owner[1],
            )
            detail = msgspec.Raw(spending.encode(notice))
            found.append(Entry("config", first_index + len(found), type=type, actor="pricer", detail=detail))
        return found

    def _credit_notice(self) -> str:
        """Return the type of the notice that the balance calls for after a draw, each once a grant; or nothing."""
        if not self._drew or self._credit is None or self._index.low is None or self._noticed == EXHAUSTED:
            return ""
        balance = self._credit.balance
        if balance == 0:
            return EXHAUSTED
        return LOW if not self._noticed and balance <= parse_cents(self._index.low) else ""

    def changes(self) -> tuple[Change, ...]:
        """Return what the state must hold."""
        drawn = () if self._credit is None else self._credit.changes()
        held = "0" if self._credit is None else format_cents(self._credit.held)
        after = replace(self._index, reserved=self._reserved, held=held, noticed=self._noticed)
        if after == self._index:
            return (*self._budgets.changes(), *drawn)
        index = None if after == SpendingIndex() else spending.encode(after)
        return (*self._budgets.changes(), *drawn, (spending.index_key(*self._owner), index))

    def _refusal(self, subject: Subject, amount: int, asks: str) -> SpendRefusal | None:
        refusal = self._budgets.refusal(subject, amount, asks)
        if refusal is None and self._covers and amount:
            return uncovered(amount, asks) if self._credit is None else self._credit.refusal(amount, asks)
        return refusal

    def _spend(self, subject: Subject, amount: int) -> Spent:
        exceeded = self._budgets.spend(subject, amount)
        if self._credit is None:
            return Spent(exceeded)
        draws = self._credit.draw(amount)
        self._drew = self._drew or bool(draws)
        return Spent(exceeded, format_cents(sum(parse_cents(draw.cents) for draw in draws)), draws)


def of_customer(
    shard: StateView, customer_id: str, test: bool, at: int, on_empty: OnEmpty = "charge"
) -> SpendingTransaction | None:
    """Return the customer's spending in one mode at the accepted time ``at``; None if nothing limits or counts it."""
    key = spending.index_key(customer_id, test)
    stored = shard.get(key)
    if stored is None and on_empty == "charge":
        return None
    return begun(shard, customer_id, test, at, on_empty, stored)


def begun(
    shard: StateView, customer_id: str, test: bool, at: int, on_empty: OnEmpty, stored: bytes | None
) -> SpendingTransaction:
    """Return the customer's spending, also if nothing limits or counts it yet. ``stored``: the SpendingIndex."""
    index = SpendingIndex() if stored is None else spending.decode_index(stored)
    credit = CreditTransaction(shard, customer_id, test, at, parse_cents(index.held)) if index.granted else None
    budgets = BudgetTransaction(shard, customer_id, test, index, at)
    return SpendingTransaction((customer_id, test), index, budgets, credit, on_empty)


def uncovered(amount: int, asks: str = EVENT) -> SpendRefusal:
    """Return the refusal of what credit must cover, of a customer who never had any."""
    error = f"prepaid credit has 0 cents left; this {asks} {format_cents(amount)}"
    return SpendRefusal(INSUFFICIENT, error, balance="0")
