"""Prepaid credit over HTTP: granted by an administrator, drawn by each event, given back by a void."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.limits import DAY
from tests.unit.ingest.test_voids_http import EMAIL, REASON, TASK, metered, void

ADMIN = "the-admin-token"
PATH = "/api/admin/credits"
EVENT = {"agent_id": "a1", "action": "completion"}
"""Costs half a cent."""
GRANT = {"customer_id": "acme-corp", "amount_cents": "1.2", "reason": "welcome"}


async def grant(gateway: Any, **more: Any) -> Any:
    answer = await gateway.call("POST", PATH, {**GRANT, **more}, ADMIN)
    assert answer.status == 201, answer.text
    return answer.json


async def meter(gateway: Any, key: str, **more: Any) -> Any:
    return await gateway.call("POST", "/v1/meter", {**EVENT, **more}, key)


async def balance(gateway: Any, key: str) -> Any:
    answer = await gateway.call("GET", "/v1/balance", None, key)
    assert answer.status == 200, answer.text
    return answer.json


async def left(gateway: Any, key: str) -> dict[int, Decimal]:
    return {one["id"]: Decimal(one["left_cents"]) for one in (await balance(gateway, key))["grants"]}


async def on_empty(gateway: Any, value: str) -> Any:
    answer = await gateway.call("PATCH", "/api/admin/customers/acme-corp", {"on_empty": value}, ADMIN)
    assert answer.status == 200, answer.text
    return answer.json


def paid(answer: Any) -> tuple[Any, Any]:
    return answer.json.get("credit_cents"), answer.json.get("due_cents")


async def test_an_event_draws_the_credit_down(gateway: Any, key: str) -> None:
    """Before the first grant nothing is said; then what credit paid and what is due, also once it is used up."""
    assert paid(await meter(gateway, key)) == (None, None)
    assert await balance(gateway, key) == {
        "customer_id": "acme-corp",
        "balance_cents": 0,
        "grants": [],
        "test": False,
    }
    made = await grant(gateway, expires_at="2026-05-26T12:00:00Z", priority=10)
    assert made == {
        "id": made["id"],
        "customer_id": "acme-corp",
        "amount_cents": Decimal("1.2"),
        "left_cents": Decimal("1.2"),
        "expires_at": "2026-05-26T12:00:00.000Z",
        "priority": 10,
        "reason": "welcome",
        "created_at": "2026-04-26T12:00:00.000Z",
        "test": False,
        "low_percent": 20,
    }
    first = await meter(gateway, key, idempotency_key="k")
    assert paid(first) == (Decimal("0.5"), 0)
    del made["low_percent"]
    assert (await balance(gateway, key))["grants"] == [{**made, "left_cents": Decimal("0.7")}]
    assert paid(await meter(gateway, key)) == (Decimal("0.5"), 0)
    assert paid(await meter(gateway, key)) == (Decimal("0.2"), Decimal("0.3"))
    assert paid(await meter(gateway, key)) == (0, Decimal("0.5"))
    assert (await balance(gateway, key))["balance_cents"] == 0
    again = await meter(gateway, key, idempotency_key="k")
    assert (again.headers["Idempotent-Replayed"], again.text) == ("true", first.text)
    gateway.settle()
    shown = (await gateway.call("GET", f"/v1/events/{first.json['event_id']}", None, key)).json
    assert (shown["credit_cents"], shown["due_cents"]) == (Decimal("0.5"), 0)


async def test_a_grant_says_whether_it_was_paid_for(gateway: Any, key: str) -> None:
    """Where it was: in the response, the balance and the ledger; a promotional one says nothing, as one from before."""
    first = await grant(gateway, category="paid", idempotency_key="k")
    second = await grant(gateway, category="promotional")
    assert first["category"] == "paid" and "category" not in second
    shown = (await balance(gateway, key))["grants"]
    assert [one.get("category") for one in shown] == ["paid", None]
    gateway.settle()
    details = [row.detail for row in gateway.ledger.rows if row.config_type == "credit.granted"]
    assert ['"category":"paid"' in detail for detail in details] == [True, False]
    again = await gateway.call("POST", PATH, {**GRANT, "idempotency_key": "k"}, ADMIN)
    assert again.status == 409, again.text
    wrong = await gateway.call("POST", PATH, {**GRANT, "category": "gift"}, ADMIN)
    assert wrong.status == 400 and wrong.json["error"].startswith("category")


async def test_low_and_exhausted_credit_is_noticed_once_after_a_grant(gateway: Any, key: str) -> None:
    """At the percentage that the grant says, 20 by default, and when nothing is left."""

    async def noticed() -> list[str]:
        gateway.settle()
        return [row.config_type for row in gateway.ledger.rows if row.actor == "pricer"]

    await grant(gateway, amount_cents="1.2")
    await meter(gateway, key)
    assert await noticed() == []
    await meter(gateway, key)  # 0.2 of 1.2 are left
    assert await noticed() == ["credit.low"]
    (low,) = [row for row in gateway.ledger.rows if row.config_type == "credit.low"]
    assert '"balance_cents":0.2,"low_cents":0.24' in low.detail
    await meter(gateway, key, action="chat")
    assert await noticed() == ["credit.low"]
    await meter(gateway, key)
    await meter(gateway, key)
    assert await noticed() == ["credit.low", "credit.exhausted"]
    await grant(gateway, amount_cents=1, low_percent=50)
    await meter(gateway, key)
    assert await noticed() == ["credit.low", "credit.exhausted", "credit.low"]
    wrong = await gateway.call("POST", PATH, {**GRANT, "low_percent": 101}, ADMIN)
    assert wrong.status == 400 and wrong.json["error"].startswith("low_percent")


async def test_the_order_is_expiry_then_priority_then_id(gateway: Any, key: str) -> None:
    last = await grant(gateway)
    soon = await grant(gateway, amount_cents="0.1", expires_at="2026-04-27T12:00:00Z", priority=90)
    second = await grant(gateway, amount_cents="0.1", expires_at="2026-05-27T12:00:00Z")
    first = await grant(gateway, amount_cents="0.1", expires_at="2026-05-27T12:00:00Z", priority=1)
    third = await grant(gateway, amount_cents="0.1", expires_at="2026-05-27T12:00:00Z")
    assert list(await left(gateway, key)) == [one["id"] for one in (soon, first, second, third, last)]
    answer = await gateway.call("POST", "/v1/meter/batch", {"events": [{**EVENT, "action": "chat"}] * 3}, key)
    assert [one["credit_cents"] for one in answer.json["results"]] == [Decimal("0.1")] * 3
    assert list(await left(gateway, key)) == [third["id"], last["id"]]


async def test_an_expired_grant_is_not_drawn(gateway: Any, key: str) -> None:
    await grant(gateway, expires_at="2026-04-27T12:00:00Z")
    kept = await grant(gateway, amount_cents=5)
    first = await metered(gateway, key, EVENT)
    gateway.now += DAY
    assert await left(gateway, key) == {kept["id"]: Decimal(5)}
    assert paid(await meter(gateway, key)) == (Decimal("0.5"), 0)
    await void(gateway, "events", first["event_id"])
    assert await left(gateway, key) == {kept["id"]: Decimal("4.5")}


async def test_a_void_gives_back_to_the_grants_it_came_from(gateway: Any, key: str) -> None:
    """Also to one that is used up; the ledger's row is the opposite of the event's."""
    small = await grant(gateway, amount_cents="0.2", expires_at="2026-05-27T12:00:00Z")
    large = await grant(gateway)
    made = await metered(gateway, key, EVENT)
    assert await left(gateway, key) == {large["id"]: Decimal("0.9")}
    await void(gateway, "events", made["event_id"])
    assert await left(gateway, key) == {small["id"]: Decimal("0.2"), large["id"]: Decimal("1.2")}
    gateway.settle()
    rows = {row.kind: row for row in gateway.ledger.rows}
    assert rows["void"].credit_cents == -rows["event"].credit_cents == -500_000_000_000
    assert [(draw.grant, draw.cents) for draw in rows["void"].draws] == [(small["id"], "-0.2"), (large["id"], "-0.3")]
    assert (await void(gateway, "events", made["event_id"])).status == 200
    assert await left(gateway, key) == {small["id"]: Decimal("0.2"), large["id"]: Decimal("1.2")}


async def test_a_charge_draws_credit_and_says_so(gateway: Any, key: str) -> None:
    await on_empty(gateway, "refuse")
    await grant(gateway, amount_cents=1000)
    await gateway.call("POST", "/v1/outcomes", TASK, key)
    closed = await gateway.call("POST", "/v1/outcomes/t/resolve", {"success": True}, key)
    assert (closed.status, paid(closed)) == (200, (1000, 3900))
    read = await gateway.call("GET", "/v1/outcomes/t", None, key)
    assert paid(read) == (1000, 3900)
    gateway.settle()
    await void(gateway, "outcomes", closed.json["outcome_id"], REASON)
    assert (await balance(gateway, key))["balance_cents"] == 1000


async def test_a_pending_event_draws_twice(gateway: Any, key: str) -> None:
    await grant(gateway, amount_cents=600)
    opened = await gateway.call("POST", "/v1/meter", EMAIL, key)
    assert paid(opened) == (1, 0)
    closed = await gateway.call("POST", f"/v1/outcomes/{opened.json['outcome_id']}/resolve", {"success": True}, key)
    assert paid(closed) == (500, 0) and (await balance(gateway, key))["balance_cents"] == 99


async def test_on_empty_refuses_what_credit_does_not_cover(gateway: Any, key: str) -> None:
    """402 with the balance, nothing charged or drawn; without a grant there is no credit; what is free passes."""
    assert (await on_empty(gateway, "refuse"))["on_empty"] == "refuse"
    refused = await meter(gateway, key)
    assert (refused.status, refused.json["code"], refused.json["balance_cents"]) == (402, "insufficient_credit", 0)
    assert (await meter(gateway, key, action="research.complete")).status == 201
    await grant(gateway)
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [EVENT] * 3}, key)
    assert (batch.status, batch.json["balance_cents"]) == (402, Decimal("0.2"))
    assert [one["index"] for one in batch.json["errors"]] == [2]
    assert paid(await meter(gateway, key)) == (Decimal("0.5"), 0)
    assert paid(await meter(gateway, key)) == (Decimal("0.5"), 0)
    refused = await meter(gateway, key, idempotency_key="k")
    assert (refused.status, refused.json["balance_cents"]) == (402, Decimal("0.2"))
    assert refused.json["error"] == "prepaid credit has 0.2 cents left; this event would cost 0.5"
    await grant(gateway)
    assert paid(await meter(gateway, key, idempotency_key="k")) == (Decimal("0.5"), 0)
    assert "on_empty" not in await on_empty(gateway, "charge")
    assert (await meter(gateway, key, action="email.sent")).status == 201


async def test_test_and_live_have_their_own_credit(gateway: Any, key: str) -> None:
    test_key = await gateway.make_key("acme-corp", test=True)
    await grant(gateway, test=True)
    assert paid(await meter(gateway, key)) == (None, None)
    assert paid(await meter(gateway, test_key)) == (Decimal("0.5"), 0)
    assert (await balance(gateway, key))["grants"] == [] and (await balance(gateway, test_key))["test"] is True


async def test_an_administrator_sees_the_balance_of_either_mode(gateway: Any, key: str) -> None:
    """As the customer sees it; nobody else may ask, and every wrong query names its parameter."""
    await grant(gateway, amount_cents="3")
    await grant(gateway, amount_cents="5", test=True)
    seen = await gateway.call("GET", f"{PATH}?customer_id=acme-corp", None, ADMIN)
    assert seen.json == await balance(gateway, key) and Decimal(seen.json["balance_cents"]) == 3
    seen = await gateway.call("GET", f"{PATH}?customer_id=acme-corp&mode=test", None, ADMIN)
    assert (Decimal(seen.json["balance_cents"]), seen.json["test"]) == (5, True)
    for query, status, error in (
        ("", 400, "customer_id is required"),
        ("?customer_id=nobody", 404, "customer_id must be a customer that exists"),
        ("?customer_id=acme-corp&mode=both", 400, "mode must be live or test"),
    ):
        answer = await gateway.call("GET", PATH + query, None, ADMIN)
        assert answer.status == status and answer.json["error"].startswith(error)
    assert (await gateway.call("GET", f"{PATH}?customer_id=acme-corp", None, key)).status == 401


async def test_a_budget_refuses_before_credit_is_drawn(gateway: Any, key: str) -> None:
    await grant(gateway)
    budget = {"customer_id": "acme-corp", "scope": "all", "period": "total", "limit_cents": 0, "hard": True}
    assert (await gateway.call("POST", "/api/admin/budgets", budget, ADMIN)).status == 201
    assert (await meter(gateway, key)).json["code"] == "budget_exceeded"
    assert (await balance(gateway, key))["balance_cents"] == Decimal("1.2")


async def test_a_repeated_request_grants_once(gateway: Any, key: str) -> None:
    """Also when the grant has expired meanwhile."""
    body = {**GRANT, "expires_at": "2026-04-27T12:00:00Z"}
    first = await gateway.call("POST", PATH, body, ADMIN, Idempotency_Key="g")
    gateway.now += 2 * DAY
    again = await gateway.call("POST", PATH, body, ADMIN, Idempotency_Key="g")
    assert (first.status, again.status, again.text) == (201, 201, first.text)
    other = await gateway.call("POST", PATH, {**body, "amount_cents": 2}, ADMIN, Idempotency_Key="g")
    assert (other.status, other.json["code"]) == (409, "idempotency_conflict")
    late = await gateway.call("POST", PATH, body, ADMIN, Idempotency_Key="h")
    assert (late.status, late.json["error"]) == (400, "expires_at must be in the future")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"customer_id": None}, "customer_id is required"),
        ({"customer_id": "nobody"}, "customer_id must be a customer that exists, unlike 'nobody'"),
        ({"amount_cents": None}, "amount_cents is required"),
        ({"amount_cents": 0}, "amount_cents must be more than 0"),
        ({"amount_cents": -1}, "amount_cents must not be negative"),
        ({"amount_cents": "0.0000000000001"}, "amount_cents must have at most 12 decimals"),
        ({"expires_at": "2026-04-26T12:00:00Z"}, "expires_at must be in the future"),
        ({"expires_at": "tomorrow"}, "expires_at must be an ISO 8601 time"),
        ({"priority": 101}, "priority must be"),
        ({"priority": -1}, "priority must be"),
        ({"reason": None}, "reason is required"),
        ({"reason": ""}, "reason must have 1 to"),
        ({"amount": 1}, "amount"),
    ],
)
async def test_bad_input_is_refused_by_field(gateway: Any, key: str, wrong: Any, error: str) -> None:
    before = [len(raw) for raw in gateway.log.raw]
    answer = await gateway.call("POST", PATH, {**GRANT, **wrong}, ADMIN)
    assert answer.status == (404 if wrong.get("customer_id") else 400)
    assert error in answer.json["error"]
    assert [len(raw) for raw in gateway.log.raw] == before


async def test_who_may(gateway: Any, key: str) -> None:
    assert (await gateway.call("POST", PATH, GRANT, key)).status == 401
    assert (await gateway.call("GET", "/v1/balance", None, ADMIN)).status == 401
    wrong = await gateway.call("PATCH", "/api/admin/customers/acme-corp", {"on_empty": "stop"}, ADMIN)
    assert wrong.status == 400 and "on_empty must be" in wrong.json["error"]
