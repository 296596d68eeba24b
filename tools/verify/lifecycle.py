"""Model of the outcome commands: register, resolve, expire, read, void. Pure except for what it keeps in
OutcomeModels and Keys.

Rules (docs/verify.md): the first closing in log order wins, by accepted time against expires_at; a key that
opened or closed something returns the same result again for the same body; a refusal leaves a row without
money and is never remembered.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.limits import DAY
from schemas.outcome_terms import LEDGER_TERMS, PRICES, TERMS, Kind
from tools.verify.key_model import Keys, Known, body_of
from tools.verify.month_model import MonthModels
from tools.verify.outcome_model import OutcomeModel, OutcomeModels, closing_price, opened_by
from tools.verify.row_values import BORROWED, EMPTY, EXACT, Row, canonical, event_id, iso, loads
from tools.verify.spending_model import SpendingModels
from tools.verify.unpriced_model import UnpricedModels
from tools.verify.void_rules import VoidAddress, void_row, void_shown, voidable

RESERVED = "outcome_charge"
"""Action of registered outcomes."""
MAX_PRICE = 10**9
MAX_TTL = 100 * 365 * DAY
COMMANDS = ("register", "resolve", "expire", "read", "void")
BODIES: dict[str, dict[str, Any]] = {
    "register": {
        "task_id": None, "agent_id": None, "expires_at": None, "on_expiry": "failure",
        **{term.name: "0" if term.kind == "price" else None for term in TERMS},
    },
    "resolve": {"target": None, "success": None, "evidence": None},
}  # fmt: skip
"""Fields that make two commands with one key the same, with the value that an absent field means."""
STATED: dict[Kind, Callable[[Any], Any]] = {"price": lambda cents: Decimal(cents or 0), "text": lambda text: text or ""}
"""For each kind of term that has a column: its value for what a command holds."""
SHOWN: dict[Kind, Callable[[Any], Any]] = {
    "price": lambda cents: cents,
    "text": lambda text: text or None,
    "json": lambda json: None if json is None else loads(json),
}
"""For each kind of term: its value in the object."""

Effect = Callable[[], None]


class Option(NamedTuple):
    """Rows that a command may have left, and their effect on later commands."""

    rows: list[Row]
    effect: Effect


def nothing() -> None:
    """Do nothing: the effect of a replay or refusal."""


class Lifecycle:
    """Outcomes of one partition. ``keys``: the namespaces shared with meter events."""

    def __init__(
        self,
        partition: int,
        keys: Keys,
        outcomes: OutcomeModels,
        spending: SpendingModels,
        months: MonthModels,
        unpriced: UnpricedModels,
    ) -> None:
        self._partition, self._keys, self._outcomes, self._spending = partition, keys, outcomes, spending
        self._months = months
        self._unpriced = unpriced

    def apply(self, offset: int, at: int, command: Mapping[str, Any]) -> list[Option]:
        """Return what a command accepted ``at`` (ms) may have left; more than one option only if that depends on
        what is older than the log: the body of a key, or the mode of a task."""
        repeated = self._repeated(offset, at, command)
        if repeated:
            return repeated
        if command["command"] == "void":
            return self._void(offset, at, command)
        rule = {"register": self._register, "resolve": self._resolve}.get(command["command"], self._expiry)
        return [rule(offset, at, command, outcome) for outcome in self._candidates(command)]

    def _candidates(self, command: Mapping[str, Any]) -> list[OutcomeModel | None]:
        """Return the outcomes that a command may name, None for one that is unknown."""
        customer, mode = command["customer_id"], command.get("mode")
        if command["command"] == "register":
            return self._outcomes.candidates_of_task(customer, command["task_id"], mode)
        target = command["outcome_id"] if command["command"] == "expire" else command["target"]
        return self._outcomes.candidates(customer, target, mode)

    def opened(self, row: Row, command: Mapping[str, Any]) -> None:
        """Record that a row opens an outcome, which a command registers."""
        self._outcomes.open(opened_by(row, command), command.get("mode"))

    def _repeated(self, offset: int, at: int, command: Mapping[str, Any]) -> list[Option]:
        """Return the options of a command whose key is remembered; none if it is new."""
        name = command.get("idempotency_key")
        known = None if name is None else self._keys.find(command["customer_id"], name, command.get("mode"))
        if known is None or at - known.at >= command["idempotency_window"]:
            return []
        outcome = self._find(command, command.get("target", ""))
        refused = Option([self._refusal(offset, at, 0, command, outcome)], nothing)
        if known.body == b"":
            return [Option([], nothing), refused]
        return [Option([], nothing) if known.body == self._body(command) else refused]

    def _body(self, command: Mapping[str, Any]) -> bytes:
        """Return the hash that two commands with one key must share: an outcome may be named either way."""
        fields = BODIES[command["command"]]
        body = {name: command.get(name, absent) for name, absent in fields.items()}
        if command["command"] == "resolve":
            outcome = self._find(command, command["target"])
            body["target"] = command["target"] if outcome is None else outcome.id
        return body_of(canonical({"command": command["command"], **body}))

    def _register(self, offset: int, at: int, command: Mapping[str, Any], taken: OutcomeModel | None) -> Option:
        if taken is not None or not _can_open(command, at):
            return Option([self._refusal(offset, at, 0, command, taken)], nothing)
        row = self._registered(offset, at, command)

        def effect() -> None:
            self.opened(row, command)
            self._add_key(at, command, row["test"])

        return Option([row], effect)

    def _resolve(self, offset: int, at: int, command: Mapping[str, Any], outcome: OutcomeModel | None) -> Option:
        verdict = "succeeded" if command["success"] else "failed"
        if outcome is not None and not outcome.verdict and at < outcome.expires_at:
            row = self._closing(offset, at, outcome, verdict, command)

            rows, spend = self._spent(row)

            def effect() -> None:
                spend()
                self._outcomes.put(outcome._replace(verdict=verdict, closed_by=row["event_id"]))
                self._add_key(at, command, row["test"])

            return Option(rows, effect)
        if outcome is not None and outcome.verdict == verdict:
            return Option([], nothing)
        closing = self._expiry(offset, at, command, outcome)
        refusal = self._refusal(offset, at, len(closing.rows), command, outcome)
        if closing.rows:
            # of the whole record: nobody closed it, and it concerns what is closed
            refusal |= {"api_key_id": 0, "import_id": closing.rows[0]["import_id"]}
        return Option([*closing.rows, refusal], closing.effect)

    def _expiry(self, offset: int, at: int, command: Mapping[str, Any], outcome: OutcomeModel | None) -> Option:
        """Return the effect of an expirer's reminder or of a read of the outcome."""
        if outcome is None or outcome.verdict or at < outcome.expires_at:
            return Option([], nothing)
        row = self._closing(offset, at, outcome, "expired", command)
        closed = outcome._replace(verdict="expired", closed_by=row["event_id"])
        rows, spend = self._spent(row)

        def effect() -> None:
            spend()
            self._outcomes.put(closed)

        return Option(rows, effect)

    def _spent(self, row: Row) -> tuple[list[Row], Effect]:
        """Return the rows that close an outcome, with notices of what its charge does to budgets, and that effect."""
        if row["kind"] != "charge":
            return [row], nothing
        trial = self._spending.trial(row["customer_id"], row["test"])
        trial.settle(row)
        if row["credit_cents"] is not None:
            due = EXACT.subtract(row["total_cents"], row["credit_cents"])
            row["detail"] |= {"credit_cents": row["credit_cents"], "due_cents": due}
        return [row, *trial.notices(row, 1)], trial.keep

    def _void(self, offset: int, at: int, command: Mapping[str, Any]) -> list[Option]:
        whose = self._outcomes.voided(command["event_id"])
        if whose == command["customer_id"]:
            return [Option([], nothing)]
        place = VoidAddress(self._partition, offset)
        refused = Option([self._refusal(offset, at, 0, command)], nothing)
        if whose is not None or not (voidable(command, place, self._outcomes) and self._spending.funded(command)):
            return [refused]
        id, charge = command["event_id"], command.get("charge", False)
        unpriced = not charge and (command.get("price") or {"id": -1})["id"] == 0
        if unpriced and self._unpriced.is_known(id) and not self._unpriced.holds(id):
            return [refused]
        row = {**self._plain(offset, at, 0, command), **void_row(command)}

        def effect() -> None:
            self._outcomes.void(id, command["customer_id"], charge=charge)
            self._spending.void(command)
            self._months.void(command)
            self._unpriced.remove(id)

        made = Option([{**row, "detail": void_shown(row)}], effect)
        return [made, refused] if unpriced and not self._unpriced.is_known(id) else [made]

    def _find(self, command: Mapping[str, Any], target: str) -> OutcomeModel | None:
        return self._outcomes.find(command["customer_id"], target, command.get("mode"))

    def _add_key(self, at: int, command: Mapping[str, Any], test: bool) -> None:
        name = command.get("idempotency_key")
        if name is not None:
            self._keys.add(command["customer_id"], name, Known(self._body(command), at), test)

    def misplaced(self, offset: int, at: int, command: Mapping[str, Any]) -> list[Row]:
        """Return the rows of a command that has another key than its customer's."""
        silent = command["command"] in ("expire", "read")
        return [] if silent else [self._refusal(offset, at, 0, command)]

    def _plain(self, offset: int, at: int, index: int, command: Mapping[str, Any]) -> Row:
        return {
            **EMPTY,
            "event_id": event_id(self._partition, offset, index),
            "raw_partition": self._partition,
            "raw_offset": offset,
            "raw_index": index,
            "customer_id": command["customer_id"],
            "api_key_id": command.get("api_key_id", 0),
            "event_time": at,
            "recorded_at": at,
        }

    def _registered(self, offset: int, at: int, command: Mapping[str, Any]) -> Row:
        row = {
            **self._plain(offset, at, 0, command),
            "kind": "registered",
            "agent_id": command["agent_id"],
            "action": RESERVED,
            "outcome": "pending",
            "task_id": command["task_id"],
            "expires_at": command["expires_at"],
            "on_expiry": command.get("on_expiry", "failure"),
            **{term.name: STATED[term.kind](command.get(term.name)) for term in LEDGER_TERMS},
            "idempotency_key": command.get("idempotency_key") or "",
            "test": command.get("test", False),
        }
        row["outcome_id"] = f"oc_{row['event_id']}"
        return {**row, "detail": shown(opened_by(row, command), at)}

    def _closing(self, offset: int, at: int, outcome: OutcomeModel, verdict: str, command: Mapping[str, Any]) -> Row:
        charge = closing_price(outcome, verdict)
        resolving = verdict != "expired"
        return {
            **self._plain(offset, at, 0, command),
            **outcome.kept,
            "kind": "charge" if charge else "waived",
            "verdict": verdict,
            "api_key_id": command["api_key_id"] if resolving else 0,
            "bonus_cents": charge,
            "total_cents": charge,
            "original": outcome.event_id,
            "outcome_id": outcome.id,
            "expires_at": outcome.expires_at,
            "idempotency_key": (command.get("idempotency_key") or "") if resolving else "",
            "detail": shown(outcome._replace(verdict=verdict), at, command.get("evidence") if resolving else None),
            BORROWED: outcome.inherited,
        }

    def _refusal(
        self, offset: int, at: int, index: int, command: Mapping[str, Any], outcome: OutcomeModel | None = None
    ) -> Row:
        return {
            **self._plain(offset, at, index, command),
            "kind": "rejected",
            "config_type": command["command"],
            "outcome_id": "" if outcome is None else outcome.id,
            "test": _is_test(command, outcome),
            "actor": command.get("actor", "admin") if command["command"] == "void" else "",
        }


