"""The model of outcomes on small logs whose right answers are written by hand."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tools.verify.config_model import Configuration
from tools.verify.key_model import Keys, Known
from tools.verify.model import ExpectedRows, ShardModel
from tools.verify.outcome_model import OutcomeModels
from tools.verify.price_model import PriceModels
from tools.verify.row_values import Row

WINDOW = 35 * 86_400_000
T0 = 1_777_204_800_000
SOON = T0 + 1000
ZERO = Decimal(0)


class Log:
    """Commands of customer acme in partition 3 of 4, 10 ms apart unless a time is given."""

    def __init__(self) -> None:
        self.keys, self.outcomes = Keys(), OutcomeModels()
        self.shard = ShardModel(3, self.keys, self.outcomes, PriceModels(), Configuration(False, lambda customer: 0))
        self.offset, self.at = -1, T0
        rates = {"base": "1", "token": "0.00001", "bonus": "500"}
        self.put("_price", {"command": "price", "number": 1, "id": 9, "action_type": "email.sent", "rates": rates})

    def put(self, key: str, command: dict[str, Any], at: int | None = None) -> ExpectedRows:
        self.offset += 1
        self.at = self.at + 10 if at is None else at
        return self.shard.apply(self.offset, self.at, key.encode(), json.dumps(command).encode())

    def send(self, name: str, at: int | None = None, **fields: Any) -> list[Row]:
        """The rows of a command that has one right answer."""
        command = {"command": name, "customer_id": "acme", **fields}
        expected = self.put(command["customer_id"], command, at)
        assert expected.options is not None and len(expected.options) == 1, expected
        return expected.options[0]

    def register(self, task: str, at: int | None = None, **more: Any) -> list[Row]:
        terms = {"agent_id": "closer", "price_on_success": "4900.5", "expires_at": SOON, "api_key_id": 7}
        return self.send("register", at, task_id=task, idempotency_window=WINDOW, **{**terms, **more})

    def resolve(self, target: str, success: bool, at: int | None = None, **more: Any) -> list[Row]:
        command = {"api_key_id": 8, "idempotency_window": WINDOW, "target": target, "success": success}
        return self.send("resolve", at, **{**command, **more})

    def pending(self, **more: Any) -> Row:
        event = {"agent_id": "mailer", "action": "email.sent", "outcome": "pending", "expires_at": SOON, **more}
        own = {"idempotency_window": WINDOW, "outcome_ttl": 1000}
        (row,) = self.send("meter", api_key_id=7, events=[event], **own)
        return row

    def void(self, row: Row, **more: Any) -> list[Row]:
        names = ("agent_id", "action", "tokens", "model", "task_id")
        event = {name: row[name] for name in names} | {"event_time": row["event_time"]}
        amounts = {part: str(row[f"{part}_cents"]) for part in ("base", "token", "bonus", "total")}
        own = {"event_id": row["event_id"], "event": event, "reason": "mistake", "test": row["test"], **amounts}
        return self.send("void", **{**own, "outcome_id": row["outcome_id"] or None, **more})


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.keys.close()
    made.outcomes.close()


def told(rows: list[Row]) -> list[tuple[str, str, Decimal]]:
    return [(row["kind"], row["verdict"] or row["config_type"], row["total_cents"]) for row in rows]


def test_a_contract_of_49_dollars_is_registered_and_charged_once(log: Log) -> None:
    """Every column of both rows, the second one's charge in its only part."""
    (opened,) = log.register("contract", success_criteria={"signed": True}, on_expiry="success", price_on_failure="3")
    assert opened["event_id"] == 1 * 65536 + 3 * 1024 and opened["outcome_id"] == f"oc_{opened['event_id']}"
    assert (opened["kind"], opened["action"], opened["outcome"]) == ("registered", "outcome_charge", "pending")
    assert (opened["task_id"], opened["agent_id"], opened["api_key_id"]) == ("contract", "closer", 7)
    assert (opened["price_on_success"], opened["price_on_failure"]) == (Decimal("4900.5"), 3)
    assert (opened["on_expiry"], opened["expires_at"], opened["total_cents"]) == ("success", SOON, 0)
    assert (opened["detail"]["status"], opened["detail"]["success_criteria"]) == ("pending", {"signed": True})
    (closed,) = log.resolve("contract", True, evidence={"deal": 1})
    assert (closed["kind"], closed["verdict"], closed["original"]) == ("charge", "succeeded", opened["event_id"])
    assert (closed["total_cents"], closed["bonus_cents"], closed["base_cents"]) == (Decimal("4900.5"),) * 2 + (0,)
    assert (closed["api_key_id"], closed["event_time"], closed["recorded_at"]) == (8, log.at, log.at)
    assert (closed["price_on_success"], closed["price_id"]) == (Decimal("4900.5"), 0)
    assert closed["detail"]["evidence"] == {"deal": 1} and closed["detail"]["charge_cents"] == Decimal("4900.5")
    assert closed["detail"]["resolved_at"] == "2026-04-26T12:00:00.030Z"
    assert log.resolve(opened["outcome_id"], True) == []
    assert told(log.resolve("contract", False)) == [("rejected", "resolve", ZERO)]


