"""The model on small logs whose right answers are written by hand."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tools.verify.config_model import Configuration
from tools.verify.key_model import Keys
from tools.verify.model import ExpectedRows, ShardModel
from tools.verify.outcome_model import OutcomeModels
from tools.verify.price_model import PriceModels
from tools.verify.row_values import Row

WINDOW = 35 * 86_400_000
T0 = 1_777_204_800_000


class Log:
    """Applies commands one by one to a shard of partition 3 out of 4."""

    def __init__(self) -> None:
        self.keys, self.outcomes = Keys(), OutcomeModels()
        configuration = Configuration(False, lambda customer: 0)
        self.shard = ShardModel(3, self.keys, self.outcomes, PriceModels(), configuration)
        self.offset = -1
        self.at = T0

    def put(self, key: str, command: dict[str, Any], at: int | None = None) -> ExpectedRows:
        self.offset += 1
        self.at = self.at + 10 if at is None else at
        return self.shard.apply(self.offset, self.at, key.encode(), json.dumps(command).encode())

    def price(self, number: int, action: str, base: str, token: str, bonus: str, **more: Any) -> ExpectedRows:
        rates = {"base": base, "token": token, "bonus": bonus}
        command = {"command": "price", "number": number, "id": number, "action_type": action, "rates": rates, **more}
        return self.put("_price", command)

    def meter(self, *events: dict[str, Any], at: int | None = None, **more: Any) -> list[Row]:
        command = {
            "command": "meter",
            "customer_id": "acme",
            "api_key_id": 7,
            "events": [{"agent_id": "a", "action": "completion", **event} for event in events],
            "idempotency_window": WINDOW,
            "outcome_ttl": 1000,
            "batch": len(events) > 1,
            **more,
        }
        expected = self.put(more.get("customer_id", "acme"), command, at)
        assert expected.options is not None and len(expected.options) == 1
        return expected.options[0]


@pytest.fixture
def log() -> Any:
    made = Log()
    made.price(1, "completion", "0.5", "0.0003", "0.25")
    yield made
    made.keys.close()
    made.outcomes.close()


def kinds(rows: list[Row]) -> list[str]:
    return [row["kind"] for row in rows]


def test_the_example_of_the_api_costs_1_47_cents(log: Log) -> None:
    """0.5 + 2400 x 0.0003 + 0.25, with every column of the row."""
    (row,) = log.meter({"tokens": 2400, "tokens_input": 2000, "tokens_output": 400, "outcome": "success", "model": "m"})
    assert row["total_cents"] == Decimal("1.47")
    assert (row["base_cents"], row["token_cents"], row["bonus_cents"]) == (
        Decimal("0.5"), Decimal("0.72"), Decimal("0.25"),
    )  # fmt: skip
    assert row["event_id"] == 1 * 65536 + 3 * 1024
    assert (row["kind"], row["customer_id"], row["api_key_id"], row["agent_id"]) == ("event", "acme", 7, "a")
    assert (row["tokens"], row["tokens_input"], row["tokens_output"], row["model"]) == (2400, 2000, 400, "m")
    assert (row["price_id"], row["price_action"], row["price_offset"]) == (1, "completion", 0)
    assert (row["price_base"], row["price_is_default"], row["test"]) == (Decimal("0.5"), True, False)
    assert row["event_time"] == row["recorded_at"] == T0 + 20
    assert (row["outcome"], row["outcome_id"], row["expires_at"]) == ("success", "", None)


def test_a_failure_and_no_outcome_cost_no_bonus(log: Log) -> None:
    """The bonus is for success alone."""
    first, second = log.meter({"outcome": "failure"}, {})
    assert first["total_cents"] == second["total_cents"] == Decimal("0.5")
    assert second["event_id"] - first["event_id"] == 1


def test_a_pending_event_opens_an_outcome_without_bonus(log: Log) -> None:
    """Base and tokens are charged at once; it expires as given or after the command's time to live."""
    given, default = log.meter({"outcome": "pending", "expires_at": T0 + 5000}, {"outcome": "pending"})
    assert given["total_cents"] == Decimal("0.5")
    assert (given["expires_at"], default["expires_at"]) == (T0 + 5000, T0 + 20 + 1000)
    assert given["outcome_id"] == f"oc_{given['event_id']}"
    assert kinds(log.meter({"outcome": "pending", "expires_at": T0 + 30})) == ["rejected"]


def test_the_most_specific_price_holds(log: Log) -> None:
    """Customer and action, customer and any, default and action, default and any, none."""
    assert kinds(log.meter({"action": "chat"})) == ["rejected"]
    log.price(2, "*", "1", "0", "0")
    log.price(3, "*", "2", "0", "0", customer_id="acme")
    assert [r["total_cents"] for r in log.meter({"action": "chat"}, {})] == [2, 2]
    log.price(4, "completion", "3", "0", "0", customer_id="acme")
    (row,) = log.meter({})
    assert (row["total_cents"], row["price_is_default"], row["price_offset"]) == (3, False, log.offset - 1)
    log.price(5, "completion", "3", "0", "0", customer_id="acme", active=False)
    log.price(6, "*", "2", "0", "0", customer_id="acme", active=False)
    assert [r["total_cents"] for r in log.meter({"action": "chat"}, {})] == [1, Decimal("0.5")]


