"""POST /v1/events/lookup: the charged events of many idempotency keys."""

from typing import Any

import pytest

from schemas.limits import DAY

ADMIN = "the-admin-token"
PATH = "/v1/events/lookup"
EVENT = {"agent_id": "copilot", "action": "completion", "tokens": 2400, "outcome": "success"}


async def lookup(gateway: Any, key: str | None, keys: Any, **more: Any) -> Any:
    gateway.settle()
    return await gateway.call("POST", PATH, {"idempotency_keys": keys, **more}, key)


async def metered(gateway: Any, key: str, name: str, **more: Any) -> int:
    answer = await gateway.call("POST", "/v1/meter", {**EVENT, "idempotency_key": name, **more}, key)
    assert answer.status == 201, answer.text
    return int(answer.json["event_id"])


async def test_events_are_found_as_they_are_listed(gateway: Any, key: str) -> None:
    """Exactly as GET /v1/events shows them, each once, and why a voided one was voided."""
    first = await metered(gateway, key, "a", metadata={"n": 1.50}, timestamp="2026-04-25T00:00:00Z", model="m")
    second = await metered(gateway, key, "b")
    await metered(gateway, key, "c")
    gateway.settle()
    await gateway.call("POST", f"/api/admin/events/{second}/void", {"reason": "a wrong file"}, ADMIN)
    answer = await lookup(gateway, key, ["a", "b", "none", "a"])
    listed = (await gateway.call("GET", "/v1/events", None, key)).json["events"]
    wanted = {event["event_id"]: {**event, "void_reason": None} for event in listed[1:]}
    wanted[second]["void_reason"] = "a wrong file"
    assert answer.status == 200
    found = answer.json["events"]
    assert {event["event_id"]: event for event in found} == wanted and len(found) == 2
    assert (wanted[second]["status"], wanted[first]["status"]) == ("voided", "priced")
    assert '"metadata":{"n": 1.5}' in answer.text


async def test_a_key_whose_window_is_over_has_two_events(gateway: Any, key: str) -> None:
    """Both are there: what was charged is never hidden."""
    first = await metered(gateway, key, "a")
    gateway.now += 36 * DAY
    second = await metered(gateway, key, "a")
    found = (await lookup(gateway, key, ["a"])).json["events"]
    assert {event["event_id"] for event in found} == {first, second} and first != second


async def test_rejected_events_and_outcomes_are_not_found(gateway: Any, key: str) -> None:
    """Only what was charged by a meter event."""
    task = {"task_id": "t", "agent_id": "a", "price_on_success": 5, "expires_at": "2026-04-30T00:00:00Z"}
    await gateway.call("POST", "/v1/outcomes", {**task, "idempotency_key": "o"}, key)
    await metered(gateway, key, "a")
    conflict = await gateway.call("POST", "/v1/meter", {**EVENT, "tokens": 1, "idempotency_key": "a"}, key)
    assert conflict.status == 409
    found = (await lookup(gateway, key, ["a", "o"])).json["events"]
    assert [(event["status"], event["event"]["tokens"]) for event in found] == [("priced", 2400)]


async def test_each_mode_and_customer_has_its_own_keys(gateway: Any, key: str) -> None:
    """The other mode's events and other customers' are unknown."""
    test, other = await gateway.make_key("acme-corp", test=True), await gateway.make_key("other")
    platform = await gateway.make_key("*")
    live_id, test_id = await metered(gateway, key, "a"), await metered(gateway, test, "a")
    for secret, wanted in ((key, {live_id}), (test, {test_id}), (other, set())):
        found = (await lookup(gateway, secret, ["a"])).json["events"]
        assert {event["event_id"] for event in found} == wanted
        assert {event["test"] for event in found} <= {secret == test}
    mine = await lookup(gateway, platform, ["a"], customer_id="acme-corp")
    assert {event["event_id"] for event in mine.json["events"]} == {live_id}
    assert (await lookup(gateway, platform, ["a"])).status == 400
    assert (await lookup(gateway, key, ["a"], customer_id="other")).status == 403


async def test_a_thousand_keys(gateway: Any, key: str) -> None:
    """A batch's worth of keys in one request."""
    events = [{**EVENT, "idempotency_key": f"k{n}"} for n in range(1000)]
    assert (await gateway.call("POST", "/v1/meter/batch", {"events": events}, key)).status == 201
    found = (await lookup(gateway, key, [f"k{n}" for n in range(500, 1500)])).json["events"]
    assert {event["idempotency_key"] for event in found} == {f"k{n}" for n in range(500, 1000)}
    longest = ["é" * 250 + f"{n:06}" for n in range(1000)]
    assert (await lookup(gateway, key, longest)).json == {"events": []}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "idempotency_keys is required"),
        ({"idempotency_keys": None}, "idempotency_keys is required"),
        ({"idempotency_keys": []}, "idempotency_keys is required: a list of 1 to 1000"),
        ({"idempotency_keys": ["a"] * 1001}, "a list of 1 to 1000"),
        ({"idempotency_keys": "a"}, "idempotency_keys must be a list"),
        ({"idempotency_keys": ["a", 5]}, "idempotency_keys[1] must be a string"),
        ({"idempotency_keys": [""]}, "must have 1 to 256 characters"),
        ({"idempotency_keys": ["a", "b\n"]}, "idempotency_keys[1] must not contain control characters"),
        ({"idempotency_keys": ["a"], "limit": 5}, "unknown field 'limit'"),
        ({"idempotency_key": ["a"]}, "did you mean 'idempotency_keys'"),
        (b"", "the body is empty"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Any, key: str, body: Any, says: str) -> None:
    """A 400 that says what and where."""
    answer = await gateway.call("POST", PATH, body, key)
    assert answer.status == 400 and says in answer.json["error"], answer.text


async def test_credentials_come_first_and_the_ledger_may_be_away(gateway: Any, key: str) -> None:
    """401 for a stranger; 503 while there is no ClickHouse; nothing is ever recorded."""
    before = len(gateway.log.values())
    for secret in (None, "rg_unknown", ADMIN):
        assert (await gateway.call("POST", PATH, {}, secret)).status == 401
    there = await gateway.call("GET", PATH, None, key)
    assert (there.status, there.headers["Allow"]) == (405, "POST")
    gateway.ledger.available = False
    answer = await lookup(gateway, key, ["a"])
    assert (answer.status, answer.json["code"]) == (503, "reads_unavailable")
    assert len(gateway.log.values()) == before
