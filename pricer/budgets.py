"""Budgets: what is spent in the period of each, and whether an amount would exceed a hard one. Pure.

A budget counts the charges that follow it in the log and have its label, by their accepted times. Charges of outcomes
count, too, but are never refused: the work is delivered. A void gives back to the period of what it voids, while that
period lasts. See docs/decisions/0041.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict, replace

from schemas import ids, spending
from schemas.commands import Scope
from schemas.entries import Entry
from schemas.money import format_cents, parse_cents
from schemas.raw_json import EMPTY
from schemas.spending import Budget, BudgetNotice, BudgetObject, BudgetSlot, SpendingIndex, Subject
from streams.types import StateView

BUDGET_EXCEEDED = "budget_exceeded"
THRESHOLDS = (50, 80, 100)
"""Percentages of the limit of which a notice is given, each once a period."""
OVER = 101
"""Stands for an amount beyond the limit, which is a notice of its own."""
REACHED, EXCEEDED = "budget.threshold", "budget.exceeded"
Change = tuple[bytes, bytes | None]
EVENT, RESERVATION = "event would cost", "reservation would hold"
"""What asks for an amount, in the words of a refusal."""


class SpendRefusal(NamedTuple):
    """Why an amount may not be spent. ``budget``: the one that it would exceed, as the API shows it; ``balance``: the
    prepaid credit that does not cover it, in cents."""

    code: str
    error: str
    budget: msgspec.Raw = EMPTY
    balance: str | None = None


class RunningBudget:
    """A budget while a command is decided. ``spent``: pico-cents in the period of the command's accepted time;
    ``held``: by open reservations."""

    __slots__ = ("budget", "changed", "held", "limit", "slot", "spent", "start", "was_held")

    def __init__(self, slot: BudgetSlot, budget: Budget, at: int) -> None:
        self.slot = slot
        self.budget = budget
        self.limit = parse_cents(budget.limit)
        self.start = spending.period_start(budget.period, at)
        if budget.start != self.start:
            self.budget = replace(budget, start=self.start, spent="0", notified=0)
        self.spent = parse_cents(self.budget.spent)
        self.held = self.was_held = parse_cents(self.budget.held)
        self.changed = False

    def fits(self, amount: int) -> bool:
        """True if so many pico-cents more would not exceed the limit. Nothing always fits."""
        return amount == 0 or self.spent + self.held + amount <= self.limit

    def add(self, amount: int) -> None:
        """Count an amount; a negative one gives back."""
        if amount:
            self.spent += amount
            self.changed = True

    def reached(self) -> int:
        """Return the threshold that was reached, OVER beyond the limit, or 0."""
        if self.spent > self.limit:
            return OVER
        return max((one for one in THRESHOLDS if self.spent * 100 >= self.limit * one), default=0)

    def stored(self) -> Budget:
        """Return the budget as the state holds it."""
        if self.is_stored:
            return self.budget
        return replace(self.budget, spent=format_cents(self.spent), held=format_cents(self.held))

    @property
    def is_stored(self) -> bool:
        """True if the state holds it as it is."""
        return not self.changed and self.held == self.was_held

    def shown(self, at: int, amount: int | None = None) -> BudgetObject:
        """Return the budget as the API shows it at the accepted time ``at``; ``amount``: would it fit."""
        return spending.budget_shown(self.slot, self.budget, at, self.spent, self.held, amount)


class BudgetTransaction:
    """The budgets of a customer in one mode while a command is decided at the accepted time ``at``."""

    def __init__(self, shard: StateView, customer_id: str, test: bool, index: SpendingIndex, at: int) -> None:
        self._shard = shard
        self._customer_id = customer_id
        self._test = test
        self._scopes = tuple(index.budgets)
        self._at = at
        self._slots: dict[bytes, list[RunningBudget]] = {}

    def refusal(self, subject: Subject, amount: int, asks: str = EVENT) -> SpendRefusal | None:
        """Return why so many pico-cents are refused: the oldest hard budget that they would exceed. ``asks``: what for,
        in words."""
        over = [one for one in self._counting(subject) if one.budget.hard and not one.fits(amount)]
        if not over:
            return None
        first = min(over, key=lambda one: one.budget.id)
        shown = first.shown(self._at)
        left, limit = format_cents(max(first.limit - first.spent - first.held, 0)), first.budget.limit
        error = (
            f"budget {first.budget.id} ({_named(first)}) has {left} of {limit} cents left;"
            f" this {asks} {format_cents(amount)}"
        )
        return SpendRefusal(BUDGET_EXCEEDED, error, msgspec.Raw(spending.encode(shown)))

    def spend(self, subject: Subject, amount: int) -> tuple[int, ...]:
        """Count an amount; return the ids of the budgets whose limit it exceeds, in order."""
        exceeded = []
        for one in self._counting(subject):
            one.add(amount)
            if amount and one.spent > one.limit:
                exceeded.append(one.budget.id)
        return tuple(sorted(exceeded))

    def hold(self, subject: Subject, amount: int) -> None:
        """Hold an amount in the hard budgets that would count it."""
        for one in self._counting(subject):
            if one.budget.hard:
                one.held += amount

    def release(self, subject: Subject, id: int, amount: int) -> None:
        """Release what the reservation with this id holds. Budgets that are younger than it never held it."""
        for one in self._counting(subject):
            if one.budget.hard and one.budget.id < id:
                one.held -= amount

    def give_back(self, subject: Subject, event_id: int, recorded_at: int, amount: int) -> None:
        """Take an entry's amount out of the budgets that counted it, if their period is still that of the entry."""
        for one in self._counting(subject):
            if one.budget.id < event_id and spending.period_start(one.budget.period, recorded_at) == one.start:
                one.add(-amount)

    def notices(self, first_index: int, event_id: int) -> list[Entry]:
        """Return an entry for each budget that reached a threshold since its last notice, from an index on.

        What has no place in the record is left for the budget's next amount. ``event_id``: of what was charged last.
        """
        found: list[Entry] = []
        changed = [one for slot in self._slots.values() for one in slot if one.changed]
        for one in sorted(changed, key=lambda one: one.budget.id):
            reached = one.reached()
            if reached <= one.budget.notified or first_index + len(found) > ids.MAX_INDEX:
                continue
            one.budget = replace(one.budget, notified=reached)
            notice = BudgetNotice(**asdict(one.shown(self._at)), threshold_percent=min(reached, 100), event_id=event_id)
            type = EXCEEDED if reached == OVER else REACHED
            detail = msgspec.Raw(spending.encode(notice))
            found.append(Entry("config", first_index + len(found), type=type, actor="pricer", detail=detail))
        return found

    def changes(self) -> Iterator[Change]:
        """Yield what the state must hold."""
        for key, slot in self._slots.items():
            if not all(one.is_stored for one in slot):
                yield key, spending.encode([one.stored() for one in slot])

    def _counting(self, subject: Subject) -> Iterator[RunningBudget]:
        for scope in self._scopes:
            value = subject.value(scope)
            if value is not None:
                yield from self._slot(BudgetSlot(self._customer_id, self._test, scope, value))

    def _slot(self, slot: BudgetSlot) -> list[RunningBudget]:
        key = slot.key()
        found = self._slots.get(key)
        if found is None:
            stored = self._shard.get(key)
            budgets = () if stored is None else spending.decode_budgets(stored)
            found = self._slots[key] = [RunningBudget(slot, one, self._at) for one in budgets]
        return found


def all_budgets(shard: StateView, customer_id: str, test: bool | None, at: int) -> list[RunningBudget]:
    """Return a customer's budgets of one mode, or of both, by id."""
    found = []
    for key, value in shard.scan(spending.budget_prefix(customer_id, bool(test))):
        slot = spending.slot_of(customer_id, key)
        if test is None or slot.test == test:
            found += [RunningBudget(slot, one, at) for one in spending.decode_budgets(value)]
    return sorted(found, key=lambda one: one.budget.id)


def applying(budgets: Iterable[RunningBudget], subject: dict[Scope, str | None]) -> list[RunningBudget]:
    """Return the budgets whose value is the subject's value of their scope."""
    return [one for one in budgets if subject[one.slot.scope] == one.slot.value]


def _named(one: RunningBudget) -> str:
    scope = one.slot.scope
    what = "all charges" if scope == "all" else f"{scope} {one.slot.value!r}"
    return what if one.budget.period == "total" else f"{what}, this {one.budget.period}"
