"""What the API must answer about outcomes, worked out apart from Rev with Decimal. No time: an
outcome expires when the test says that it did.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from tests.integration.outcomes.api import Answer

CONFLICT = "idempotency_conflict"


@dataclass
class Outcome:
    """Prices and charges in cents. ``paid``: what opening it cost at once."""

    id: str
    task: str | None
    success: Decimal
    failure: Decimal
    on_expiry: str
    paid: Decimal = Decimal(0)
    status: str = "pending"
    charge: Decimal = Decimal(0)
    worthless: bool = False
    """Its event was voided while it was open."""
    closing: Any = None
    """The body of the answer that closed it."""
    event_void: Any = None
    charge_void: Any = None

    def price(self, status: str) -> Decimal:
        """What it costs to end so."""
        if self.worthless:
            return Decimal(0)
        succeeded = status == "succeeded" or (status == "expired" and self.on_expiry == "success")
        return self.success if succeeded else self.failure

    @property
    def owed(self) -> Decimal:
        """All that it cost, less what was taken back."""
        paid = Decimal(0) if self.event_void else self.paid
        return paid + (Decimal(0) if self.charge_void else self.charge)


class Wanted(NamedTuple):
    """What must be answered: a status, the code of a refusal, or the first answer over again."""

    status: int
    code: str = ""
    body: Any = None
    replayed: bool = False


@dataclass
class Customer:
    """One customer's outcomes and keys. Each method says what must be answered; the ``did`` ones
    take in what was."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[str, Answer]] = field(default_factory=dict)

    def find(self, target: str) -> Outcome | None:
        return self.outcomes.get(self.tasks.get(target, target))

    def repeat(self, key: str | None, request: Any) -> Wanted | None:
        """A key that was used: the first answer for the same request, else a conflict."""
        if key is None or key not in self.keys:
            return None
        known, answer = self.keys[key]
        if known != _text(request):
            return Wanted(409, CONFLICT)
        return Wanted(answer.status, body=answer.body, replayed=True)

    def register(self, key: str | None, request: Any) -> Wanted:
        repeat = self.repeat(key, request)
        if repeat is not None:
            return repeat
        return Wanted(409, "task_exists") if request["task_id"] in self.tasks else Wanted(201)

    def resolve(self, key: str | None, target: str, success: bool, evidence: Any) -> Wanted:
        outcome = self.find(target)
        repeat = self.repeat(key, self._verdict(target, success, evidence))
        if repeat is not None:
            return repeat
        if outcome is None:
            return Wanted(404, "not_found")
        if outcome.status == "pending":
            return Wanted(200)
        if outcome.status == _end(success):
            return Wanted(200, body=outcome.closing)
        return Wanted(409, "outcome_expired" if outcome.status == "expired" else "outcome_closed")

    def did_open(self, key: str | None, request: Any, answer: Answer, outcome: Outcome) -> None:
        self.outcomes[outcome.id] = outcome
        if outcome.task is not None:
            self.tasks[outcome.task] = outcome.id
        self._remember(key, request, answer)

    def did_resolve(self, key: str | None, target: str, success: bool, evidence: Any, answer: Answer) -> Decimal:
        """The charge that must be in the answer that closed it."""
        outcome = self.find(target)
        assert outcome is not None
        self.end(outcome, _end(success), answer.body)
        self._remember(key, self._verdict(target, success, evidence), answer)
        return outcome.charge

    def end(self, outcome: Outcome, status: str, body: Any) -> None:
        """It has ended, as ``body`` shows it."""
        outcome.status, outcome.charge, outcome.closing = status, outcome.price(status), body

    def _verdict(self, target: str, success: bool, evidence: Any) -> Any:
        """A verdict is the same by whichever address its outcome is named."""
        outcome = self.find(target)
        return ["resolve", target if outcome is None else outcome.id, success, evidence]

    def _remember(self, key: str | None, request: Any, answer: Answer) -> None:
        if key is not None:
            self.keys[key] = (_text(request), answer)


def _end(success: bool) -> str:
    return "succeeded" if success else "failed"


def _text(request: Any) -> str:
    return json.dumps(request, sort_keys=True)
