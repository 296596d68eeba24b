"""Keys, prices and customers over HTTP, decided by the real configuration code."""

import re
from decimal import Decimal
from typing import Any

import pytest

from ingest.auth import hash_of
from streams.errors import AppendUnknown
from tests.unit.ingest.bad_input import ADMINS, CUSTOMERS, KEYS, PRICES, AdminBad

ADMIN = "the-admin-token"
EVENT = {"agent_id": "a", "action": "completion", "tokens": 1000}


async def test_a_key_is_shown_once_and_kept_nowhere(gateway: Any) -> None:
    """201 with the whole key; the log and every list hold its hash and mask only."""
    answer = await gateway.call("POST", KEYS, {"customer_id": "acme", "customer_name": "Acme"}, ADMIN)
    made = answer.json
    secret = made["api_key"]
    assert answer.status == 201 and re.fullmatch(r"rg_[0-9a-f]{40}", secret)
    assert (made["id"], made["customer_id"], made["customer_name"]) == (1, "acme", "Acme")
    assert made["created_at"] == "2026-04-26T12:00:00.000Z"
    assert not any(secret.encode() in value for value in gateway.log.values() + gateway.log.entries)
    assert any(hash_of(secret).encode() in value for value in gateway.log.values())
    listed = await gateway.call("GET", KEYS, None, ADMIN)
    assert secret not in listed.text
    assert listed.json == {
        "keys": [
            {
                "id": 1,
                "customer_id": "acme",
                "customer_name": "Acme",
                "api_key_masked": f"{secret[:7]}...{secret[-4:]}",
                "is_active": True,
                "test": False,
                "created_at": "2026-04-26T12:00:00.000Z",
                "last_used_at": None,
            }
        ],
        "next_cursor": None,
    }


async def test_revoking_again_answers_the_same_and_an_unknown_id_is_404(gateway: Any, key: str) -> None:
    """The key stays listed as inactive."""
    for _ in range(2):
        answer = await gateway.call("DELETE", f"{KEYS}/1", None, ADMIN)
        assert (answer.status, answer.json) == (200, {"success": True})
    assert (await gateway.call("GET", KEYS, None, ADMIN)).json["keys"][0]["is_active"] is False
    for unknown in ("99", "abc", "-1", "9" * 40):
        assert (await gateway.call("DELETE", f"{KEYS}/{unknown}", None, ADMIN)).status == 404


async def test_one_key_is_shown_by_its_id_and_to_its_holder(gateway: Any, key: str) -> None:
    """Masked, with the mode of its requests; a revoked key is shown to the administrator alone."""
    (listed,) = (await gateway.call("GET", KEYS, None, ADMIN)).json["keys"]
    assert (await gateway.call("GET", f"{KEYS}/1", None, ADMIN)).json == listed
    assert (await gateway.call("GET", f"{KEYS}/1", None, key)).status == 401
    for unknown in ("2", "abc", "-1"):
        assert (await gateway.call("GET", f"{KEYS}/{unknown}", None, ADMIN)).status == 404
    del listed["last_used_at"]
    assert (await gateway.call("GET", "/v1/key", None, key)).json == listed
    assert (await gateway.call("GET", "/v1/key?customer_id=x", None, key)).status == 403
    await gateway.call("PATCH", f"{CUSTOMERS}/{listed['customer_id']}", {"test": True}, ADMIN)
    assert (await gateway.call("GET", "/v1/key", None, key)).json == {**listed, "test": True}
    platform = await gateway.make_key("*")
    shown = (await gateway.call("GET", "/v1/key", None, platform)).json
    assert (shown["customer_id"], shown["test"]) == ("*", False)
    await gateway.call("DELETE", f"{KEYS}/1", None, ADMIN)
    assert (await gateway.call("GET", "/v1/key", None, key)).status == 401
    assert (await gateway.call("GET", f"{KEYS}/1", None, ADMIN)).json["is_active"] is False


