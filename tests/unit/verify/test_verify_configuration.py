"""What configuration commands decide: rows, ids, and the price records that shards must get."""

from typing import Any

import pytest

from tools.verify.config_model import Configuration

RATES = {"base": "1", "token": "0", "bonus": "0"}


def fresh() -> Configuration:
    return Configuration(True, lambda customer: 2 if customer == "acme" else 0)


def applied(configuration: Configuration, command: str, at: int = 0, **fields: Any) -> list[tuple[str, Any]]:
    rows = configuration.apply({"command": command, **fields}, at)
    assert rows is not None
    return [(str(row.get("config_type", row["kind"])), row.get("detail", {}).get("id")) for row in rows]


def test_genesis_sets_the_default_prices_once() -> None:
    """One row a price, ids from 1; a repeat leaves nothing."""
    configuration = fresh()
    prices = [{"action_type": a, "rates": RATES} for a in ("chat", "search")]
    assert applied(configuration, "genesis", prices=prices) == [("pricing.updated", 1), ("pricing.updated", 2)]
    assert applied(configuration, "genesis", prices=prices) == []


def test_keys_are_created_and_revoked() -> None:
    """Ids count up; a second revocation leaves nothing, an unknown key a refusal."""
    configuration = fresh()
    assert applied(configuration, "key.create", customer_id="acme") == [("key.created", 1)]
    assert applied(configuration, "key.create", customer_id="*") == [("key.created", 2)]
    assert applied(configuration, "key.create", customer_id="_config") == [("rejected", None)]
    assert applied(configuration, "key.revoke", id=1) == [("key.revoked", 1)]
    assert applied(configuration, "key.revoke", id=1) == []
    assert applied(configuration, "key.revoke", id=9) == [("rejected", None)]


def test_a_signup_needs_a_new_customer() -> None:
    """It leaves the key and the sign-up; a customer that is there refuses it."""
    configuration = fresh()
    signup = {"email": "a@example.com", "utm_source": "x"}
    made = configuration.apply(
        {"command": "key.create", "customer_id": "cus_1", "actor": "signup", "signup": signup}, 0
    )
    assert made is not None
    assert [(row["config_type"], row["actor"]) for row in made] == [
        ("key.created", "signup"),
        ("signup.created", "signup"),
    ]
    assert made[1]["detail"] == {**signup, "customer_id": "cus_1"}
    for customer in ("cus_1", "*", "_config"):
        assert applied(configuration, "key.create", customer_id=customer, signup=signup) == [("rejected", None)]


def test_prices_are_set_replaced_and_deleted() -> None:
    """A price that was replaced has ended: deleting it leaves nothing."""
    configuration = fresh()
    assert applied(configuration, "price.set", action_type="chat", rates=RATES) == [("pricing.updated", 1)]
    assert applied(configuration, "price.set", action_type="chat", rates=RATES) == [("pricing.updated", 2)]
    assert applied(configuration, "price.delete", id=1) == []
    assert applied(configuration, "price.delete", id=2) == [("pricing.updated", 2)]
    assert applied(configuration, "price.delete", id=3) == [("rejected", None)]
    assert applied(configuration, "price.set", action_type="outcome_charge", rates=RATES) == [("rejected", None)]


def test_customers_are_updated() -> None:
    """A change leaves a row, the same again none, an unknown customer a refusal."""
    configuration = fresh()
    applied(configuration, "key.create", customer_id="acme")
    assert applied(configuration, "customer.update", customer_id="acme", name="A") == [("customer.updated", None)]
    assert applied(configuration, "customer.update", customer_id="acme", name="A") == []
    assert applied(configuration, "customer.update", customer_id="other", name="A") == [("rejected", None)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"rates": {**RATES, "base": "1.000"}}, ""),
        ({"rates": {**RATES, "base": "2"}}, "not what"),
        ({"action_type": "search"}, "not what"),
        ({"active": False}, "not what"),
        ({"customer_id": "acme"}, "not what"),
        ({"test": True}, "not what"),
        ({"test": False}, ""),
        ({"number": 9}, "not what"),
    ],
)
def test_a_price_record_must_be_what_was_decided(change: dict[str, Any], told: str) -> None:
    """A forged or changed price record is told."""
    configuration = fresh()
    applied(configuration, "price.set", action_type="chat", rates=RATES)
    command = {"number": 1, "id": 1, "action_type": "chat", "rates": RATES, **change}
    said = configuration.check_install(command, 1, 0)
    assert told in said and bool(said) == bool(told)


def test_a_shard_must_not_miss_a_price_record() -> None:
    """A default price goes to every shard, an override to its customer's alone."""
    configuration = fresh()
    for customer in (None, "acme", None):
        applied(configuration, "price.set", action_type="chat", rates=RATES, customer_id=customer)
    third = {"number": 3, "id": 3, "action_type": "chat", "rates": RATES}
    assert configuration.check_install(third, 1, 1) == ""
    assert "record 2 is missing" in configuration.check_install(third, 2, 1)
    assert "record 1 is missing" in configuration.check_install(third, 1, 0)


def test_without_the_first_commands_nothing_is_expected() -> None:
    """Once retention has taken the beginning, configuration rows cannot be told."""
    configuration = Configuration(False, lambda customer: 0)
    assert configuration.apply({"command": "key.create", "customer_id": "acme"}, 0) is None
    assert configuration.check_install({"number": 5}, 0, 0) == ""
