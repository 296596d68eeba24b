"""Model of what customers may spend: the commands that set it, and what charges and voids do to it. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple

from tools.verify.budget_model import MAX_LIMIT, NOTICES, BudgetModel, BudgetModels, begin_of
from tools.verify.credit_model import MAX_GRANTS, CreditModel, GrantModel, grant_shown, inherited
from tools.verify.credit_model import NOTICES as CREDIT_NOTICES
from tools.verify.reservation_model import (
    HISTORY as RESERVATION_HISTORY,
)
from tools.verify.reservation_model import (
    MAX_OPEN,
    ReservationModel,
    ReservationModels,
    id_in,
    labels_of,
)
from tools.verify.reservation_model import (
    inherited as reservation_of,
)
from tools.verify.row_values import EMPTY, ZERO, Row, canonical, event_id, loads

COMMANDS = (
    *("budget.create", "budget.delete", "budget.read", "credit.grant", "credit.read", "credit.expire"),
    *("reservation.release", "reservation.expire", "reservation.read"),
)
"""Without reservation.create: it needs prices and keys (tools.verify.model)."""
HISTORY = ("budget.created", "budget.deleted", "credit.granted", "credit.expired", *RESERVATION_HISTORY)
"""Types of the config rows from which a model without the log's beginning takes what was set."""
READS = ("budget.read", "credit.read", "reservation.read")
UNASKED = (*READS, "reservation.expire", "credit.expire")
"""Commands whose refusal leaves no row."""
ACTORS = {
    "reservation.create": "customer",
    "reservation.release": "customer",
    "reservation.expire": "expirer",
    "credit.expire": "expirer",
}
"""Who acts where the command does not say."""
Owner = tuple[str, bool]
"""Customer and whether it is test mode."""


class SpendingOption(NamedTuple):
    """Rows that a command may have left, and their effect on later commands."""

    rows: list[Row]
    effect: Callable[[], None]


class SpendingTrial:
    """One command tried on what a customer may spend; ``keep`` makes it true."""

    def __init__(self, models: "SpendingModels", owner: Owner) -> None:
        self._models, self._owner = models, owner
        self._budgets = models.budgets(owner).copy()
        self._credit = models.credit(owner).copy()
        self._reserved = models.reserved(owner).copy()

    def charge(self, row: Row, on_empty: str, settles: str | None = None) -> bool:
        """Charge an event's row; False if it must be refused. ``settles``: the reservation that it ends."""
        one = None if settles is None else self._reserved.due(settles, row["recorded_at"])
        if settles is not None and one is None:
            return False
        if one is not None:
            self._reserved.end(one.id, "settled")
        allowed = self._allows(row, on_empty)
        if allowed:
            self.settle(row)
        if one is not None and allowed:
            row["detail"] = one.shown("settled", row["recorded_at"], row["event_id"], row["total_cents"])
        elif one is not None:
            self._reserved.end(one.id, "open")
        return allowed

    def settle(self, row: Row) -> None:
        """Charge the row of an outcome's end, whatever is left."""
        self._budgets.spend(row)
        self._credit.pay(row, self._reserved.credit)

    def reserve(self, id: int, at: int, command: Mapping[str, Any], amount: Decimal) -> ReservationModel | None:
        """Hold an amount; None if it must be refused."""
        row = {**labels_of(command), "total_cents": amount, "recorded_at": at}
        full = len(self._reserved.open) >= MAX_OPEN
        if full or not self._allows(row, command.get("on_empty", "charge")):
            return None
        credit = min(amount, self._credit.available(at, self._reserved.credit))
        made = ReservationModel(
            id=id,
            customer=self._owner[0],
            test=self._owner[1],
            row=labels_of(command),
            amount=amount,
            credit=credit,
            created=at,
            expires=at + command["ttl"],
        )
        self._reserved.known[id] = made
        return made

    def _allows(self, row: Row, on_empty: str) -> bool:
        amount = row["total_cents"]
        available = self._credit.available(row["recorded_at"], self._reserved.credit)
        covered = on_empty == "charge" or amount == 0 or amount <= available
        return covered and self._budgets.allow(row, self._reserved.open)

    def notices(self, last: Row, index: int) -> list[Row]:
        """Return the rows that follow the last charged one, from an index on."""
        same = ("customer_id", "api_key_id", "test", "import_id", "recorded_at", "raw_partition", "raw_offset")
        made = []
        found = list(self._budgets.notices(last, index, self._reserved.open))
        type = self._credit.notice(last["recorded_at"])
        if type and index + len(found) <= 1023:
            self._credit.noticed = type
            found.append(self._credit_notice(type, last))
        for place, own in enumerate(found, index):
            address = {"event_id": event_id(last["raw_partition"], last["raw_offset"], place), "raw_index": place}
            base = {name: last[name] for name in same}
            made.append({**EMPTY, **base, **address, "event_time": last["recorded_at"], **own})
        return made

    def _credit_notice(self, type: str, last: Row) -> Row:
        detail = {
            "customer_id": self._owner[0],
            "balance_cents": self._credit.available(last["recorded_at"], ZERO),
            "low_cents": self._credit.low,
            "event_id": last["event_id"],
            "test": self._owner[1],
        }
        return {"kind": "config", "config_type": type, "actor": "pricer", "detail": detail}

    def keep(self) -> None:
        self._credit.drew = False
        self._models.put(self._owner, self._budgets, self._credit, self._reserved)