async def test_a_price_holds_for_every_event_after_its_answer(gateway: Any, key: str) -> None:
    """An override of one customer, then its end: numbers exact in the answer and in the price."""
    body = b'{"action_type":"completion","base_rate_cents":0.75,"token_rate_cents":"0.0004","customer_id":"acme-corp"}'
    answer = await gateway.call("POST", PRICES, body, ADMIN)
    assert answer.status == 201
    made = answer.json
    assert (made["base_rate_cents"], made["token_rate_cents"]) == (Decimal("0.75"), Decimal("0.0004"))
    assert (made["outcome_bonus_cents"], made["is_active"], made["customer_id"]) == (0, True, "acme-corp")
    event = (await gateway.call("POST", "/v1/meter", EVENT, key)).json
    assert event["price"]["total_cents"] == Decimal("1.15") and event["price"]["config"]["is_default"] is False
    deleted = await gateway.call("DELETE", f"{PRICES}/{made['id']}", None, ADMIN)
    assert (deleted.status, deleted.json) == (200, {"success": True, "deleted_id": made["id"]})
    assert (await gateway.call("POST", "/v1/meter", EVENT, key)).json["price"]["total_cents"] == Decimal("0.8")


async def test_the_previous_price_becomes_history(gateway: Any) -> None:
    """GET shows the row in force, ?history=1 also the one before it, newest first."""
    for cents in (1, 2):
        assert (
            await gateway.call("POST", PRICES, {"action_type": "new", "base_rate_cents": cents}, ADMIN)
        ).status == 201
    active = [row for row in await configs(gateway, "") if row["action_type"] == "new"]
    history = [row for row in await configs(gateway, "&history=1") if row["action_type"] == "new"]
    assert [(row["base_rate_cents"], row["is_active"]) for row in active] == [(2, True)]
    assert [(row["base_rate_cents"], row["is_active"]) for row in history] == [(2, True), (1, False)]
    assert history[1]["ended_at"] is not None


async def configs(gateway: Any, query: str) -> list[dict[str, Any]]:
    """All pages of the price list, three at a time."""
    rows, cursor = [], ""
    while True:
        answer = await gateway.call("GET", f"{PRICES}?limit=3{query}{cursor}", None, ADMIN)
        assert answer.status == 200, answer.text
        rows += answer.json["configs"]
        if answer.json["next_cursor"] is None:
            return rows
        cursor = f"&cursor={answer.json['next_cursor']}"


async def test_the_effective_rates_of_a_customer(gateway: Any, key: str) -> None:
    """GET /v1/pricing: overrides are custom, the rest are the defaults."""
    await gateway.call("POST", PRICES, {"action_type": "chat", "base_rate_cents": 9, "customer_id": "acme-corp"}, ADMIN)
    answer = await gateway.call("GET", "/v1/pricing", None, key)
    rows = {row["action_type"]: row for row in answer.json["configs"]}
    assert answer.json["customer_id"] == "acme-corp" and len(rows) == 10
    assert rows["chat"]["is_custom"] is True and rows["chat"]["base_rate_cents"] == 9
    assert rows["completion"] == {
        "action_type": "completion",
        "base_rate_cents": Decimal("0.5"),
        "token_rate_cents": Decimal("0.0003"),
        "outcome_bonus_cents": Decimal("0.25"),
        "is_custom": False,
    }


