"""Statements over HTTP, from a ledger that the real pricer decided."""

import csv
import io
from decimal import Decimal

import pytest

from schemas.limits import DAY
from tests.unit.ingest.conftest import ADMIN, NOW, Gateway

BODY = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success", "model": "m1"}
PATH = "/v1/statement?month=2026-04"


async def test_a_statement_adds_up_and_stays_what_it_was(gateway: Gateway, key: str) -> None:
    """Usage at both prices of the month, an outcome, and a void with its reference; later entries change nothing."""
    made = [(await gateway.call("POST", "/v1/meter", BODY, key)).json["event_id"] for _ in range(3)]
    price = {"action_type": "completion", "base_rate_cents": 2, "customer_id": "acme-corp"}
    assert (await gateway.call("POST", "/api/admin/pricing", price, ADMIN)).status == 201
    assert (await gateway.call("POST", "/v1/meter", BODY, key)).status == 201
    task = {"task_id": "t", "agent_id": "a", "price_on_success": 50, "expires_at": "2026-04-27T12:00:00Z"}
    outcome = (await gateway.call("POST", "/v1/outcomes", task, key)).json["outcome_id"]
    assert (await gateway.call("POST", f"/v1/outcomes/{outcome}/resolve", {"success": True}, key)).status == 200
    gateway.settle()
    voided = await gateway.call("POST", f"/api/admin/events/{made[0]}/void", {"reason": "by mistake"}, ADMIN)
    assert voided.status == 201
    gateway.settle()
    gateway.now += 10_000
    first = await gateway.call("GET", PATH, key=key)
    assert first.status == 200, first.text
    shown = first.json
    assert (shown["month"], shown["currency"], shown["test"]) == ("2026-04", "usd", False)
    assert shown["as_of"] == "2026-04-26T12:00:05.000Z"
    lines = [(one["kind"], one["action"], one.get("component"), one["amount_cents"]) for one in shown["lines"]]
    assert ("usage", "completion", "event", Decimal("1.5")) in lines
    assert ("usage", "completion", "event", 2) in lines
    assert ("outcome", "outcome_charge", "outcome", 50) in lines
    (void,) = [one for one in shown["lines"] if one["kind"] == "void"]
    assert (void["voided_event_id"], void["reason"], void["amount_cents"]) == (made[0], "by mistake", Decimal("-1.47"))
    assert sum(one["amount_cents"] for one in shown["lines"]) == shown["due_cents"]
    assert shown["subtotal_cents"] + shown["voided_cents"] == shown["due_cents"]
    table = await gateway.call("GET", PATH, key=key, Accept="text/csv")
    assert table.headers["Content-Type"] == "text/csv"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [Decimal(row["amount_cents"]) for row in rows] == [one["amount_cents"] for one in shown["lines"]]
    # what comes later: a void, and an event from before
    gateway.now += DAY
    assert (await gateway.call("POST", f"/api/admin/events/{made[1]}/void", {"reason": "x"}, ADMIN)).status == 201
    late = {**BODY, "timestamp": "2026-04-26T01:00:00Z"}
    assert (await gateway.call("POST", "/v1/meter", late, key)).status == 201
    gateway.settle()
    gateway.now += 10_000
    same = f"&as_of={shown['as_of']}"
    assert (await gateway.call("GET", PATH + same, key=key)).text == first.text
    assert (await gateway.call("GET", f"{PATH}{same}&format=csv", key=key)).text == table.text
    owners = await gateway.call("GET", f"/api/admin/statements?customer_id=acme-corp&month=2026-04{same}", key=ADMIN)
    assert owners.text == first.text
    now = (await gateway.call("GET", PATH, key=key)).json
    assert now["due_cents"] == shown["due_cents"] - Decimal("1.47") + 2


async def test_a_test_key_has_a_statement_of_its_own(gateway: Gateway, key: str) -> None:
    test = await gateway.make_key("acme-corp", test=True)
    assert (await gateway.call("POST", "/v1/meter", BODY, test)).status == 201
    gateway.settle()
    gateway.now += 10_000
    assert (await gateway.call("GET", PATH, key=key)).json["lines"] == []
    shown = (await gateway.call("GET", PATH, key=test)).json
    assert (shown["test"], shown["due_cents"]) == (True, Decimal("1.47"))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("?month=2026-4", "month must be a month from 2000-01 to 2099-12, such as 2026-11"),
        ("?month=2026-05", "month must not be in the future"),
        ("?month=2026-04&as_of=yesterday", "as_of must be an ISO 8601 time such as 2026-04-26T12:00:00Z"),
        ("?month=2026-04&as_of=2026-04-26T12:00:00Z", "as_of must be at least 5 s in the past"),
        ("?month=2026-04&as_of=2026-03-31T23:54:59Z", "as_of must not be before the month"),
        ("?month=2026-04&format=xls", "format must be one of json, csv, pdf, not 'xls'"),
        ("?month=2026-04&months=1", "unknown query parameter 'months'; did you mean 'month'?"),
        ("?month=2026-04&customer_id=other", "customer_id must be the customer of this API key"),
    ],
)
async def test_a_bad_request_names_its_field(gateway: Gateway, key: str, query: str, error: str) -> None:
    answer = await gateway.call("GET", f"/v1/statement{query}", key=key)
    assert (answer.status, answer.json["error"]) == (403 if "customer_id" in query else 400, error)


async def test_the_owner_names_a_customer(gateway: Gateway) -> None:
    for query, status, error in (
        ("month=2026-04", 400, "customer_id is required"),
        ("month=2026-04&customer_id=nobody", 404, "customer_id must be a customer; there is no 'nobody'"),
    ):
        answer = await gateway.call("GET", f"/api/admin/statements?{query}", key=ADMIN)
        assert (answer.status, answer.json["error"]) == (status, error)
    assert (await gateway.call("GET", "/api/admin/statements?month=2026-04")).status == 401


async def test_a_ledger_that_is_behind_gives_no_statement(gateway: Gateway, key: str) -> None:
    """A statement without the last entries would be another one tomorrow."""
    gateway.ledger.settled_until = NOW - 60_000
    answer = await gateway.call("GET", PATH, key=key)
    assert (answer.status, answer.json["code"]) == (503, "reads_unavailable")
    assert answer.json["error"].startswith("as_of is later than what the ledger holds")
    earlier = await gateway.call("GET", f"{PATH}&as_of=2026-04-26T11:59:00Z", key=key)
    assert (earlier.status, earlier.json["lines"]) == (200, [])
