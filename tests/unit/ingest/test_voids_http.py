"""Voids over HTTP: copied from the ledger in memory, decided by the real pricer, once."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.commands import CloseMonth, Void, decode, encode
from schemas.ids import event_id
from schemas.limits import DAY

ADMIN = "the-admin-token"
EVENT = {"agent_id": "copilot", "action": "completion", "tokens_in": 2000, "tokens_out": 400, "outcome": "success"}
EMAIL = {"agent_id": "outreach", "action": "email.sent", "outcome": "pending"}
TASK = {"task_id": "t", "agent_id": "legal", "price_on_success": 4900, "expires_at": "2026-04-30T00:00:00Z"}
REASON = {"reason": "a wrong invoice"}


async def void(gateway: Any, what: str, id: object, body: Any = REASON, key: str | None = ADMIN) -> Any:
    return await gateway.call("POST", f"/api/admin/{what}/{id}/void", body, key)


async def metered(gateway: Any, key: str, body: Any = EVENT, **more: Any) -> Any:
    answer = await gateway.call("POST", "/v1/meter", {**body, **more}, key)
    assert answer.status == 201, answer.text
    gateway.settle()
    return answer.json


async def summary(gateway: Any, key: str) -> Any:
    gateway.settle()
    return (await gateway.call("GET", "/v1/usage", None, key)).json["summary"]


async def test_an_event_is_taken_back_once(gateway: Any, key: str) -> None:
    """201 with a negative total, again 200 with the same; the event says voided and the totals are as before."""
    before = await summary(gateway, key)
    made = await metered(gateway, key, metadata={"n": 1.5}, model="m", idempotency_key="k")
    answer = await void(gateway, "events", made["event_id"])
    shown = answer.json
    assert answer.status == 201
    assert shown == {
        "event_id": shown["event_id"],
        "voided_event_id": made["event_id"],
        "outcome_id": None,
        "customer_id": "acme-corp",
        "agent_id": "copilot",
        "action": "completion",
        "total_cents": Decimal("-1.47"),
        "reason": "a wrong invoice",
        "created_at": "2026-04-26T12:00:00.000Z",
        "test": False,
    }
    again = await void(gateway, "events", made["event_id"], {"reason": "another"})
    assert (again.status, again.text) == (200, answer.text)
    gateway.settle()
    event = (await gateway.call("GET", f"/v1/events/{made['event_id']}", None, key)).json
    assert (event["status"], event["price"]) == ("voided", made["price"])
    assert (await gateway.call("GET", "/v1/events", None, key)).json["events"][0]["status"] == "voided"
    assert await summary(gateway, key) == before
    assert (await gateway.call("GET", f"/v1/events/{shown['event_id']}", None, key)).status == 404


async def test_the_command_repeats_the_entry(gateway: Any, key: str) -> None:
    """Amounts, price record, tokens, labels and event time, as the ledger has them."""
    when = "2026-04-25T01:02:03.004Z"
    made = await metered(gateway, key, metadata={"n": 1}, model="m", task_id="l", timestamp=when, idempotency_key="k")
    await void(gateway, "events", made["event_id"])
    command = decode(gateway.log.values()[-1])
    assert isinstance(command, Void)
    event = command.event
    assert (event.tokens, event.tokens_input, event.tokens_output, event.outcome) == (2400, 2000, 400, "success")
    assert (event.model, event.task_id, event.idempotency_key, bytes(event.metadata)) == ("m", "l", "k", b'{"n": 1}')
    assert event.event_time == 1_777_078_923_004
    assert (command.base, command.token, command.bonus, command.total) == ("0.5", "0.72", "0.25", "1.47")
    assert command.price is not None and command.price.action_type == "completion" and command.price.is_default
    assert command.price.rates.token == "0.0003"
    assert (command.charge, command.actor, command.reason) == (False, "admin", "a wrong invoice")


@pytest.mark.parametrize("way", ["outcomes", "events"])
async def test_a_charge_is_taken_back_once(gateway: Any, key: str, way: str) -> None:
    """By its outcome or its own id; the outcome says voided, the totals are as before."""
    before = await summary(gateway, key)
    assert (await gateway.call("POST", "/v1/outcomes", TASK, key)).status == 201
    closed = (await gateway.call("POST", "/v1/outcomes/t/resolve", {"success": True}, key)).json
    assert (await summary(gateway, key))["charge_cents"] == 4900
    charge = next(row.event_id for row in gateway.ledger.rows if row.kind == "charge")
    target = closed["outcome_id"] if way == "outcomes" else charge
    answer = await void(gateway, way, target)
    shown = answer.json
    assert (answer.status, shown["total_cents"], shown["outcome_id"]) == (201, -4900, closed["outcome_id"])
    assert (shown["voided_event_id"], shown["action"]) == (charge, "outcome_charge")
    for other in ((way, target), ("outcomes", closed["outcome_id"]), ("events", charge)):
        again = await void(gateway, *other)
        assert (again.status, again.text) == (200, answer.text)
    assert await summary(gateway, key) == before
    read = (await gateway.call("GET", "/v1/outcomes/t", None, key)).json
    assert read == {**closed, "voided": True}
    assert (await gateway.call("GET", "/v1/outcomes", None, key)).json["outcomes"] == [read]


async def test_a_voided_event_leaves_no_bonus_behind(gateway: Any, key: str) -> None:
    """Its outcome stays open, adds nothing to what is pending, and a success charges nothing."""
    made = await metered(gateway, key, EMAIL)
    assert (await summary(gateway, key))["pending_cents"] == 500
    assert (await void(gateway, "events", made["event_id"])).status == 201
    after = await summary(gateway, key)
    assert (after["total_cents"], after["pending_cents"], after["total_events"]) == (0, 0, 0)
    (shown,) = (await gateway.call("GET", "/v1/outcomes", None, key)).json["outcomes"]
    assert (shown["status"], shown["voided"]) == ("pending", True)
    closed = await gateway.call("POST", f"/v1/outcomes/{made['outcome_id']}/resolve", {"success": True}, key)
    assert (closed.json["status"], closed.json["charge_cents"], closed.json["voided"]) == ("succeeded", 0, True)
    assert (await summary(gateway, key))["charge_count"] == 0
    refused = await void(gateway, "outcomes", made["outcome_id"])
    assert (refused.status, refused.json["code"]) == (409, "nothing_charged")


async def test_what_charged_nothing_cannot_be_taken_back(gateway: Any, key: str) -> None:
    """Open, failed for nothing, registered or refused: 409 nothing_charged, nothing recorded."""
    opened = (await gateway.call("POST", "/v1/outcomes", TASK, key)).json
    gateway.settle()
    open_one = await void(gateway, "outcomes", opened["outcome_id"])
    assert (open_one.status, open_one.json["outcome"]["status"]) == (409, "pending")
    await gateway.call("POST", "/v1/outcomes/t/resolve", {"success": False}, key)
    await gateway.call("POST", "/v1/outcomes/t/resolve", {"success": True}, key)
    gateway.settle()
    before = len(gateway.log.values())
    waived = await void(gateway, "outcomes", opened["outcome_id"])
    assert (waived.status, waived.json["code"], waived.json["status"]) == (409, "nothing_charged", "failed")
    kinds = {row.kind: row.event_id for row in gateway.ledger.rows if row.customer_id == "acme-corp"}
    assert set(kinds) == {"registered", "waived", "rejected"}
    for id in kinds.values():
        refused = await void(gateway, "events", id)
        assert (refused.status, refused.json["code"]) == (409, "nothing_charged")
    # the one read that asked the shard
    assert len(gateway.log.values()) == before + 1


async def test_an_adjustment_cannot_be_taken_back(gateway: Any, key: str) -> None:
    """409 not_voidable names the month; alone and among others nothing of it is recorded."""
    price = {"action_type": "completion", "base_rate_cents": 1, "minimum_cents": 10}
    assert (await gateway.call("POST", "/api/admin/pricing", price, ADMIN)).status == 201
    made = await metered(gateway, key)
    gateway.now += 31 * DAY
    await gateway.log.append(b"acme-corp", encode(CloseMonth("acme-corp", "2026-04", "completion")))
    gateway.settle()
    adjustment = next(row for row in gateway.ledger.rows if row.kind == "adjustment")
    before = len(gateway.log.values())
    refused = await void(gateway, "events", adjustment.event_id)
    assert (refused.status, refused.json["code"]) == (409, "not_voidable")
    assert refused.json["error"] == (
        f"event {adjustment.event_id} is the adjustment of 2026-04, and an adjustment cannot be voided"
    )
    assert len(gateway.log.values()) == before
    body = {"event_ids": [adjustment.event_id, made["event_id"]], "reason": "a wrong file"}
    many = (await gateway.call("POST", "/api/admin/events/void", body, ADMIN)).json
    assert [one["voided_event_id"] for one in many["voids"]] == [made["event_id"]]
    assert many["missing"] == [adjustment.event_id]


async def test_what_the_ledger_lacks_is_on_its_way_or_unknown(gateway: Any, key: str) -> None:
    """503 with Retry-After while the entry may still come, 404 when it cannot."""
    first = await metered(gateway, key)
    made = (await gateway.call("POST", "/v1/meter", EVENT, key)).json["event_id"]
    gateway.ledger.log = {
        shard: ends._replace(raw=len(gateway.log.raw[shard]), entries=ends.entries + 5)
        for shard, ends in gateway.ledger.log.items()
    }
    waiting = await void(gateway, "events", made)
    assert (waiting.status, waiting.headers["Retry-After"]) == (503, "1")
    assert (await void(gateway, "outcomes", f"oc_{made}")).status == 503
    gateway.settle()
    assert (await void(gateway, "events", made)).status == 201
    place = first["event_id"] >> 10 & 63
    for id in (event_id(place, 10**6), event_id(9, 1), first["event_id"] + 1, "x", "007", "-1", "9" * 30):
        assert (await void(gateway, "events", id)).status == 404, id
    for id in (f"oc_{first['event_id']}", "oc_007", "task", "oc_", f"oc_{event_id(place, 10**6)}"):
        assert (await void(gateway, "outcomes", id)).status == 404, id


async def test_a_charge_that_the_ledger_does_not_have_yet_is_503(gateway: Any, key: str) -> None:
    """The shard knows of the charge before the ledger: not a wrong 409."""
    opened = (await gateway.call("POST", "/v1/outcomes", TASK, key)).json
    gateway.settle()
    await gateway.call("POST", "/v1/outcomes/t/resolve", {"success": True}, key)
    waiting = await void(gateway, "outcomes", opened["outcome_id"])
    assert (waiting.status, waiting.headers["Retry-After"]) == (503, "1")
    gateway.settle()
    assert (await void(gateway, "outcomes", opened["outcome_id"])).status == 201


async def test_without_the_pricer_or_the_ledger_a_void_is_503(gateway: Any, key: str) -> None:
    """Unknown: it may be recorded, and repeating it is safe."""
    made = await metered(gateway, key)
    gateway.log.pause()
    answer = await void(gateway, "events", made["event_id"])
    assert (answer.status, answer.json["code"]) == (503, "unknown")
    gateway.log.resume()
    again = await void(gateway, "events", made["event_id"])
    assert (again.status, again.json["total_cents"]) == (200, Decimal("-1.47"))
    gateway.ledger.available = False
    assert (await void(gateway, "events", made["event_id"])).json["code"] == "reads_unavailable"


async def test_voids_are_in_the_audit_trail(gateway: Any, key: str) -> None:
    """With the reason and who did it, as they were answered."""
    made = await metered(gateway, key)
    gateway.now += DAY
    shown = (await void(gateway, "events", made["event_id"])).json
    gateway.settle()
    page = (await gateway.call("GET", "/api/admin/audit?limit=1", None, ADMIN)).json
    assert page["entries"] == [
        {
            "id": shown["event_id"],
            "type": "meter.voided",
            "actor": "admin",
            "created_at": shown["created_at"],
            "detail": shown,
        }
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "reason is required"),
        ({"reason": None}, "reason is required"),
        ({"reason": ""}, "reason must have 1 to 1000"),
        ({"reason": "x" * 1001}, "reason must have 1 to 1000"),
        ({"reason": "a\nb"}, "reason must not contain control"),
        ({"reason": 5}, "reason must be a string"),
        ({"reson": "x"}, "did you mean 'reason'"),
        (b"[]", "JSON object"),
    ],
)
async def test_a_void_without_a_reason_is_a_400(gateway: Any, key: str, body: Any, says: str) -> None:
    """Named, and nothing recorded."""
    made = await metered(gateway, key)
    before = len(gateway.log.values())
    for what, id in (("events", made["event_id"]), ("outcomes", "oc_1")):
        answer = await void(gateway, what, id, body)
        assert answer.status == 400 and says in answer.json["error"]
    assert len(gateway.log.values()) == before


async def test_only_the_administration_may_void(gateway: Any, key: str) -> None:
    """A customer's key, or none: 401."""
    made = await metered(gateway, key)
    for secret in (key, None, "rg_x"):
        assert (await void(gateway, "events", made["event_id"], REASON, secret)).status == 401
        assert (await void(gateway, "outcomes", "oc_1", REASON, secret)).status == 401
