"""Outcomes as the contract words them, in Decimal and dictionaries: the model that the pricer is
held against. It shares no code with the pricer, and nothing of it may come in here.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

WINDOW = 10_000
"""ms that idempotency keys are remembered."""
TTL = 3_000
"""ms after which a pending event without expires_at expires."""
OBJECTS = 35 * 86_400_000
"""ms that the whole object of an ended outcome is told without the ledger."""
TOKENS = Decimal("0.0003")
BASE = Decimal("0.5")

Json = dict[str, Any]
Entry = tuple[str, str, Decimal, str | None]
"""Kind, outcome id, total and verdict of one entry."""


@dataclass
class Expected:
    """What a command must come to. ``body`` is None where only the status is compared."""

    status: int
    code: str | None = None
    body: Json | None = None
    replayed: bool = False
    elsewhere: int | None = None
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Outcome:
    """One outcome. ``event``: id of what opened it."""

    event: int
    customer: str
    agent: str
    action: str
    task: str | None
    success: Decimal
    failure: Decimal
    on_expiry: str
    expires_at: int
    created_at: int
    criteria: Any = None
    test: bool = False
    registered: bool = True
    void: bool = False
    """Nothing will be charged, or what was has been taken back."""
    verdict: str | None = None
    charge: Decimal | None = None
    evidence: Any = None
    closed_at: int = 0
    closed_by: int = -1
    first: Json | None = None

    @property
    def id(self) -> str:
        return f"oc_{self.event}"

    def shown(self) -> Json:
        """As every endpoint shows it."""
        return {
            "task_id": self.task,
            "outcome_id": self.id,
            "event_id": self.event,
            "customer_id": self.customer,
            "agent_id": self.agent,
            "action": self.action,
            "success_criteria": self.criteria,
            "price_on_success_cents": self.success,
            "price_on_failure_cents": self.failure,
            "on_expiry": self.on_expiry,
            "expires_at": iso(self.expires_at),
            "status": self.verdict or "pending",
            "success": None if self.verdict is None else self.verdict == "succeeded",
            "charge_cents": self.charge,
            "evidence": self.evidence,
            "created_at": iso(self.created_at),
            "resolved_at": None if self.verdict is None else iso(self.closed_at),
            "voided": self.void,
            "test": self.test,
        }

    def status(self) -> Json:
        """What a refusal tells."""
        names = ("task_id", "outcome_id", "status", "success", "charge_cents", "resolved_at", "voided", "test")
        return {name: self.shown()[name] for name in names}


@dataclass
class Row:
    """A ledger entry with money, or one that opened or ended an outcome."""

    kind: str
    customer: str
    total: Decimal
    outcome: Outcome | None = None


class Model:
    """Every customer's outcomes, keys and money."""

    def __init__(self, bonus: Decimal) -> None:
        self.bonus = bonus
        """Of every action, now."""
        self.outcomes: dict[str, Outcome] = {}
        self.tasks: dict[tuple[str, str], Outcome] = {}
        self.keys: dict[tuple[str, str], tuple[Any, Expected, int]] = {}
        self.rows: dict[int, Row] = {}
        self.voids: dict[int, tuple[str, Json]] = {}
        self.charged: dict[str, Decimal] = {}

    def register(self, customer: str, key: str | None, body: Json, event: int, now: int) -> Expected:
        """POST /v1/outcomes."""
        identity = ("register", {**body, "criteria": value(body["criteria"])})
        repeat = self._repeat(customer, key, identity, now)
        if repeat is not None:
            return repeat
        known = self.tasks.get((customer, body["task"]))
        if known is not None:
            return Expected(409, "task_exists", known.status(), entries=[refused(known.id)])
        if body["expires_at"] <= now:
            return Expected(400, "invalid_request", entries=[refused("")])
        made = Outcome(
            event=event,
            customer=customer,
            agent="agent",
            action="outcome_charge",
            task=body["task"],
            success=body["success"],
            failure=body["failure"],
            on_expiry=body["on_expiry"],
            expires_at=body["expires_at"],
            created_at=now,
            criteria=value(body["criteria"]),
            test=body["test"],
        )
        self.outcomes[made.id] = self.tasks[customer, body["task"]] = made
        self.rows[event] = Row("registered", customer, Decimal(0), made)
        expected = Expected(201, None, made.shown(), entries=[("registered", made.id, Decimal(0), None)])
        self._retain(customer, key, identity, expected, now)
        return expected

    def meter(self, customer: str, events: list[Json], event: int, now: int) -> Expected:
        """POST /v1/meter and its batch; only the status and the entries are compared."""
        fresh: dict[str, Json] = {}
        statuses = []
        for one in events:
            key, identity = one["key"], ("meter", {**one, "key": None})
            repeat = self._repeat(customer, key, identity, now)
            if repeat is not None:
                statuses.append(repeat.status)
            elif key in fresh:
                statuses.append(200 if fresh[key] == one else 409)
            elif one["outcome"] == "pending" and one["expires_at"] is not None and one["expires_at"] <= now:
                statuses.append(400)
            else:
                statuses.append(201)
                if key is not None:
                    fresh[key] = one
        worst = 409 if 409 in statuses else 400 if 400 in statuses else 201
        if worst != 201:
            code = "idempotency_conflict" if worst == 409 else "invalid_request"
            return Expected(worst, code, entries=[refused("")] * len(events))
        written = []
        for index, (one, status) in enumerate(zip(events, statuses, strict=True)):
            if status == 201:
                written.append(self._event(customer, one, event + index, now))
        return Expected(201, entries=written, replayed=statuses == [200])

    def _event(self, customer: str, one: Json, event: int, now: int) -> Entry:
        total = BASE + TOKENS * one["tokens"] + (self.bonus if one["outcome"] == "success" else 0)
        made = None
        if one["outcome"] == "pending":
            expires_at = now + TTL if one["expires_at"] is None else one["expires_at"]
            on_expiry = one["on_expiry"] or "failure"
            made = Outcome(
                event, customer, "agent", "chat", None, self.bonus, Decimal(0), on_expiry, expires_at, now,
                registered=False,
            )  # fmt: skip
            self.outcomes[made.id] = made
        self._charge(customer, total)
        self.rows[event] = Row("event", customer, total, made)
        self._retain(customer, one["key"], ("meter", {**one, "key": None}), Expected(200), now)
        return ("event", made.id if made else "", total, None)

    def resolve(self, customer: str, key: str | None, body: Json, event: int, now: int) -> Expected:
        """POST /v1/outcomes/{id}/resolve."""
        found = self.find(customer, body["target"])
        identity = ("resolve", found.id if found else None, body["success"], value(body["evidence"]))
        repeat = self._repeat(customer, key, identity, now, found.id if found else "")
        if repeat is not None:
            return repeat
        if found is None:
            return Expected(404, "not_found", entries=[refused("")])
        verdict = "succeeded" if body["success"] else "failed"
        if found.verdict is None and now < found.expires_at:
            entry = self._close(found, verdict, value(body["evidence"]), event, now)
            expected = Expected(200, None, found.first, entries=[entry])
            self._retain(customer, key, identity, expected, now)
            return expected
        if found.verdict == verdict:
            return self._told(found, now, found.first)
        entries = [] if found.verdict else [self._close(found, "expired", None, event, now)]
        code = "outcome_expired" if found.verdict == "expired" else "outcome_closed"
        return Expected(409, code, found.status(), entries=[*entries, refused(found.id)])

    def expire(self, customer: str, outcome_id: str, event: int, now: int) -> Expected:
        """The expirer's reminder: no answer to compare."""
        found = self.find(customer, outcome_id)
        if found is None or found.verdict or now < found.expires_at:
            return Expected(0)
        return Expected(0, entries=[self._close(found, "expired", None, event, now)])

    def read(self, customer: str, target: str, event: int, now: int) -> Expected:
        """GET /v1/outcomes/{id}."""
        found = self.find(customer, target)
        if found is None:
            return Expected(404, "not_found")
        if found.verdict is None:
            entries = [self._close(found, "expired", None, event, now)] if now >= found.expires_at else []
            return Expected(200, None, found.shown(), entries=entries)
        return self._told(found, now, found.shown())

    def void(self, customer: str, target: int, amiss: str | None, reason: str, event: int, now: int) -> Expected:
        """The admin's void of an entry of ``rows``; ``amiss``: what of the command is not as the
        ledger has it: the ``customer``, the ``sum`` of the parts, what a ``charge`` came to."""
        row = self.rows[target]
        if target in self.voids:
            owner, answer = self.voids[target]
            if owner != customer:
                return Expected(404, "not_found", entries=[refused("")])
            return Expected(200, None, answer)
        if amiss == "customer":
            return Expected(404, "not_found", entries=[refused("")])
        if amiss == "sum" or (amiss == "charge" and row.kind == "charge"):
            return Expected(400, "invalid_request", entries=[refused("")])
        if row.kind not in ("event", "charge"):
            return Expected(404, "not_found", entries=[refused("")])
        outcome = row.outcome
        if outcome is not None and (row.kind == "charge" or outcome.verdict is None):
            outcome.void = True
        self._charge(customer, -row.total)
        answer = {
            "event_id": event,
            "voided_event_id": target,
            "outcome_id": outcome.id if outcome else None,
            "customer_id": customer,
            "agent_id": "agent",
            "action": outcome.action if outcome else "chat",
            "total_cents": -row.total,
            "reason": reason,
            "created_at": iso(now),
            "test": outcome.test if outcome else False,
        }
        self.voids[target] = (customer, answer)
        return Expected(201, None, answer, entries=[("void", outcome.id if outcome else "", -row.total, None)])

    def find(self, customer: str, target: str) -> Outcome | None:
        """By either address, the customer's own alone."""
        found = self.outcomes.get(target) if target.startswith("oc_") else self.tasks.get((customer, target))
        return found if found is not None and found.customer == customer else None

    def _close(self, outcome: Outcome, verdict: str, evidence: Any, event: int, now: int) -> Entry:
        paid = verdict if verdict != "expired" else {"success": "succeeded", "failure": "failed"}[outcome.on_expiry]
        charge = Decimal(0) if outcome.void else {"succeeded": outcome.success, "failed": outcome.failure}[paid]
        outcome.verdict, outcome.charge, outcome.evidence = verdict, charge, evidence
        outcome.closed_at, outcome.closed_by = now, event
        outcome.first = outcome.shown()
        self._charge(outcome.customer, charge)
        kind = "charge" if charge else "waived"
        self.rows[event] = Row(kind, outcome.customer, charge, outcome)
        return (kind, outcome.id, charge, verdict)

    def _told(self, outcome: Outcome, now: int, body: Json | None) -> Expected:
        if now - outcome.closed_at >= OBJECTS:
            return Expected(200, None, outcome.status(), elsewhere=outcome.closed_by)
        return Expected(200, None, body)

    def _charge(self, customer: str, cents: Decimal) -> None:
        self.charged[customer] = self.charged.get(customer, Decimal(0)) + cents

    def _retain(self, customer: str, key: str | None, identity: Any, expected: Expected, now: int) -> None:
        if key is not None:
            self.keys[customer, key] = (identity, expected, now)

    def _repeat(self, customer: str, key: str | None, identity: Any, now: int, outcome_id: str = "") -> Expected | None:
        known = None if key is None else self.keys.get((customer, key))
        if known is None or now - known[2] >= WINDOW:
            return None
        if known[0] != identity:
            return Expected(409, "idempotency_conflict", entries=[refused(outcome_id)])
        return Expected(known[1].status, None, known[1].body, replayed=True)


def refused(outcome_id: str) -> Entry:
    """The entry of a refusal."""
    return ("rejected", outcome_id, Decimal(0), None)


def value(text: str | None) -> Any:
    """The value of JSON text, its fractions by their digits; None for none."""
    return None if text is None else json.loads(text, parse_float=lambda digits: {"digits": digits})


def iso(at: int) -> str:
    """ISO 8601 UTC with milliseconds."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
