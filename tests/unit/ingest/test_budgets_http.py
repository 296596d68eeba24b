"""Budgets over HTTP: made by an administrator, asked by the customer, decided by the real pricer at each event."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.limits import DAY
from tests.unit.ingest.test_voids_http import REASON, TASK, metered, void

ADMIN = "the-admin-token"
PATH = "/api/admin/budgets"
EVENT = {"agent_id": "a1", "action": "completion"}
"""Costs half a cent."""
BUDGET = {
    "customer_id": "acme-corp", "scope": "agent", "value": "a1", "period": "day", "limit_cents": 1.2, "hard": True,
}  # fmt: skip


async def create(gateway: Any, **more: Any) -> Any:
    answer = await gateway.call("POST", PATH, {**BUDGET, **more}, ADMIN)
    assert answer.status == 201, answer.text
    return answer.json


async def meter(gateway: Any, key: str, **more: Any) -> Any:
    return await gateway.call("POST", "/v1/meter", {**EVENT, **more}, key)


async def listed(gateway: Any, key: str, query: str = "") -> Any:
    answer = await gateway.call("GET", f"/v1/budgets{query}", None, key)
    assert answer.status == 200, answer.text
    return answer.json


async def spent(gateway: Any, key: str) -> list[Decimal]:
    return [Decimal(one["spent_cents"]) for one in (await listed(gateway, key))["budgets"]]


async def test_a_hard_budget_refuses_the_event_that_would_exceed_it(gateway: Any, key: str) -> None:
    """402 names the budget and what is left; nothing is charged, and a smaller event still fits."""
    made = await create(gateway)
    assert made == {
        "id": made["id"],
        "customer_id": "acme-corp",
        "scope": "agent",
        "value": "a1",
        "period": "day",
        "limit_cents": Decimal("1.2"),
        "hard": True,
        "spent_cents": 0,
        "left_cents": Decimal("1.2"),
        "period_start": "2026-04-26T00:00:00.000Z",
        "period_end": "2026-04-27T00:00:00.000Z",
        "created_at": "2026-04-26T12:00:00.000Z",
        "test": False,
    }
    for _ in range(2):
        assert (await meter(gateway, key)).status == 201
    refused = await meter(gateway, key, idempotency_key="k")
    assert (refused.status, refused.json["code"]) == (402, "budget_exceeded")
    assert refused.json["error"] == (
        f"budget {made['id']} (agent 'a1', this day) has 0.2 of 1.2 cents left; this event would cost 0.5"
    )
    assert refused.json["budget"] == {**made, "spent_cents": 1, "left_cents": Decimal("0.2")}
    assert (await meter(gateway, key, agent_id="a2")).status == 201
    assert (await meter(gateway, key, action="chat")).json["price"]["total_cents"] == Decimal("0.1")
    assert await spent(gateway, key) == [Decimal("1.1")]
    gateway.now += DAY
    assert (await meter(gateway, key, idempotency_key="k")).status == 201
    assert await spent(gateway, key) == [Decimal("0.5")]


async def test_a_refusal_charges_nothing_and_is_seen(gateway: Any, key: str) -> None:
    await create(gateway, limit_cents=0)
    refused = await meter(gateway, key)
    gateway.settle()
    events = (await gateway.call("GET", "/v1/events", None, key)).json["events"]
    assert [(one["status"], one["error"]) for one in events] == [("rejected", refused.json["error"])]


async def test_a_soft_budget_says_that_it_is_exceeded(gateway: Any, key: str) -> None:
    made = await create(gateway, hard=False, limit_cents="0.7")
    first, second = await meter(gateway, key, idempotency_key="1"), await meter(gateway, key, idempotency_key="2")
    assert "budgets_exceeded" not in first.json and second.json["budgets_exceeded"] == [made["id"]]
    again = await meter(gateway, key, idempotency_key="2")
    assert (again.headers["Idempotent-Replayed"], again.text) == ("true", second.text)
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [{**EVENT, "agent_id": "b"}, EVENT]}, key)
    assert [one.get("budgets_exceeded") for one in batch.json["results"]] == [None, [made["id"]]]
    assert await spent(gateway, key) == [Decimal("1.5")]


async def test_a_batch_is_decided_in_order_and_as_a_whole(gateway: Any, key: str) -> None:
    made = await create(gateway)
    refused = await gateway.call("POST", "/v1/meter/batch", {"events": [EVENT] * 4}, key)
    assert (refused.status, refused.json["code"], refused.json["budget"]["id"]) == (402, "budget_exceeded", made["id"])
    assert [one["index"] for one in refused.json["errors"]] == [2, 3]
    assert await spent(gateway, key) == [0]
    taken = await gateway.call("POST", "/v1/meter/batch", {"events": [EVENT] * 2}, key)
    assert taken.status == 201 and await spent(gateway, key) == [1]


async def test_notices_come_once_a_period(gateway: Any, key: str) -> None:
    """At 50, 80 and 100 percent, the highest at once, and beyond the limit."""
    made = await create(gateway, hard=False, limit_cents=1)
    await create(gateway, scope="all", value=None, period="total", limit_cents=100)
    for _ in range(4):
        await meter(gateway, key)
    gateway.settle()
    rows = [row for row in gateway.ledger.rows if row.config_type.startswith("budget.") and row.actor == "pricer"]
    assert [row.config_type for row in rows] == ["budget.threshold", "budget.threshold", "budget.exceeded"]
    assert [f'"threshold_percent":{percent}' in row.detail for row, percent in zip(rows, (50, 100, 100), strict=True)]
    assert all(f'"id":{made["id"]},"customer_id":"acme-corp"' in row.detail for row in rows)
    gateway.now += DAY
    await meter(gateway, key)
    gateway.settle()
    assert sum(row.config_type == "budget.threshold" for row in gateway.ledger.rows) == 3


async def test_may_i_spend(gateway: Any, key: str) -> None:
    await create(gateway)
    await create(gateway, scope="action", value="chat", limit_cents=5, hard=False)
    await create(gateway, scope="all", value=None, period="total", limit_cents=100)
    await meter(gateway, key)
    shown = await listed(gateway, key, "?amount_cents=0.7")
    assert (shown["fits"], [one["fits"] for one in shown["budgets"]]) == (True, [True, True, True])
    shown = await listed(gateway, key, "?amount_cents=0.700000000001")
    assert (shown["fits"], [one["fits"] for one in shown["budgets"]]) == (False, [False, True, True])
    shown = await listed(gateway, key, "?amount_cents=6&agent_id=a2&action=chat")
    assert (shown["fits"], [one["scope"] for one in shown["budgets"]]) == (True, ["action", "all"])
    assert [one["fits"] for one in shown["budgets"]] == [False, True]
    for wrong in ("amount_cents=-1", "amount_cents=0.0000000000001", "amount_cents=x", "agent_id=", "scope=all"):
        answer = await gateway.call("GET", f"/v1/budgets?{wrong}", None, key)
        assert answer.status == 400 and wrong.split("=")[0] in answer.json["error"]


async def test_a_key_a_model_and_everything_have_budgets(gateway: Any, key: str) -> None:
    gateway_key = max(gateway.context.view.keys)
    other = await gateway.make_key("acme-corp")
    await create(gateway, scope="key", value=str(gateway_key), period="month")
    await create(gateway, scope="model", value="gpt-x", period="total")
    await create(gateway, scope="all", value=None)
    await meter(gateway, key)
    await meter(gateway, other, model="gpt-x")
    shown = (await listed(gateway, key))["budgets"]
    assert [(one["scope"], one["spent_cents"]) for one in shown] == [
        ("key", Decimal("0.5")),
        ("model", Decimal("0.5")),
        ("all", 1),
    ]
    assert (shown[0]["period_start"], shown[0]["period_end"]) == (
        "2026-04-01T00:00:00.000Z",
        "2026-05-01T00:00:00.000Z",
    )
    assert (shown[1]["period_start"], shown[1]["period_end"]) == (None, None)


async def test_a_void_gives_back_to_the_period_of_its_event(gateway: Any, key: str) -> None:
    await create(gateway)
    await create(gateway, period="total")
    first = await metered(gateway, key, EVENT)
    await void(gateway, "events", first["event_id"])
    assert await spent(gateway, key) == [0, 0]
    assert (await void(gateway, "events", first["event_id"])).status == 200
    second = await metered(gateway, key, EVENT)
    gateway.now += DAY
    await metered(gateway, key, EVENT)
    await void(gateway, "events", second["event_id"])
    assert await spent(gateway, key) == [Decimal("0.5"), Decimal("0.5")]


async def test_an_older_event_is_not_given_back_to_a_budget(gateway: Any, key: str) -> None:
    old = await metered(gateway, key, EVENT)
    await create(gateway)
    await void(gateway, "events", old["event_id"])
    assert await spent(gateway, key) == [0]


async def test_a_charge_counts_and_is_never_refused(gateway: Any, key: str) -> None:
    made = await create(gateway, value="legal", limit_cents=10, period="total")
    opened = await gateway.call("POST", "/v1/outcomes", TASK, key)
    assert opened.status == 201
    closed = await gateway.call("POST", "/v1/outcomes/t/resolve", {"success": True}, key)
    assert (closed.status, closed.json["charge_cents"]) == (200, 4900)
    assert await spent(gateway, key) == [4900]
    assert (await meter(gateway, key, agent_id="legal")).json["budget"]["left_cents"] == 0
    gateway.settle()
    assert [row.config_type for row in gateway.ledger.rows if row.actor == "pricer"] == ["budget.exceeded"]
    await void(gateway, "outcomes", opened.json["outcome_id"], REASON)
    assert await spent(gateway, key) == [0] and made["spent_cents"] == 0


async def test_test_and_live_are_apart(gateway: Any, key: str) -> None:
    test_key = await gateway.make_key("acme-corp", test=True)
    await create(gateway, test=True, limit_cents=0)
    assert (await meter(gateway, key)).status == 201
    assert (await meter(gateway, test_key)).status == 402
    assert (await listed(gateway, key))["budgets"] == []
    everything = await gateway.call("GET", f"{PATH}?customer_id=acme-corp", None, ADMIN)
    assert [one["test"] for one in everything.json["budgets"]] == [True]


async def test_a_deleted_budget_refuses_nothing(gateway: Any, key: str) -> None:
    made = await create(gateway, limit_cents=0)
    other = await create(gateway, limit_cents=100)
    where = f"{PATH}/{made['id']}?customer_id=acme-corp"
    deleted = await gateway.call("DELETE", where, None, ADMIN)
    assert (deleted.status, deleted.json) == (200, {"success": True, "deleted_id": made["id"]})
    assert (await meter(gateway, key)).status == 201
    assert [one["id"] for one in (await listed(gateway, key))["budgets"]] == [other["id"]]
    again = await gateway.call("DELETE", where, None, ADMIN)
    assert (again.status, again.json["error"]) == (404, f"no budget {made['id']}")
    assert (await gateway.call("DELETE", f"{PATH}/{other['id']}?customer_id=acme-corp", None, ADMIN)).status == 200
    assert (await listed(gateway, key))["budgets"] == []


async def test_a_repeated_request_makes_one_budget(gateway: Any, key: str) -> None:
    first = await gateway.call("POST", PATH, BUDGET, ADMIN, Idempotency_Key="b1")
    gateway.now += 1000 * DAY
    again = await gateway.call("POST", PATH, {**BUDGET, "idempotency_key": "b1"}, ADMIN)
    assert (first.status, again.status, again.text) == (201, 201, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await gateway.call("POST", PATH, {**BUDGET, "hard": False}, ADMIN, Idempotency_Key="b1")
    assert (other.status, other.json["code"]) == (409, "idempotency_conflict")
    assert len((await listed(gateway, key))["budgets"]) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"customer_id": None}, "customer_id is required"),
        ({"customer_id": "nobody"}, "customer_id must be a customer that exists, unlike 'nobody'"),
        ({"scope": None}, "scope is required"),
        ({"scope": "team"}, "scope must be"),
        ({"period": "week"}, "period must be"),
        ({"period": None}, "period is required"),
        ({"limit_cents": None}, "limit_cents is required"),
        ({"limit_cents": -1}, "limit_cents must not be negative"),
        ({"limit_cents": "0.0000000000001"}, "limit_cents must have at most 12 decimals"),
        ({"limit_cents": 10**12 + 1}, "limit_cents must be at most 1000000000000 cents"),
        ({"limit_cents": "much"}, "limit_cents must be a number of cents"),
        ({"hard": None}, "hard is required"),
        ({"hard": 1}, "hard must be"),
        ({"value": None}, "value is required with scope 'agent'"),
        ({"value": " a"}, "value must not begin or end with whitespace"),
        ({"scope": "all"}, "value must be absent with scope 'all'"),
        ({"scope": "key", "value": "x"}, "value must be the id of an API key"),
        ({"scope": "key", "value": "99"}, "value must be the id of an API key of this customer"),
        ({"limit": 1}, "limit"),
    ],
)
async def test_bad_input_is_refused_by_field(gateway: Any, key: str, wrong: Any, error: str) -> None:
    before = [len(raw) for raw in gateway.log.raw]
    answer = await gateway.call("POST", PATH, {**BUDGET, **wrong}, ADMIN)
    assert answer.status == (404 if wrong.get("customer_id") else 400)
    assert error in answer.json["error"]
    assert [len(raw) for raw in gateway.log.raw] == before


async def test_who_may(gateway: Any, key: str) -> None:
    assert (await gateway.call("POST", PATH, BUDGET, key)).status == 401
    assert (await gateway.call("GET", PATH, None, ADMIN)).json["error"] == "customer_id is required"
    assert (await gateway.call("GET", "/v1/budgets", None, ADMIN)).status == 401
    assert (await gateway.call("GET", "/v1/budgets?customer_id=other", None, key)).status == 403
