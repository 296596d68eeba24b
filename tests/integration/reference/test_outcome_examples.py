"""The outcome examples of the reference documents, as they stand there
(tests/integration/reference/playing.py says what is substituted).

Each form of an example is a customer of its own, since a task can be registered only once.
"""

import json
from decimal import Decimal
from typing import Any

import pytest

from bench.running_stack import wait_until
from tests.integration.reference.open_admin import OpenAdmin
from tests.integration.reference.playing import FUTURE, holds, node, shell

pytestmark = pytest.mark.integration

REGISTERED = json.loads("""{
"task_id": "task_abc123",
"customer_id": "cust_acme",
"agent_id": "agent-legal",
"success_criteria": { "deliverable": "signed_contract" },
"price_on_success_cents": 4900,
"price_on_failure_cents": 0,
"expires_at": "2026-04-30T00:00:00.000Z",
"status": "pending",
"created_at": "2026-04-29T19:27:00.000Z"
}""")
RESOLVED = json.loads("""{
"task_id": "task_abc123",
"status": "succeeded",
"success": true,
"charge_cents": 4900,
"evidence": { "contract_url": "https://docs.example.com/signed/abc123.pdf" },
"resolved_at": "2026-04-29T20:00:01.000Z"
}""")
TIMES = ("expires_at", "created_at", "resolved_at")


def shows(answer: Any, example: Any) -> None:
    """The answer has every field of the example's answer, with its very values; times are other ones."""
    holds(answer, example)
    assert {name: answer[name] for name in example if name not in TIMES} == {
        name: value for name, value in example.items() if name not in TIMES
    }


def run(who: OpenAdmin, how: str, name: str, show: str) -> Any:
    """An example in its curl or its fetch form."""
    return shell(who, f"{name}.sh") if how == "curl" else node(who, f"{name}.mjs", show)[1]


def asked(who: OpenAdmin, path: str) -> Any:
    status, body = who.running.call("GET", path, None, who.key)
    assert status == 200, body
    return body


@pytest.mark.parametrize("how", ["curl", "fetch"])
def test_the_49_dollar_contract(open_admin: OpenAdmin, how: str) -> None:
    """Registered for $49, resolved with the signed contract as evidence, charged once, and read again."""
    who = open_admin.customer(f"cust_acme_{how}")
    registered = run(who, how, "register_outcome", "outcome")
    customer = {"customer_id": f"cust_acme_{how}"}
    criteria = {"success_criteria": {**registered["success_criteria"]}}
    assert criteria["success_criteria"]["deliverable"] == "signed_contract"
    shows(registered, {**REGISTERED, **customer, **criteria})
    assert registered["expires_at"] == FUTURE.replace("Z", ".000Z")
    resolved = run(who, how, "resolve_outcome", "await res.json()")
    proof = {"evidence": resolved["evidence"]}
    assert proof["evidence"].items() >= RESOLVED["evidence"].items()
    shows(resolved, {**RESOLVED, **proof})
    read = asked(who, "/v1/outcomes/task_abc123")
    shows(read, {**REGISTERED, **RESOLVED, **customer, **criteria, **proof})
    wait_until(lambda: asked(who, "/v1/usage?period=7d")["summary"]["charge_count"] == 1, "the charge is in the ledger")
    summary = asked(who, "/v1/usage?period=7d")["summary"]
    assert (summary["charge_cents"], summary["total_cents"], summary["total_events"]) == (4900, 4900, 0)
    (listed,) = asked(who, "/v1/outcomes?status=succeeded")["outcomes"]
    assert listed == read


def test_the_guides_email_is_charged_its_bonus_when_the_reply_comes(open_admin: OpenAdmin) -> None:
    """Pending for 7 days at the base fee; {"outcome": "success", "metadata": …} by outcome_id charges $5, only then."""
    who = open_admin.customer("outreach")
    _, id = node(who, "guide_pending.mjs", "outcome_id")
    wait_until(lambda: asked(who, "/v1/usage?period=7d")["summary"]["total_events"] == 1, "the e-mail is in the ledger")
    before = asked(who, "/v1/usage?period=7d")["summary"]
    assert (before["total_cents"], before["charge_count"], before["pending_cents"]) == (1, 0, 500)
    opened = asked(who, f"/v1/outcomes/{id}")
    assert (opened["status"], opened["charge_cents"]) == ("pending", None)
    _, id = node(who, "guide_pending.mjs guide_resolve.mjs", "outcome_id")
    closed = asked(who, f"/v1/outcomes/{id}")
    assert (closed["status"], closed["charge_cents"]) == ("succeeded", Decimal(500))
    assert closed["evidence"] == {"reply_type": "positive", "meeting_booked": True}
    wait_until(lambda: asked(who, "/v1/usage?period=7d")["summary"]["charge_count"] == 1, "the charge is in the ledger")
    after = asked(who, "/v1/usage?period=7d")["summary"]
    assert (after["total_cents"], after["charge_cents"], after["pending_cents"]) == (502, 500, 500)