class SpendingModels:
    """What the customers of one partition may spend. ``cut``: the log's beginning is gone, and with it which requests
    were made with which idempotency keys."""

    def __init__(self, partition: int, cut: bool = False) -> None:
        self._partition, self._cut = partition, cut
        self._budgets: dict[Owner, BudgetModels] = defaultdict(BudgetModels)
        self._credit: dict[Owner, CreditModel] = defaultdict(CreditModel)
        self._reserved: dict[Owner, ReservationModels] = defaultdict(ReservationModels)
        self._requests: dict[tuple[Owner, str], str] = {}

    def budgets(self, owner: Owner) -> BudgetModels:
        return self._budgets[owner] if owner in self._budgets else BudgetModels()

    def credit(self, owner: Owner) -> CreditModel:
        return self._credit[owner] if owner in self._credit else CreditModel()

    def reserved(self, owner: Owner) -> ReservationModels:
        return self._reserved[owner] if owner in self._reserved else ReservationModels()

    def put(self, owner: Owner, budgets: BudgetModels, credit: CreditModel, reserved: ReservationModels) -> None:
        if budgets.known:
            self._budgets[owner] = budgets
        if credit.known:
            self._credit[owner] = credit
        if reserved.known:
            self._reserved[owner] = reserved

    def is_limited(self, customer: str, test: bool) -> bool:
        """True if a customer has ever had a budget, credit or a reservation in a mode."""
        owner = customer, test
        return bool(self.budgets(owner).known or self.credit(owner).known or self.reserved(owner).known)

    def funded(self, command: Mapping[str, Any]) -> bool:
        """True if what a void gives back came from grants of its customer."""
        known = self.credit((command["customer_id"], command.get("test", False))).known
        return not known or all(draw["grant"] in known for draw in command.get("draws", ()))

    def trial(self, customer: str, test: bool) -> SpendingTrial:
        """Return a trial of one command of a customer and mode."""
        return SpendingTrial(self, (customer, test))

    def adjust(self, row: Row) -> None:
        """Let credit pay an adjustment's row as far as it is positive; no budget counts it."""
        owner = row["customer_id"], row["test"]
        credit = self.credit(owner)
        if row["total_cents"] > 0:
            drew = credit.drew
            credit.pay(row, self.reserved(owner).credit)
            credit.drew = drew  # a notice is left by the next event that draws
        elif credit.known:
            row["credit_cents"] = ZERO

    def apply(self, offset: int, at: int, command: Mapping[str, Any]) -> list[SpendingOption]:
        """Return what a command accepted ``at`` (ms) may have left; several options only if its key may be older than
        the log: then it may be a repeat of what made it, or a conflict."""
        if command["command"] in READS:
            return [SpendingOption([], _nothing)]
        if command["command"] in ("reservation.release", "reservation.expire"):
            return [self._end(offset, at, command)]
        if command["command"] == "credit.expire":
            return [self._expire_grant(offset, at, command)]
        if command["command"] == "budget.delete":
            return [self._delete(offset, at, command)]
        owner, key = (command["customer_id"], command.get("test", False)), command.get("idempotency_key")
        aside = ("idempotency_key", "actor", "low_percent")
        body = canonical({name: command[name] for name in command if name not in aside})
        known = None if key is None else self._requests.get((owner, key))
        if known is not None:
            return [SpendingOption([], _nothing)] if known == body else [self._refused(offset, at, command, owner[1])]
        make = self._grant if command["command"] == "credit.grant" else self._create
        made = make(offset, at, command, owner)
        if key is None:
            return [made]
        if made.effect is not _nothing:
            made = SpendingOption(made.rows, partial(self._made, made, (owner, key), body))
        if not self._cut:
            return [made]
        return [made, SpendingOption([], _nothing), self._refused(offset, at, command, owner[1])]

    def _made(self, made: SpendingOption, key: tuple[Owner, str], body: str) -> None:
        made.effect()
        self._requests[key] = body

    def void(self, command: Mapping[str, Any]) -> None:
        """Give back what an entry spent that a void takes back."""
        event = command["event"]
        self._give_back(
            {
                "customer_id": command["customer_id"],
                "test": command.get("test", False),
                "agent_id": event["agent_id"],
                "action": event["action"],
                "model": event.get("model") or "",
                "api_key_id": command.get("key_id", 0),
                "event_id": command["event_id"],
                "recorded_at": command.get("recorded_at", 0),
                "total_cents": Decimal(command["total"]),
            }
        )
        back = [(draw["grant"], -Decimal(draw["cents"])) for draw in command.get("draws", ())]
        self.credit((command["customer_id"], command.get("test", False))).take(back)

    def inherit(self, row: Row, original: Row | None) -> None:
        """Take in the next row from before the log begins; ``original``: what a void's row takes back."""
        owner = row["customer_id"], row["test"]
        self.credit(owner).take(row["draws"])
        if row["config_type"] == "credit.granted":
            self._add_grant(owner, inherited(row), loads(row["detail"]).get("low_percent"), row["recorded_at"])
        elif row["config_type"] == "credit.expired":
            self._credit[owner].expire(loads(row["detail"])["id"])
        elif row["config_type"] in CREDIT_NOTICES:
            self._credit[owner].noticed = row["config_type"]
        if row["config_type"] == "reservation.created":
            made_of = reservation_of(row)
            self._reserved[owner].known[made_of.id] = made_of
        elif row["config_type"] in RESERVATION_HISTORY:
            self._reserved[owner].end(id_in(row["detail"]), row["config_type"].removeprefix("reservation."))
        elif row["kind"] == "event" and row["detail"]:
            self._reserved[owner].end(id_in(row["detail"]), "settled")
        if row["kind"] == "void" and original is not None:
            self._give_back(original)
        elif row["kind"] in ("event", "charge") and owner in self._budgets:
            self._budgets[owner].spend(row)
        elif row["config_type"] in NOTICES and owner in self._budgets:
            self._budgets[owner].noticed(row)
        elif row["config_type"] == "budget.created":
            made = loads(row["detail"])
            limit = Decimal(str(made["limit_cents"]).removeprefix("\0"))
            self._add(owner, _budget(owner, made["id"], made, limit, row["recorded_at"]))
        elif row["config_type"] == "budget.deleted" and owner in self._budgets:
            self._budgets[owner].remove(loads(row["detail"])["id"])

    def misplaced(self, offset: int, at: int, command: Mapping[str, Any]) -> list[Row]:
        """Return the rows of a command that has another key than its customer's."""
        if command["command"] in UNASKED:
            return []
        test = command.get("test", False) or command.get("mode") == "test"
        return self._refused(offset, at, command, test).rows

    def reserving(
        self, offset: int, at: int, command: Mapping[str, Any], amount: Decimal | None, priced_by: Row
    ) -> SpendingOption:
        """Return what a new reservation leaves; ``amount``: None if there is none; ``priced_by``: the columns of its
        estimate's price."""
        owner = command["customer_id"], command.get("test", False)
        trial = self.trial(*owner)
        made = None
        if amount is not None:
            made = trial.reserve(event_id(self._partition, offset, 0), at, command, amount)
        if made is None:
            return self._refused(offset, at, command, owner[1])
        row = self._config(offset, at, command, owner[1], "reservation.created", made.shown("open"))
        labels = {name: made.row[name] for name in ("agent_id", "action", "model")}
        row |= priced_by
        return SpendingOption([{**row, **labels, "idempotency_key": command.get("idempotency_key") or ""}], trial.keep)

    def _expire_grant(self, offset: int, at: int, command: Mapping[str, Any]) -> SpendingOption:
        """Return what the expirer's command leaves of a grant: nothing unless it has expired with credit left."""
        owner = command["customer_id"], command.get("test", False)
        grant = self.credit(owner).known.get(command["id"])
        if grant is None or grant.ended or not grant.left or grant.expires is None or at < grant.expires:
            return SpendingOption([], _nothing)
        detail = {"id": grant.id, "customer_id": owner[0], "left_cents": grant.left, "test": owner[1]}
        row = self._config(offset, at, command, owner[1], "credit.expired", detail)
        return SpendingOption([row], partial(self._credit[owner].expire, grant.id))

    def _end(self, offset: int, at: int, command: Mapping[str, Any]) -> SpendingOption:
        """Return what a release or the expirer's command leaves."""
        expiring = command["command"] == "reservation.expire"
        owner = command["customer_id"], command.get("test", False) or command.get("mode") == "test"
        one = self.reserved(owner).find(command["reservation_id"])
        if one is not None and one.status == "open" and (at >= one.expires) == expiring:
            status = "expired" if expiring else "released"
            detail = one.shown(status, one.expires if expiring else at)
            row = self._config(offset, at, command, owner[1], f"reservation.{status}", detail)
            return SpendingOption([row], partial(self._reserved[owner].end, one.id, status))
        if expiring or (one is not None and one.status == "released"):
            return SpendingOption([], _nothing)
        return self._refused(offset, at, command, owner[1])

    def _create(self, offset: int, at: int, command: Mapping[str, Any], owner: Owner) -> SpendingOption:
        limit = amount_of(command["limit"])
        value = command.get("value", "")
        if limit is None or self.budgets(owner).is_full(command["scope"], value):
            return self._refused(offset, at, command, owner[1])
        id = event_id(self._partition, offset, 0)
        made = _budget(owner, id, {**command, "value": value}, limit, at)
        row = self._config(offset, at, command, owner[1], "budget.created", made.shown())
        return SpendingOption([row], partial(self._add, owner, made))

    def _grant(self, offset: int, at: int, command: Mapping[str, Any], owner: Owner) -> SpendingOption:
        amount, expires = amount_of(command["amount"]), command.get("expires_at")
        past = expires is not None and expires <= at
        percent = command.get("low_percent")
        wrong = not amount or past or (percent is not None and not 0 <= percent <= 100)
        if wrong or len(self.credit(owner).drawable(at)) >= MAX_GRANTS:
            return self._refused(offset, at, command, owner[1])
        id = event_id(self._partition, offset, 0)
        row = self._config(offset, at, command, owner[1], "credit.granted", grant_shown(id, command, at))
        made = GrantModel(id, expires, command.get("priority", 50), amount or ZERO)
        return SpendingOption([row], partial(self._add_grant, owner, made, command.get("low_percent"), at))

    def _add_grant(self, owner: Owner, grant: GrantModel, percent: int | None, at: int) -> None:
        self._credit[owner].granted(grant, percent, at)

    def _add(self, owner: Owner, budget: BudgetModel) -> None:
        self._budgets[owner].known[budget.id] = budget

    def _delete(self, offset: int, at: int, command: Mapping[str, Any]) -> SpendingOption:
        for test in (False, True):
            owner = command["customer_id"], test
            found = self.budgets(owner).known.get(command["id"])
            if found is not None:
                shown = found.at(at).shown(self.reserved(owner).open)
                row = self._config(offset, at, command, test, "budget.deleted", shown)
                return SpendingOption([row], partial(self._budgets[owner].remove, command["id"]))
        return self._refused(offset, at, command, False)

    def _give_back(self, row: Row) -> None:
        owner = row["customer_id"], row["test"]
        if owner in self._budgets:
            self._budgets[owner].give_back(row)

    def _config(
        self, offset: int, at: int, command: Mapping[str, Any], test: bool, type: str, detail: Mapping[str, Any]
    ) -> Row:
        row = self._plain(offset, at, command, test)
        return {**row, "kind": "config", "config_type": type, "detail": detail}

    def _refused(self, offset: int, at: int, command: Mapping[str, Any], test: bool) -> SpendingOption:
        row = {**self._plain(offset, at, command, test), "kind": "rejected", "config_type": command["command"]}
        return SpendingOption([row], _nothing)

    def _plain(self, offset: int, at: int, command: Mapping[str, Any], test: bool) -> Row:
        return {
            **EMPTY,
            "event_id": event_id(self._partition, offset, 0),
            "raw_partition": self._partition,
            "raw_offset": offset,
            "customer_id": command["customer_id"],
            "test": test,
            "actor": command.get("actor", ACTORS.get(command["command"], "admin")),
            "api_key_id": command.get("api_key_id", 0),
            "event_time": at,
            "recorded_at": at,
        }


def _budget(owner: Owner, id: int, made: Mapping[str, Any], limit: Decimal, at: int) -> BudgetModel:
    return BudgetModel(
        id=id,
        customer=owner[0],
        test=owner[1],
        scope=made["scope"],
        value=made["value"],
        period=made["period"],
        limit=limit,
        hard=made["hard"],
        created=at,
        begin=begin_of(made["period"], at),
    )


def _nothing() -> None:
    """Do nothing: the effect of a repeat, a read or a refusal."""


def amount_of(text: str) -> Decimal | None:
    """Return an amount in the one way in which it may be written, from 0 to MAX_LIMIT; None for another text."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    plain = f"{amount:f}"
    canonical_text = plain.rstrip("0").rstrip(".") if "." in plain else plain
    decimals = len(plain.partition(".")[2])
    return amount if 0 <= amount <= MAX_LIMIT and decimals <= 12 and text == canonical_text else None
