"""Model of budgets: what each has spent in its period, what a hard one refuses, and the notices. Pure.

Rules (docs/verify.md): a budget counts the charges that follow it and have its value, by accepted time; an event that
a hard one has no room for is refused; an outcome's charge is not; a void gives back while the period of what it voids
lasts.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.limits import DAY
from tools.verify.reservation_model import ReservationModel
from tools.verify.row_values import EXACT, ZERO, Row, add, iso, loads

COLUMN = {"agent": "agent_id", "action": "action", "model": "model", "key": "api_key_id"}
MAX_BUDGETS, MAX_ALIKE = 1000, 10
MAX_LIMIT = Decimal(10**12)
NOTICES = ("budget.threshold", "budget.exceeded")
BEYOND = 101


class BudgetModel(NamedTuple):
    """A budget. ``begin``: when the period of ``spent`` begins, ms; ``noticed``: the last percentage noticed in it."""

    id: int
    customer: str
    test: bool
    scope: str
    value: str
    period: str
    limit: Decimal
    hard: bool
    created: int
    begin: int
    spent: Decimal = ZERO
    noticed: int = 0

    def at(self, at: int) -> "BudgetModel":
        """Return the budget at a time, with nothing spent if another period has begun."""
        begin = begin_of(self.period, at)
        return self if begin == self.begin else self._replace(begin=begin, spent=ZERO, noticed=0)

    def counts(self, row: Row) -> bool:
        """True if a charged row has the budget's value."""
        return self.scope == "all" or str(row[COLUMN[self.scope]]) == self.value

    def held(self, reserved: Iterable[ReservationModel]) -> Decimal:
        """Return what open reservations hold of it."""
        held = ZERO
        for one in reserved:
            if self.hard and one.id > self.id and self.counts(one.row):
                held = add(held, one.amount)
        return held

    def has_room(self, amount: Decimal, reserved: Iterable[ReservationModel]) -> bool:
        return amount == 0 or add(add(self.spent, self.held(reserved)), amount) <= self.limit

    def noticing(self) -> int:
        """Return the percentage that is spent, as notices count it."""
        if self.spent > self.limit:
            return BEYOND
        reached = [percent for percent in (50, 80, 100) if self.spent * 100 >= self.limit * percent]
        return reached[-1] if reached else 0

    def shown(self, reserved: Iterable[ReservationModel] = ()) -> dict[str, Any]:
        """Return the budget as the API shows it. ``reserved``: the open reservations."""
        held = self.held(reserved)
        left = EXACT.subtract(EXACT.subtract(self.limit, self.spent), held)
        end = end_of(self.period, self.begin)
        return {
            "id": self.id,
            "customer_id": self.customer,
            "scope": self.scope,
            "value": self.value,
            "period": self.period,
            "limit_cents": self.limit,
            "hard": self.hard,
            "spent_cents": self.spent,
            "left_cents": max(left, ZERO),
            "period_start": None if end is None else iso(self.begin),
            "period_end": None if end is None else iso(end),
            "created_at": iso(self.created),
            "test": self.test,
            **({"held_cents": held} if held else {}),
        }


class BudgetModels:
    """The budgets of one customer and mode, by id."""

    def __init__(self, known: Mapping[int, BudgetModel] | None = None) -> None:
        self.known = dict(known or {})
        self._spent_on: set[int] = set()

    def copy(self) -> "BudgetModels":
        """Return budgets to try a command on."""
        return BudgetModels(self.known)

    def is_full(self, scope: str, value: str) -> bool:
        """True if no more budgets may be made, at all or alike."""
        alike = [one for one in self.known.values() if (one.scope, one.value) == (scope, value)]
        return len(self.known) >= MAX_BUDGETS or len(alike) >= MAX_ALIKE

    def remove(self, id: int) -> None:
        """Forget a budget, if it is known."""
        self.known.pop(id, None)

    def allow(self, row: Row, reserved: Iterable[ReservationModel]) -> bool:
        """True if every hard budget has room for an event's row beside what is reserved."""
        return all(one.has_room(row["total_cents"], reserved) for one in self._of(row) if one.hard)

    def spend(self, row: Row) -> None:
        """Count a charged row, and say in it which limits it exceeds."""
        beyond = []
        for one in self._of(row):
            if row["total_cents"]:
                self.known[one.id] = spent = one._replace(spent=add(one.spent, row["total_cents"]))
                self._spent_on.add(one.id)
                beyond += [(one.id,)] if spent.spent > one.limit else []
        row["budgets_exceeded"] = tuple(sorted(beyond))

    def give_back(self, row: Row) -> None:
        """Take a voided row out again, in the periods that it was spent in; ``row`` has its accepted time."""
        for one in self.known.values():
            if one.counts(row) and one.id < row["event_id"] and one.begin == begin_of(one.period, row["recorded_at"]):
                self.known[one.id] = one._replace(spent=EXACT.subtract(one.spent, row["total_cents"]))

    def notices(self, last: Row, index: int, reserved: Iterable[ReservationModel]) -> Iterator[Row]:
        """Yield what the rows of the notices have of their own, after the last charged row of a command."""
        for id in sorted(self._spent_on):
            one = self.known[id]
            reached = one.noticing()
            if reached <= one.noticed or index > 1023:
                continue
            index += 1
            self.known[id] = one._replace(noticed=reached)
            detail = {**one.shown(reserved), "threshold_percent": min(reached, 100), "event_id": last["event_id"]}
            yield {
                "kind": "config",
                "config_type": NOTICES[1] if reached == BEYOND else NOTICES[0],
                "actor": "pricer",
                "detail": detail,
            }
        self._spent_on.clear()

    def noticed(self, row: Row) -> None:
        """Take in a notice from before the log begins."""
        detail = loads(row["detail"])
        one = self.known.get(detail["id"])
        if one is not None:
            reached = BEYOND if row["config_type"] == NOTICES[1] else detail["threshold_percent"]
            self.known[one.id] = one.at(row["recorded_at"])._replace(noticed=reached)

    def _of(self, row: Row) -> list[BudgetModel]:
        return [one.at(row["recorded_at"]) for one in self.known.values() if one.counts(row)]


def begin_of(period: str, at: int) -> int:
    """Return when the calendar day or month (UTC) of a time begins, in ms; 0 for a budget without an end."""
    if period == "day":
        return at // DAY * DAY
    if period == "month":
        day = _day(at)
        return at // DAY * DAY - (day.day - 1) * DAY
    return 0


def end_of(period: str, begin: int) -> int | None:
    """Return when the next period begins; None if none does."""
    if period == "total":
        return None
    if period == "day":
        return begin + DAY
    return begin_of("month", begin + 31 * DAY)  # no month is longer, and two are


def _day(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=at // DAY)
