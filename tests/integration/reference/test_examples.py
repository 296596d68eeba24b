"""The metering, usage, pricing and admin examples of the reference documents, as they stand there
(tests/integration/reference/playing.py says what is substituted).
"""

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
import requests

from bench.running_stack import wait_until
from tests.integration.reference.open_admin import OpenAdmin
from tests.integration.reference.playing import holds, node, python, raw, shell

pytestmark = pytest.mark.integration

METER_ANSWER = json.loads(
    """{
"event_id": 42,
"price": {
"total_cents": 1.47,
"breakdown": { "base_rate_cents": 0.5, "token_charge_cents": 0.72, "outcome_bonus_cents": 0.25 },
"config": { "action_type": "completion", "base_rate_cents": 0.5, "token_rate_cents": 0.0003,
            "outcome_bonus_cents": 0.25, "is_default": true }
},
"event": { "customer_id": "acme-corp", "agent_id": "agent-copilot", "action": "completion", "tokens": 2400,
           "outcome": "success" },
"created_at": "2026-04-26T12:00:00.000Z"
}""",
    parse_float=Decimal,
)

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DEFAULT_CHAT = {
    "action_type": "chat",
    "base_rate_cents": Decimal("0.1"),
    "token_rate_cents": Decimal("0.0001"),
    "outcome_bonus_cents": Decimal("0.05"),
}


def test_meter_with_curl_answers_the_documented_price(open_admin: OpenAdmin) -> None:
    """POST /v1/meter: 1.47 cents, made of 0.5, 0.72 and 0.25."""
    answer = shell(open_admin, "meter.sh")
    holds(answer, METER_ANSWER)
    assert answer["price"] == METER_ANSWER["price"]
    assert METER_ANSWER["event"].items() <= answer["event"].items()
    assert MOMENT.fullmatch(answer["created_at"])


def test_the_landing_pages_request_is_answered_as_it_says(open_admin: OpenAdmin) -> None:
    """The same event, the same 1.47 cents."""
    status, answer = raw(open_admin, "landing_meter.txt")
    assert (status, answer["price"]) == (201, METER_ANSWER["price"])
    assert isinstance(answer["event_id"], int) and MOMENT.fullmatch(answer["created_at"])


def test_meter_with_fetch_prints_the_documented_price(open_admin: OpenAdmin) -> None:
    """The example's own console.log prints 1.47."""
    out, _ = node(open_admin, "meter.mjs", "data")
    assert out.splitlines()[0] == "1.47"


def test_guide_email_sent_with_curl(open_admin: OpenAdmin) -> None:
    """The guide's email.sent with success: 1 cent and the 5 dollar bonus."""
    answer = shell(open_admin, "guide_meter.sh")
    assert answer["price_charged"] == Decimal("5.01")
    assert answer["event"]["tokens"] == 1540


def test_guide_email_sent_with_fetch_and_requests(open_admin: OpenAdmin) -> None:
    """The guide's Node.js and Python programs print what was charged."""
    out, _ = node(open_admin, "guide_meter.mjs", "outcome_id")
    assert out.splitlines()[0] == "Charged: 5.01"
    assert python(open_admin, "guide_meter.txt").strip() == "Charged: $5.01"


@pytest.mark.parametrize(("name", "charged"), [("guide_per_token.mjs", "0.0129"), ("guide_per_call.mjs", "0.05")])
def test_guide_pricing_models(open_admin: OpenAdmin, name: str, charged: str) -> None:
    """Per token: 4,300 tokens at 0.0003 cents; per call: 5 cents whatever the tokens."""
    _, value = node(open_admin, name, "price_charged")
    assert Decimal(value) == Decimal(charged)


def test_guide_hybrid_with_requests(open_admin: OpenAdmin) -> None:
    """lead.qualified: 0.01 + 3,450 tokens x 0.0000001 + 5.00 dollars."""
    assert python(open_admin, "guide_hybrid.txt").strip() == "Total charged: $5.010345"


def test_guide_pending_opens_an_outcome(open_admin: OpenAdmin) -> None:
    """outcome: pending is charged the base alone and gives an outcome_id."""
    _, value = node(open_admin, "guide_pending.mjs", "outcome_id")
    assert re.fullmatch(r"oc_\d+", value)


