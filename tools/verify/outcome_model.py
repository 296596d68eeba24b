"""Outcomes of one shard as the model keeps them: what opened each, how it ended, what was voided.

They are on disk, since a log can hold more of them than memory; those older than the log come from the
ledger's rows. Rules about money do not belong here (tools/verify/lifecycle.py).
"""

import pickle
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple

from schemas.labels import LABELS
from schemas.outcome_terms import JSON_TERMS, LEDGER_TERMS, TERMS, Kind
from tools.verify.row_values import ZERO, Row, canonical, loads

PRICE = (
    "price_id", "price_action", "price_model", "price_provider", "price_base", "price_token", "price_bonus",
    "price_rates", "price_ignore_unknown", "price_is_default", "price_offset",
)  # fmt: skip
PROMISED = tuple(term.name for term in LEDGER_TERMS)
UNSTATED: dict[Kind, Any] = {"price": ZERO, "text": "", "json": None}
NO_TERMS: Row = {term.name: UNSTATED[term.kind] for term in TERMS}
"""The terms of an outcome that a pending event opened, but for its price on success."""
KEPT = (
    "customer_id", "agent_id", "action", *LABELS, "test", "import_id", *PRICE, *PROMISED,
)  # fmt: skip
"""Columns that the closing rows of an outcome repeat from the row that opened it."""


class OutcomeModel(NamedTuple):
    """One outcome. ``kept``: the columns of the opening that its closing repeats. ``terms``, by name: cents as
    Decimal, JSON canonical. ``verdict`` is empty while it is open."""

    event_id: int
    registered: bool
    kept: Row
    terms: Row
    on_expiry: str
    expires_at: int
    created_at: int
    inherited: bool = False
    """True if it was opened before the log begins: its terms come from the ledger itself."""
    voided: bool = False
    verdict: str = ""
    closed_by: int = 0
    """Event id of the row that closed it."""

    @property
    def id(self) -> str:
        return f"oc_{self.event_id}"