def test_a_failure_may_cost_something_or_nothing(log: Log) -> None:
    """With a price it is a charge, without one it is waived."""
    log.register("a", price_on_failure="0.000000000001")
    log.register("b")
    assert told(log.resolve("a", False)) == [("charge", "failed", Decimal("0.000000000001"))]
    assert told(log.resolve("b", False)) == [("waived", "failed", ZERO)]


def test_a_pending_event_is_closed_at_the_bonus_of_its_own_price(log: Log) -> None:
    """The bonus that held when it was opened, with that price record's address; base and tokens not again."""
    opened = log.pending(tokens=100, task_id="label", model="m")
    assert opened["total_cents"] == Decimal("1.001")
    rates = {"base": "9", "token": "9", "bonus": "9"}
    log.put("_price", {"command": "price", "number": 2, "id": 10, "action_type": "email.sent", "rates": rates})
    assert told(log.resolve("label", True)) == [("rejected", "resolve", ZERO)]
    (closed,) = log.resolve(opened["outcome_id"], True)
    assert (closed["kind"], closed["total_cents"], closed["tokens"], closed["action"]) == (
        "charge", 500, 0, "email.sent",
    )  # fmt: skip
    assert (closed["price_id"], closed["price_offset"], closed["price_bonus"]) == (9, 0, 500)
    assert (closed["task_id"], closed["model"], closed["original"]) == ("label", "m", opened["event_id"])


@pytest.mark.parametrize(("on_expiry", "charge"), [("failure", Decimal(2)), ("success", Decimal("4900.5"))])
@pytest.mark.parametrize("closer", ["expire", "read", "resolve"])
def test_time_is_over_at_expires_at_and_not_before(log: Log, on_expiry: str, charge: Decimal, closer: str) -> None:
    """A reminder, a look or a late verdict closes it as expired; the verdict is refused beside that."""
    (opened,) = log.register("a", on_expiry=on_expiry, price_on_failure="2")
    named = {"expire": {"outcome_id": opened["outcome_id"]}, "read": {"target": "a"}}
    early = [("charge", "succeeded", Decimal("4900.5"))]
    expired = ("charge", "expired", charge)
    if closer == "resolve":
        log.register("b")
        assert told(log.resolve("b", True, at=SOON - 1)) == early
        rows = log.resolve("a", True, at=SOON)
        assert told(rows) == [expired, ("rejected", "resolve", ZERO)]
        assert [row["raw_index"] for row in rows] == [0, 1]
        assert rows[0]["idempotency_key"] == "" and rows[0]["detail"]["success"] is False
    else:
        assert log.send(closer, SOON - 1, **named[closer]) == []
        (row,) = log.send(closer, SOON, **named[closer])
        assert told([row]) == [expired] and row["api_key_id"] == 0
    assert log.send("expire", outcome_id=opened["outcome_id"]) == []
    assert log.send("read", target="a") == []
    assert told(log.resolve("a", True)) == [("rejected", "resolve", ZERO)]


def test_a_task_is_registered_once_for_ever(log: Log) -> None:
    """Open, closed or expired: the second registration is refused; another customer's is its own."""
    log.register("a")
    assert told(log.register("a")) == [("rejected", "register", ZERO)]
    log.resolve("a", True)
    assert told(log.register("a")) == [("rejected", "register", ZERO)]
    assert told(log.register("a", customer_id="globex")) == [("registered", "", ZERO)]


def test_someone_elses_outcome_is_unknown(log: Log) -> None:
    """By task or by id; a look or a reminder leaves nothing."""
    (opened,) = log.register("a")
    for target in ("a", opened["outcome_id"], "oc_0" + opened["outcome_id"][3:], "oc_x"):
        assert told(log.resolve(target, True, customer_id="globex")) == [("rejected", "resolve", ZERO)]
    assert log.send("read", SOON, target=opened["outcome_id"], customer_id="globex") == []
    assert log.send("expire", SOON, outcome_id=opened["outcome_id"], customer_id="globex") == []


def test_one_namespace_of_keys(log: Log) -> None:
    """A key answers for the same command and body again, and refuses everything else for its window."""
    log.register("a", idempotency_key="k")
    assert log.register("a", idempotency_key="k") == []
    assert told(log.register("b", idempotency_key="k")) == [("rejected", "register", ZERO)]
    assert told(log.resolve("a", True, idempotency_key="k")) == [("rejected", "resolve", ZERO)]
    assert log.pending(idempotency_key="k")["kind"] == "rejected"
    (closed,) = log.resolve("a", True, idempotency_key="r", evidence={"n": 1})
    assert closed["idempotency_key"] == "r"
    assert log.resolve(closed["outcome_id"], True, idempotency_key="r", evidence={"n": 1}) == []
    assert told(log.resolve("a", True, idempotency_key="r")) == [("rejected", "resolve", ZERO)]
    assert log.resolve("a", True, at=log.at + WINDOW, idempotency_key="r") == []