def test_a_repeated_price_record_changes_nothing(log: Log) -> None:
    """Only a number above the last one is taken."""
    log.price(2, "completion", "2", "0", "0")
    log.price(1, "completion", "0.5", "0.0003", "0.25")
    log.price(2, "completion", "9", "0", "0")
    (row,) = log.meter({})
    assert (row["total_cents"], row["price_offset"]) == (2, 1)


def test_accepted_time_never_goes_back(log: Log) -> None:
    """A record appended with an earlier clock is accepted at the time of the one before."""
    (first,) = log.meter({}, at=T0 + 500)
    (second,) = log.meter({"event_time": T0 - 9}, at=T0 + 400)
    assert (first["recorded_at"], second["recorded_at"], second["event_time"]) == (T0 + 500, T0 + 500, T0 - 9)


def test_a_key_is_charged_once_within_its_window(log: Log) -> None:
    """The same key and body leave no row, until the command's window has passed."""
    event = {"idempotency_key": "k", "tokens": 5, "metadata": {"a": 1, "b": [1.0]}}
    assert kinds(log.meter(event, at=T0 + 100)) == ["event"]
    same = {"metadata": {"b": [1.0], "a": 1}, "tokens": 5, "idempotency_key": "k"}
    assert log.meter(same, at=T0 + 100 + WINDOW - 1) == []
    assert kinds(log.meter(event, at=T0 + 100 + WINDOW)) == ["event"]
    assert log.meter(event, at=T0 + 100 + 2 * WINDOW - 1) == []


def test_keys_belong_to_a_customer(log: Log) -> None:
    """Two customers may use the same key."""
    assert kinds(log.meter({"idempotency_key": "k"})) == ["event"]
    assert kinds(log.meter({"idempotency_key": "k", "tokens": 1}, customer_id="other")) == ["event"]


@pytest.mark.parametrize(
    "other", [{"tokens": 6}, {"tokens": 5, "model": "m"}, {"tokens": 5, "metadata": {"a": 1.0}}, {"event_time": 1}]
)
def test_a_key_with_another_body_refuses_the_whole_batch(log: Log, other: dict[str, Any]) -> None:
    """Every event of the batch is rejected without money, and none of its keys is remembered."""
    log.meter({"idempotency_key": "k", "tokens": 5, "metadata": {"a": 1}})
    rows = log.meter({"idempotency_key": "n"}, {"idempotency_key": "k", **other})
    assert kinds(rows) == ["rejected", "rejected"]
    assert {row["total_cents"] for row in rows} == {0} and rows[1]["idempotency_key"] == "k"
    assert kinds(log.meter({"idempotency_key": "n", "tokens": 1})) == ["event"]


def test_a_key_twice_in_one_batch_is_charged_once(log: Log) -> None:
    """The second gets the first's answer; with another body the batch is refused."""
    rows = log.meter({"idempotency_key": "k"}, {}, {"idempotency_key": "k"})
    assert [row["raw_index"] for row in rows] == [0, 1]
    assert kinds(log.meter({"idempotency_key": "m"}, {"idempotency_key": "m", "tokens": 1})) == ["rejected"] * 2


def test_a_batch_with_one_refused_event_is_refused_whole(log: Log) -> None:
    """No price for one action: nothing is charged, and the batch may come again."""
    events = [{"idempotency_key": "k"}, {"action": "unknown"}]
    assert kinds(log.meter(*events)) == ["rejected"] * 2
    log.price(2, "unknown", "1", "0", "0")
    assert kinds(log.meter(*events)) == ["event"] * 2


def test_an_event_may_cost_10_to_the_12_cents_and_no_more(log: Log) -> None:
    """Exactly at the limit it is charged, exactly; one 10^-12 cent above it is refused."""
    log.price(2, "big", "0", "1", "0.000000000001")
    (row,) = log.meter({"action": "big", "tokens": 10**12})
    assert row["total_cents"] == 10**12
    assert kinds(log.meter({"action": "big", "tokens": 10**12, "outcome": "success"})) == ["rejected"]
    log.price(3, "fine", "999999999.999999999999", "0.000000000001", "0")
    (row,) = log.meter({"action": "fine", "tokens": 10**12})
    assert row["total_cents"] == Decimal("1000000000.999999999999")


def test_what_no_gateway_writes_is_refused_or_told(log: Log) -> None:
    """A foreign key refuses the command; what is no command leaves nothing and is told."""
    command = {"command": "meter", "customer_id": "acme", "api_key_id": 1, "events": [{"agent_id": "a", "action": "x"}]}
    wrong = log.put("other", command)
    assert wrong.options is not None and kinds(wrong.options[0]) == ["rejected"]
    for text in (b"", b"\xff", b"[]", b'{"command": "dance"}'):
        told = log.shard.apply(99, T0, b"acme", text)
        assert told.options == ([],) and told.problem


def test_numbers_in_metadata_that_no_float_could_hold_are_told_apart(log: Log) -> None:
    """Metadata is compared digit by digit, even of 5,000 digits."""
    long = {"n": int("9" * 300)}
    (row,) = log.meter({"metadata": long, "idempotency_key": "k"})
    assert row["metadata"] == '{"n":' + "9" * 300 + "}"
    text = json.dumps(
        {"command": "meter", "customer_id": "acme", "api_key_id": 1, "idempotency_window": WINDOW, "outcome_ttl": 1,
         "events": [{"agent_id": "a", "action": "completion", "metadata": "?"}]}
    )  # fmt: skip
    found = log.shard.apply(50, T0, b"acme", text.replace('"?"', '{"n":' + "8" * 5000 + "}").encode())
    assert found.options is not None and kinds(found.options[0]) == ["event"]