class OutcomeModels:
    """Outcomes in a private temporary database that ``close`` deletes."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE outcome (id INTEGER PRIMARY KEY, body BLOB)")
        self._db.execute("CREATE TABLE task (name BLOB PRIMARY KEY, id INTEGER) WITHOUT ROWID")
        self._db.execute("CREATE TABLE inherited (name BLOB, id INTEGER, PRIMARY KEY (name, id)) WITHOUT ROWID")
        self._db.execute("CREATE TABLE void (id INTEGER PRIMARY KEY, customer TEXT)")

    def put(self, outcome: OutcomeModel) -> None:
        """Keep the current state of an outcome."""
        body = pickle.dumps(tuple(outcome))
        self._db.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?)", (outcome.event_id, body))

    def open(self, outcome: OutcomeModel, mode: str | None) -> None:
        """Keep an outcome that a command of a mode opens, a registered one under its task too. A live task
        replaces a test task from before modes were separate, which moves to the test tasks."""
        self.put(outcome)
        if outcome.registered:
            customer, task = outcome.kept["customer_id"], outcome.kept["task_id"]
            before = self._task(customer, task, test=False)
            if mode == "live" and before is not None:
                self._take(customer, task, True, before, instead=False)
            self._take(customer, task, mode == "test", outcome.event_id, instead=True)

    def inherit(self, outcome: OutcomeModel) -> None:
        """Keep an outcome that is older than the log. It is unknown when a test task was created: it is
        kept among the test tasks, and among those from before modes were separate unless a live one is
        there."""
        self.put(outcome)
        if outcome.registered:
            customer, task, id = outcome.kept["customer_id"], outcome.kept["task_id"], outcome.event_id
            if outcome.kept["test"]:
                self._take(customer, task, True, id, instead=False)
                self._take(customer, task, False, id, instead=False)
                self._db.execute("INSERT INTO inherited VALUES (?, ?)", (_task(customer, task, True), id))
            else:
                self._take(customer, task, False, id, instead=True)

    def of_event(self, event_id: int) -> OutcomeModel | None:
        """Return the outcome that an event or registration opened."""
        found = self._db.execute("SELECT body FROM outcome WHERE id = ?", (event_id,)).fetchone()
        return None if found is None else OutcomeModel(*pickle.loads(found[0]))

    def find(self, customer: str, target: str, mode: str | None) -> OutcomeModel | None:
        """Return an outcome by task_id or outcome_id; None if it is unknown, another customer's or the other mode's."""
        return self.candidates(customer, target, mode)[0]

    def candidates(self, customer: str, target: str, mode: str | None) -> list[OutcomeModel | None]:
        """Return what ``find`` may mean: several only where ``candidates_of_task`` says so."""
        event_id = _number(target) if target.startswith("oc_") else None
        if event_id is None:
            return self.candidates_of_task(customer, target, mode)
        outcome = self.of_event(event_id)
        here = outcome is not None and outcome.kept["customer_id"] == customer and _is_of(outcome, mode)
        return [outcome if here else None]

    def voided(self, event_id: int) -> str | None:
        """Return the customer whose entry was voided; None if it was not voided."""
        found = self._db.execute("SELECT customer FROM void WHERE id = ?", (event_id,)).fetchone()
        return None if found is None else str(found[0])

    def void(self, event_id: int, customer: str, charge: bool) -> None:
        """Record that an entry is voided: a charge, or an event, whose outcome then charges nothing."""
        self._db.execute("INSERT OR IGNORE INTO void VALUES (?, ?)", (event_id, customer))
        outcome = None if charge else self.of_event(event_id)
        if outcome is not None and not outcome.verdict:
            self.put(outcome._replace(voided=True))

    def close(self) -> None:
        self._db.close()

    def candidates_of_task(self, customer: str, task: str, mode: str | None) -> list[OutcomeModel | None]:
        """Return the outcome that a task was registered for, as a command of this mode sees it (None: from before
        modes). A command from before modes may see each test outcome that is older than the log, or none: the ledger
        does not say whether they were created before modes were separate."""
        found = self._of_task(customer, task, mode)
        if mode is not None or found is None or not (found.inherited and found.kept["test"]):
            return [found]
        ids = self._db.execute("SELECT id FROM inherited WHERE name = ?", (_task(customer, task, True),)).fetchall()
        return [*(self.of_event(id) for (id,) in ids), None]

    def _of_task(self, customer: str, task: str, mode: str | None) -> OutcomeModel | None:
        for test in (True, False) if mode == "test" else (False,):
            id = self._task(customer, task, test)
            outcome = None if id is None else self.of_event(id)
            if outcome is not None and _is_of(outcome, mode):
                return outcome
        return None

    def _task(self, customer: str, task: str, test: bool) -> int | None:
        name = _task(customer, task, test)
        found = self._db.execute("SELECT id FROM task WHERE name = ?", (name,)).fetchone()
        return None if found is None else int(found[0])

    def _take(self, customer: str, task: str, test: bool, id: int, instead: bool) -> None:
        """Put an outcome in a task's place, ``instead`` of another one or only if there is none."""
        how = "REPLACE" if instead else "IGNORE"
        self._db.execute(f"INSERT OR {how} INTO task VALUES (?, ?)", (_task(customer, task, test), id))


def opened_by(row: Row, sent: Mapping[str, Any], inherited: bool = False) -> OutcomeModel:
    """Return the outcome that a row of kind registered, or of a pending event, opens. ``sent`` holds its JSON terms:
    the command, or the object of the row."""
    registered = row["kind"] == "registered"
    stated = {name: row[name] for name in PROMISED} if registered else {"price_on_success": row["price_bonus"]}
    json = {term.name: sent.get(term.name) for term in JSON_TERMS}
    return OutcomeModel(
        event_id=row["event_id"],
        registered=registered,
        kept={column: row[column] for column in KEPT},
        terms=NO_TERMS | stated | {name: None if value is None else canonical(value) for name, value in json.items()},
        on_expiry=row["on_expiry"] or "failure",
        expires_at=row["expires_at"],
        created_at=row["recorded_at"],
        inherited=inherited,
    )


def object_of(detail: str) -> Mapping[str, Any]:
    """Return an outcome's object; an empty one if the text is none."""
    try:
        found = loads(detail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def closing_price(outcome: OutcomeModel, verdict: str) -> Decimal:
    """Return what a verdict charges, in cents."""
    if outcome.voided:
        return ZERO
    succeeded = verdict == "succeeded" or (verdict == "expired" and outcome.on_expiry == "success")
    price: Decimal = outcome.terms["price_on_success" if succeeded else "price_on_failure"]
    return price


def _number(target: str) -> int | None:
    digits = target.removeprefix("oc_")
    canonical_number = digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0"))
    return int(digits) if canonical_number and len(digits) <= 16 else None


def _is_of(outcome: OutcomeModel, mode: str | None) -> bool:
    return mode is None or outcome.kept["test"] == (mode == "test")


def _task(customer: str, task: str, test: bool) -> bytes:
    return sha256(
        f"{'test' if test else 'live'}:{len(customer)}:{customer}{task}".encode("utf-8", "surrogatepass")
    ).digest()