async def test_a_scheduled_price_is_shown_until_it_is_in_force(gateway: Any, key: str) -> None:
    """The list and the customer's rates show it with its start; at that time it replaces the row before it."""
    start = "2026-04-26T12:00:01.000Z"
    made = await gateway.call(
        "POST", PRICES, {"action_type": "chat", "base_rate_cents": 9, "effective_at": start}, ADMIN
    )
    assert (made.status, made.json["effective_at"], made.json["scheduled"]) == (201, start, True)
    again = await gateway.call("POST", PRICES, {"action_type": "chat", "effective_at": start}, ADMIN)
    assert (again.status, again.json["code"]) == (409, "price_scheduled")
    listed = (await gateway.call("GET", PRICES, None, ADMIN)).json["configs"]
    assert [row["id"] for row in listed if row.get("scheduled")] == [made.json["id"]]
    shown = (await gateway.call("GET", "/v1/pricing", None, key)).json
    assert [row["base_rate_cents"] for row in shown["configs"] if row["action_type"] == "chat"] == [Decimal("0.1")]
    assert [(row["base_rate_cents"], row["effective_at"]) for row in shown["scheduled"]] == [(9, start)]
    gateway.now += 1000
    event = (await gateway.call("POST", "/v1/meter", {**EVENT, "action": "chat", "tokens": 0}, key)).json
    assert event["price"]["total_cents"] == 9
    history = (await gateway.call("GET", PRICES + "?history=1", None, ADMIN)).json["configs"]
    chat = [row for row in history if row["action_type"] == "chat"]
    assert [(row["is_active"], row["ended_at"]) for row in chat] == [(True, None), (False, start)]
    after = (await gateway.call("GET", "/v1/pricing", None, key)).json
    assert "scheduled" not in after
    assert [row["base_rate_cents"] for row in after["configs"] if row["action_type"] == "chat"] == [9]


async def test_steps_are_set_shown_and_charged(gateway: Any, key: str) -> None:
    """An event that crosses a step has a line for each part; the lists show the steps as they were set."""
    steps = [{"up_to": 1000, "rate": 0}, {"up_to": None, "rate": "250", "per": 1000000}]
    body = {"action_type": "chat", "tiers": {"input": steps}, "tier_mode": "graduated"}
    made = await gateway.call("POST", PRICES, body, ADMIN)
    shown = {"input": [{"up_to": 1000, "rate": 0, "per": 1}, {"up_to": None, "rate": 250, "per": 1000000}]}
    assert (made.status, made.json["tiers"]) == (201, shown)
    rows = (await gateway.call("GET", "/v1/pricing", None, key)).json["configs"]
    assert [row.get("tiers") for row in rows if row["action_type"] == "chat"] == [shown]
    event = {"agent_id": "a", "action": "chat", "tokens_input": 1500}
    price = (await gateway.call("POST", "/v1/meter", event, key)).json["price"]
    assert [(line["component"], line["quantity"], line["rate_cents"], line["cents"]) for line in price["lines"]] == [
        ("input", 1000, 0, 0),
        ("input", 500, 250, Decimal("0.125")),
    ]
    assert price["total_cents"] == Decimal("0.125") and "tiers" not in price["config"]
    missing = await gateway.call("POST", "/v1/meter", {**event, "quantities": {"images": 1}}, key)
    assert missing.json["error"].startswith("quantities.images must have a rate")


async def test_a_month_is_capped_in_the_answer_and_its_terms_are_shown(gateway: Any, key: str) -> None:
    """The event that crosses the cap costs what is left and says so, the next one nothing; the list shows the terms."""
    body = {"action_type": "chat", "base_rate_cents": 4, "minimum_cents": "2.50", "cap_cents": 5}
    made = await gateway.call("POST", PRICES, body, ADMIN)
    assert (made.status, made.json["minimum_cents"], made.json["cap_cents"]) == (201, Decimal("2.5"), 5)
    rows = (await gateway.call("GET", "/v1/pricing", None, key)).json["configs"]
    assert [row["cap_cents"] for row in rows if row["action_type"] == "chat"] == [5]
    event = {"agent_id": "a", "action": "chat"}
    prices = [(await gateway.call("POST", "/v1/meter", event, key)).json["price"] for _ in range(3)]
    assert [price["total_cents"] for price in prices] == [4, 1, 0]
    assert [price.get("lines", []) for price in prices] == [
        [],
        [{"component": "cap", "quantity": 1, "rate_cents": 0, "per": 1, "cents": -3}],
        [{"component": "cap", "quantity": 1, "rate_cents": 0, "per": 1, "cents": -4}],
    ]
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [event, event]}, key)
    assert [one["total_cents"] for one in batch.json["results"]] == [0, 0]
    steps = [{"up_to": 10, "rate": 2}, {"up_to": None, "rate": 1}]
    volume = {"action_type": "chat", "tiers": {"event": steps}, "tier_mode": "volume"}
    made = await gateway.call("POST", PRICES, volume, ADMIN)
    assert (made.status, made.json["tier_mode"], "cap_cents" in made.json) == (201, "volume", False)
    assert (await gateway.call("POST", "/v1/meter", event, key)).json["price"]["total_cents"] == 2