def test_nothing_of_a_refusal_or_a_repeat_is_remembered(log: Log) -> None:
    """A late verdict's key, a refused one's and a repeat's may be used for something else."""
    log.register("a")
    log.resolve("none", True, idempotency_key="k")
    log.resolve("a", True)
    log.resolve("a", True, idempotency_key="k")
    assert told(log.register("b", idempotency_key="k")) == [("registered", "", ZERO)]
    log.resolve("b", True, at=SOON, idempotency_key="m")
    assert told(log.register("c", idempotency_key="m", expires_at=SOON + 99)) == [("registered", "", ZERO)]


def test_an_event_is_voided_once_and_its_outcome_charges_nothing_then(log: Log) -> None:
    """The negative of each part, where the original counted; the open outcome stays open and is waived."""
    opened = log.pending(tokens=100, model="m")
    (row,) = log.void(opened)
    assert (row["kind"], row["original"], row["reason"], row["actor"]) == (
        "void", opened["event_id"], "mistake", "admin",
    )  # fmt: skip
    assert (row["base_cents"], row["token_cents"], row["total_cents"]) == (-1, Decimal("-0.001"), Decimal("-1.001"))
    assert (row["tokens"], row["model"], row["event_time"]) == (100, "m", opened["event_time"])
    assert log.void(opened) == []
    (closed,) = log.resolve(opened["outcome_id"], True)
    assert told([closed]) == [("waived", "succeeded", ZERO)] and closed["detail"]["voided"] is True


def test_a_charge_is_voided_as_one(log: Log) -> None:
    """The type says that it takes back a charge; the outcome stays what it was."""
    log.register("a")
    (closed,) = log.resolve("a", True)
    (row,) = log.void(closed, charge=True)
    assert told([row]) == [("void", "charge", Decimal("-4900.5"))] and row["bonus_cents"] == Decimal("-4900.5")
    assert log.resolve("a", True) == []


@pytest.mark.parametrize(
    "wrong",
    [{"total": "9"}, {"charge": False}, {"outcome_id": "oc_1"}, {"event_id": 99 << 16}, {"customer_id": "globex"}],
)
def test_a_void_that_cannot_be_right_is_refused(log: Log, wrong: dict[str, Any]) -> None:
    """Of what the shard can know: the place, the sum, the charge that it was, whose it is."""
    log.register("a")
    (closed,) = log.resolve("a", True)
    assert told(log.void(closed, **{"charge": True, **wrong})) == [("rejected", "void", ZERO)]
    assert told(log.void(closed, charge=True)) == [("void", "charge", Decimal("-4900.5"))]


@pytest.mark.parametrize("wrong", [{"price_on_success": "1000000000.5"}, {"expires_at": T0}, {"expires_at": 10**14}])
def test_a_registration_out_of_bounds_is_refused(log: Log, wrong: dict[str, Any]) -> None:
    """An expiry that is past by accepted time or a century away, and a price above 10^9 cents."""
    assert told(log.register("a", **wrong)) == [("rejected", "register", ZERO)]


def test_the_outcomes_own_test_flag_holds(log: Log) -> None:
    """Whichever key resolves it."""
    log.register("a", test=True)
    assert [row["test"] for row in log.resolve("a", True)] == [True]


def test_a_command_under_a_foreign_key_is_refused(log: Log) -> None:
    """Its order is another customer's; a reminder leaves nothing then."""
    log.register("a")
    verdict = {"command": "resolve", "customer_id": "acme", "target": "a", "success": True, "api_key_id": 8}
    expected = log.put("globex", {**verdict, "idempotency_window": WINDOW})
    assert expected.options is not None and told(expected.options[0]) == [("rejected", "resolve", ZERO)]
    reminder = {"command": "expire", "customer_id": "acme", "outcome_id": "oc_1"}
    assert log.put("globex", reminder).options == ([],)


def test_a_key_from_before_the_log_leaves_both_answers_open(log: Log) -> None:
    """Its body is unknown: a replay and a refusal are right, and neither opens anything."""
    log.keys.add("acme", "old", Known(b"", T0), False)
    command = {"command": "register", "customer_id": "acme", "api_key_id": 7, "task_id": "a", "agent_id": "x"}
    command |= {"price_on_success": "1", "expires_at": SOON, "idempotency_window": WINDOW, "idempotency_key": "old"}
    expected = log.put("acme", command)
    assert expected.options is not None
    assert [[row["kind"] for row in option] for option in expected.options] == [[], ["rejected"]]
    assert len(expected.effects) == 2
    assert told(log.register("a")) == [("registered", "", ZERO)]
