"""Bad input about prices, credit, budgets and reservations: a clear 4xx that names the field, and nothing recorded."""

from typing import Any, NamedTuple

import pytest

ADMIN = "the-admin-token"
METER, PRICES, CREDITS, BUDGETS = "/v1/meter", "/api/admin/pricing", "/api/admin/credits", "/api/admin/budgets"
EVENT = {"agent_id": "a", "action": "chat"}
STEPS = [{"up_to": 5, "rate": 1}, {"up_to": 5, "rate": 1}, {"up_to": None, "rate": 1}]
GRANT = {"customer_id": "acme-corp", "amount_cents": 5, "reason": "paid"}
BUDGET = {"customer_id": "acme-corp", "scope": "all", "period": "day", "hard": True}


class Bad(NamedTuple):
    """A request of the customer (an event) or of the administrator, and its refusal."""

    path: str
    body: dict[str, Any]
    error: str
    status: int = 400


BAD = {
    "quantity without a rate": Bad(
        METER, {**EVENT, "quantities": {"x": 1}}, "quantities.x must have a rate in the price"
    ),
    "contradictory spellings": Bad(METER, {**EVENT, "tokens_input": 5, "quantities": {"input": 6}}, "tokens_input"),
    "tokens beside their sum": Bad(METER, {**EVENT, "tokens": 5, "quantities": {"input": 6}}, "tokens"),
    "33 quantities": Bad(METER, {**EVENT, "quantities": {f"q{n}": 1 for n in range(33)}}, "quantities must"),
    "7 decimals": Bad(METER, {**EVENT, "quantities": {"x": "0.1234567"}}, "quantities.x must"),
    "below 0": Bad(METER, {**EVENT, "quantities": {"x": -1}}, "quantities.x must"),
    "tiers that do not rise": Bad(
        PRICES, {"action_type": "a", "tiers": {"x": STEPS}}, "tiers.x[1].up_to must be above 5"
    ),
    "per: 0": Bad(PRICES, {"action_type": "a", "rates": {"x": {"rate": 1, "per": 0}}}, "rates.x: per must"),
    "per: 0 in a step": Bad(
        PRICES, {"action_type": "a", "tiers": {"x": [{"up_to": None, "rate": 1, "per": 0}]}}, "tiers.x[0]: per must"
    ),
    "overlapping dates": Bad(
        PRICES, {"action_type": "chat", "effective_at": "2026-06-01T00:00:00Z"}, "effective_at must differ", 409
    ),
    "overlapping dates of a list": Bad(
        PRICES + "/bulk",
        {"rows": [{"action_type": "b", "effective_at": "2026-06-01T00:00:00Z"}] * 2},
        "rows[1] must differ from rows[0]",
    ),
    "a price from a date in the past": Bad(
        PRICES, {"action_type": "a", "effective_at": "2026-01-01T00:00:00Z"}, "effective_at must"
    ),
    "a grant in the past": Bad(
        CREDITS, {**GRANT, "expires_at": "2026-01-01T00:00:00Z"}, "expires_at must be in the future"
    ),
    "a budget below 0": Bad(BUDGETS, {**BUDGET, "limit_cents": -1}, "limit_cents must not be negative"),
}


async def scheduled(gateway: Any) -> None:
    """A row that another one may contradict."""
    body = {"action_type": "chat", "base_rate_cents": 1, "effective_at": "2026-06-01T00:00:00Z"}
    assert (await gateway.call("POST", PRICES, body, ADMIN)).status == 201


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_refused_and_names_the_field(gateway: Any, key: str, name: str) -> None:
    """What a gateway cannot know alone, the shard refuses: that leaves a rejected entry and nothing else."""
    await scheduled(gateway)
    gateway.settle()
    before = len([row for row in gateway.ledger.rows if row.kind != "rejected"])
    bad = BAD[name]
    answer = await gateway.call("POST", bad.path, bad.body, key if bad.path == METER else ADMIN)
    assert answer.status == bad.status, answer.text
    assert bad.error in answer.json["error"], answer.text
    gateway.settle()
    assert len([row for row in gateway.ledger.rows if row.kind != "rejected"]) == before


async def test_a_row_that_ignores_unknown_quantities_charges_nothing_for_them(gateway: Any, key: str) -> None:
    body = {"action_type": "chat", "base_rate_cents": 1, "ignore_unknown": True}
    assert (await gateway.call("POST", PRICES, body, ADMIN)).status == 201
    answer = await gateway.call("POST", METER, {**EVENT, "quantities": {"x": 1}}, key)
    assert (answer.status, answer.json["price"]["total_cents"]) == (201, 1)


async def test_a_reservation_of_someone_else_is_unknown_and_settling_twice_is_a_conflict(
    gateway: Any, key: str
) -> None:
    """Neither charges anything."""
    other = await gateway.make_key("other-corp")
    held = (await gateway.call("POST", "/v1/reservations", {"amount_cents": 5}, key)).json["reservation_id"]
    settle = {**EVENT, "reservation_id": held}
    foreign = await gateway.call("POST", METER, settle, other)
    assert (foreign.status, foreign.json["code"]) == (404, "not_found")
    assert (await gateway.call("POST", f"/v1/reservations/{held}/release", None, other)).status == 404
    assert (await gateway.call("POST", METER, settle, key)).status == 201
    again = await gateway.call("POST", METER, settle, key)
    assert (again.status, again.json["code"]) == (409, "reservation_closed")
    gateway.settle()
    assert [row.customer_id for row in gateway.ledger.rows if row.kind == "event"] == ["acme-corp"]