def _is_test(command: Mapping[str, Any], outcome: OutcomeModel | None) -> bool:
    """True if a refusal is in test mode: a verdict has no flag of its own, so its outcome's applies, or its mode's."""
    if command["command"] != "resolve":
        return bool(command.get("test", False))
    return command.get("mode") == "test" if outcome is None else bool(outcome.kept["test"])


def _can_open(command: Mapping[str, Any], at: int) -> bool:
    prices = [Decimal(command[term.name] if term.required else command.get(term.name, "0")) for term in PRICES]
    return at < command["expires_at"] <= at + MAX_TTL and all(0 <= price <= MAX_PRICE for price in prices)


def shown(outcome: OutcomeModel, at: int, evidence: Any = None) -> dict[str, Any]:
    """Return the outcome as the API shows it, at the accepted time of what opened or closed it."""
    closed = outcome.verdict != ""
    return {
        "task_id": outcome.kept["task_id"] or None,
        "outcome_id": outcome.id,
        "event_id": outcome.event_id,
        **{name: outcome.kept[name] for name in ("customer_id", "agent_id", "action", "test")},
        **{term.shown_as: SHOWN[term.kind](outcome.terms[term.name]) for term in TERMS},
        "on_expiry": outcome.on_expiry,
        "expires_at": iso(outcome.expires_at),
        "status": outcome.verdict or "pending",
        "success": outcome.verdict == "succeeded" if closed else None,
        "charge_cents": closing_price(outcome, outcome.verdict) if closed else None,
        "evidence": evidence,
        "created_at": iso(outcome.created_at),
        "resolved_at": iso(at) if closed else None,
        "voided": outcome.voided,
    }