async def test_a_customer_is_listed_and_changed(gateway: Any, key: str) -> None:
    """PATCH changes what is given and nothing else; an unknown customer is 404."""
    changes = {"name": "New", "external_ids": {"stripe": "cus_1"}}
    answer = await gateway.call("PATCH", f"{CUSTOMERS}/acme-corp", changes, ADMIN)
    assert (answer.status, answer.json["name"], answer.json["test"]) == (200, "New", False)
    await gateway.call("PATCH", f"{CUSTOMERS}/acme-corp", {"test": True}, ADMIN)
    listed = (await gateway.call("GET", CUSTOMERS, None, ADMIN)).json["customers"]
    assert [(row["customer_id"], row["name"], row["external_ids"], row["test"]) for row in listed] == [
        ("acme-corp", "New", {"stripe": "cus_1"}, True)
    ]
    shown = await gateway.call("GET", f"{CUSTOMERS}/acme-corp", None, ADMIN)
    assert (shown.status, shown.json) == (200, listed[0])
    for method, body in (("PATCH", changes), ("GET", None)):
        assert (await gateway.call(method, f"{CUSTOMERS}/unknown", body, ADMIN)).status == 404
    assert (await gateway.call("GET", f"{CUSTOMERS}/acme-corp", None, key)).status == 401


@pytest.mark.parametrize("bad", ADMINS)
async def test_bad_admin_input_is_refused_and_appends_nothing(gateway: Any, bad: AdminBad) -> None:
    """400 naming the field."""
    before = len(gateway.log.values())
    answer = await gateway.call(bad.method, bad.path, bad.body, ADMIN)
    assert answer.status == 400, answer.text
    assert bad.says in answer.json["error"]
    assert len(gateway.log.values()) == before


@pytest.mark.parametrize("token", [None, "", "wrong", "the-admin-toke\u00e9"])
async def test_admin_calls_want_the_token(gateway: Any, key: str, token: str | None) -> None:
    """401 for none, a wrong one, and a customer's key."""
    before = len(gateway.log.values())
    for method, path in [("GET", KEYS), ("POST", PRICES), ("DELETE", f"{KEYS}/1"), ("PATCH", f"{CUSTOMERS}/x")]:
        for given in (token, key):
            assert (await gateway.call(method, path, b"{", given)).status == 401
    assert len(gateway.log.values()) == before


async def test_a_change_that_is_not_confirmed_is_503_unknown(gateway: Any) -> None:
    """Without a pricer, without a view that follows, and with an append whose fate is unknown."""
    gateway.log.lags_behind = True
    blind = await gateway.call("POST", KEYS, {"customer_id": "a"}, ADMIN)
    gateway.log.lags_behind = False
    gateway.log.pause()
    unanswered = await gateway.call("POST", KEYS, {"customer_id": "b"}, ADMIN)
    gateway.log.error = AppendUnknown("late")
    lost = await gateway.call("POST", KEYS, {"customer_id": "c"}, ADMIN)
    for answer in (blind, unanswered, lost):
        assert (answer.status, answer.json["code"]) == (503, "unknown") and answer.headers["Retry-After"]
        assert "rg_" not in answer.text