USAGE_ANSWER = {
    "customer_id": "acme-corp",
    "period": "7d",
    "summary": {
        "total_events": 1284,
        "total_cents": Decimal("4523.12"),
        "total_dollars": Decimal("45.23"),
        "total_tokens": 892400,
        "unique_agents": 3,
    },
    "by_action": [{"action": "completion", "event_count": 800, "total_cents": Decimal("3200.50")}],
}


@pytest.mark.parametrize("run", ["shell", "node"])
def test_usage(open_admin: OpenAdmin, run: str) -> None:
    """GET /v1/usage?period=7d has the documented fields once an event is in the ledger."""
    shell(open_admin, "meter.sh")

    def ask() -> Any:
        return shell(open_admin, "usage.sh") if run == "shell" else node(open_admin, "usage.mjs", "usage")[1]

    wait_until(lambda: ask()["summary"]["total_events"] > 0, "the event is counted")
    answer = ask()
    holds(answer, USAGE_ANSWER)
    assert answer["period"] == "7d" and answer["customer_id"] == "acme-corp"
    summary = answer["summary"]
    assert sum(row["total_cents"] for row in answer["by_action"]) == summary["total_cents"]
    assert sum(row["event_count"] for row in answer["by_action"]) == summary["total_events"]
    assert summary["total_dollars"] == (summary["total_cents"] / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


@pytest.mark.parametrize("run", ["shell", "node"])
def test_pricing(open_admin: OpenAdmin, run: str) -> None:
    """GET /v1/pricing lists the effective rate of each action."""
    answer = shell(open_admin, "pricing.sh") if run == "shell" else node(open_admin, "pricing.mjs", "pricing")[1]
    chat = next(row for row in answer["configs"] if row["action_type"] == "chat")
    assert answer["customer_id"] == "acme-corp"
    assert chat == {**DEFAULT_CHAT, "is_custom": False}


def test_admin_keys_without_a_header(open_admin: OpenAdmin) -> None:
    """Create, list masked, revoke by id, as the reference has it, the revoked key being 1."""
    created = shell(open_admin, "create_key.sh")
    assert created["customer_id"] == "acme-corp" and created["customer_name"] == "Acme Corp"
    assert created["api_key"].startswith("rg_") and isinstance(created["id"], int)
    assert MOMENT.fullmatch(created["created_at"])
    listed = shell(open_admin, "list_keys.sh")["keys"]
    row = next(key for key in listed if key["id"] == created["id"])
    assert row["is_active"] is True and row["customer_name"] == "Acme Corp"
    assert re.fullmatch(r"rg_\w{4}\.\.\.\w{4}", row["api_key_masked"])
    assert created["api_key"] not in json.dumps(listed, default=str)
    assert shell(open_admin, "revoke_key.sh") == {"success": True}
    assert next(key for key in shell(open_admin, "list_keys.sh")["keys"] if key["id"] == 1)["is_active"] is False


def test_admin_pricing_without_a_header(open_admin: OpenAdmin) -> None:
    """Create a customer's price and list the active ones with the defaults."""
    created = shell(open_admin, "set_price.sh")
    expected = {
        "customer_id": "acme-corp",
        "action_type": "completion",
        "base_rate_cents": Decimal("0.75"),
        "token_rate_cents": Decimal("0.0004"),
        "outcome_bonus_cents": Decimal("0.3"),
        "is_active": True,
    }
    assert expected.items() <= created.items() and isinstance(created["id"], int)
    assert MOMENT.fullmatch(created["created_at"])
    configs = shell(open_admin, "list_prices.sh")["configs"]
    listed = next(row for row in configs if row["id"] == created["id"])
    assert expected.items() <= listed.items()
    assert all(row["is_active"] is True for row in configs)
    default = next(row for row in configs if row["action_type"] == "chat" and row["customer_id"] is None)
    assert default.items() >= DEFAULT_CHAT.items()
    removed = requests.delete(f"{open_admin.url}/api/admin/pricing/{created['id']}", timeout=30)
    assert removed.status_code == 200, "the other examples are priced by the defaults again"
