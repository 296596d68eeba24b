"""Outcomes over HTTP: registered, resolved, read and refused, decided by the real pricer in memory."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from schemas.commands import Register, Resolve, decode
from schemas.ids import event_id
from schemas.limits import DAY
from schemas.objects import iso
from streams.errors import AppendUnknown, NotRecorded

TASK = {
    "task_id": "task_abc123",
    "agent_id": "agent-legal",
    "success_criteria": {"deliverable": "signed_contract"},
    "price_on_success": 4900,
    "price_on_failure": 0,
    "expires_at": "2026-04-30T00:00:00Z",
}
EMAIL = {"agent_id": "outreach", "action": "email.sent", "tokens": 1780, "outcome": "pending"}
AT = "2026-04-26T12:00:00.000Z"


def task(**more: Any) -> dict[str, Any]:
    return {**TASK, **more}


async def registered(gateway: Any, key: str, **more: Any) -> Any:
    """A task that was registered, as it was answered."""
    answer = await gateway.call("POST", "/v1/outcomes", task(**more), key)
    assert answer.status == 201, answer.text
    return answer.json


async def resolved(gateway: Any, key: str, target: str, body: Any = None, **headers: str) -> Any:
    path = f"/v1/outcomes/{quote(target, safe='')}/resolve"
    return await gateway.call("POST", path, body or {"success": True}, key, **headers)


async def test_the_documented_contract(gateway: Any, key: str) -> None:
    """The reference's $49 task: pending, then succeeded with its charge and evidence, then shown so."""
    shown = await registered(gateway, key)
    opened = {
        "task_id": "task_abc123",
        "customer_id": "acme-corp",
        "agent_id": "agent-legal",
        "success_criteria": {"deliverable": "signed_contract"},
        "price_on_success_cents": 4900,
        "price_on_failure_cents": 0,
        "on_expiry": "failure",
        "expires_at": "2026-04-30T00:00:00.000Z",
        "status": "pending",
        "created_at": AT,
        "charge_cents": None,
        "resolved_at": None,
    }
    assert shown == shown | opened
    gateway.now += 60_000
    evidence = {"contract_url": "https://docs.example.com/signed/abc123.pdf"}
    answer = await resolved(gateway, key, "task_abc123", {"success": True, "evidence": evidence})
    closed = {
        "task_id": "task_abc123",
        "outcome_id": shown["outcome_id"],
        "status": "succeeded",
        "success": True,
        "charge_cents": 4900,
        "evidence": evidence,
        "resolved_at": "2026-04-26T12:01:00.000Z",
    }
    assert (answer.status, answer.json) == (200, shown | closed)
    for id in ("task_abc123", shown["outcome_id"]):
        read = await gateway.call("GET", f"/v1/outcomes/{id}", None, key)
        assert (read.status, read.text) == (200, answer.text)


async def test_a_pending_event_charges_its_bonus_only_when_resolved(gateway: Any, key: str) -> None:
    """The guides' e-mail: a base fee at once, five dollars by {"outcome": "success", "metadata": …}."""
    sent = await gateway.call("POST", "/v1/meter", EMAIL, key)
    assert sent.json["price_charged"] == Decimal("0.01")
    id = sent.json["outcome_id"]
    body = {"outcome": "success", "metadata": {"reply_type": "positive", "meeting_booked": True}}
    answer = await resolved(gateway, key, id, body)
    assert answer.status == 200
    shown = answer.json
    assert (shown["outcome_id"], shown["task_id"], shown["event_id"]) == (id, None, sent.json["event_id"])
    assert (shown["charge_cents"], shown["evidence"]) == (500, body["metadata"])


async def test_a_failure_costs_what_it_was_registered_with(gateway: Any, key: str) -> None:
    """Either form; prices of 12 decimals are exact."""
    for form in ({"success": False}, {"outcome": "failure"}):
        shown = await registered(gateway, key, task_id=str(form), price_on_failure="0.000000000001")
        answer = await resolved(gateway, key, shown["outcome_id"], form)
        assert (answer.json["status"], answer.json["success"]) == ("failed", False)
        assert '"charge_cents":0.000000000001,' in answer.text


async def test_the_command_holds_everything(gateway: Any, key: str) -> None:
    """Normalized: times in ms, canonical prices, objects as they were sent, the window stamped in."""
    body = json.dumps(task(price_on_success=1.50, on_expiry="success", idempotency_key="k")).encode()
    body = body.replace(b'"success_criteria": {', b'"success_criteria":  { "n": 1.50,')
    assert (await gateway.call("POST", "/v1/outcomes", body, key)).status == 201
    command = decode(gateway.log.values()[-1])
    assert isinstance(command, Register)
    assert bytes(command.success_criteria) == b'{ "n": 1.50,"deliverable": "signed_contract"}'
    assert (command.price_on_success, command.price_on_failure, command.on_expiry) == ("1.5", "0", "success")
    assert (command.expires_at, command.idempotency_window) == (1_777_507_200_000, 35 * DAY)
    assert (command.idempotency_key, command.test, command.api_key_id) == ("k", False, 1)
    await resolved(gateway, key, "task_abc123", b'{"success":true,"evidence": {"x":1.0}}', Idempotency_Key="r")
    close = decode(gateway.log.values()[-1])
    assert isinstance(close, Resolve)
    assert (close.target, close.success, close.idempotency_key) == ("task_abc123", True, "r")
    assert bytes(close.evidence) == b'{"x":1.0}'


async def test_a_retry_is_answered_with_the_first_answer(gateway: Any, key: str) -> None:
    """The same verdict again: 200 and the same bytes; with a key it is marked as replayed, also after the expiry."""
    await registered(gateway, key)
    first = await resolved(gateway, key, "task_abc123", {"success": True}, Idempotency_Key="k")
    gateway.now += 30 * DAY
    again = await resolved(gateway, key, "task_abc123", {"success": True})
    keyed = await resolved(gateway, key, "task_abc123", {"outcome": "success"}, Idempotency_Key="k")
    assert [(answer.status, answer.text) for answer in (again, keyed)] == [(200, first.text)] * 2
    assert keyed.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert sum(b'"kind":"charge"' in entry for entry in gateway.log.entries) == 1


async def test_a_registration_is_repeated_by_its_key(gateway: Any, key: str) -> None:
    """In header or body, the first answer again; with another body 409."""
    first = await gateway.call("POST", "/v1/outcomes", task(idempotency_key="k"), key)
    again = await gateway.call("POST", "/v1/outcomes", TASK, key, Idempotency_Key="k")
    assert (again.status, again.text) == (first.status, first.text) == (201, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await gateway.call("POST", "/v1/outcomes", task(agent_id="b"), key, Idempotency_Key="k")
    assert (other.status, other.json["code"]) == (409, "idempotency_conflict")
    differ = await gateway.call("POST", "/v1/outcomes", task(idempotency_key="a"), key, Idempotency_Key="b")
    assert differ.status == 400 and "must be equal" in differ.json["error"]


async def test_a_repeat_after_its_expiry_is_answered_with_the_first_answer(gateway: Any, key: str) -> None:
    """A key is honoured for its whole window, of a registration and of a pending event; a new
    one whose time is over is refused by the pricer, one without a key by the gateway."""
    soon = {"expires_at": "2026-04-26T12:00:01Z"}
    first = await registered(gateway, key, idempotency_key="r", **soon)
    event = {**EMAIL, **soon, "idempotency_key": "e"}
    metered = await gateway.call("POST", "/v1/meter", event, key)
    gateway.now += DAY
    again = await gateway.call("POST", "/v1/outcomes", task(idempotency_key="r", **soon), key)
    assert (again.status, again.json, again.headers["Idempotent-Replayed"]) == (201, first, "true")
    again = await gateway.call("POST", "/v1/meter", event, key)
    assert (again.status, again.json["event_id"]) == (201, metered.json["event_id"])
    appended = sum(map(len, gateway.log.raw))
    assert (await gateway.call("POST", "/v1/outcomes", task(task_id="t2", **soon), key)).status == 400
    assert sum(map(len, gateway.log.raw)) == appended
    late = await gateway.call("POST", "/v1/outcomes", task(task_id="t2", idempotency_key="new", **soon), key)
    assert (late.status, late.json["error"]) == (400, "expires_at must be in the future")


async def test_a_conflict_tells_where_the_outcome_stands(gateway: Any, key: str) -> None:
    """A task that exists, the other verdict, a verdict that comes late: 409 with id, status and all that is known."""
    shown = await registered(gateway, key)
    twice = await gateway.call("POST", "/v1/outcomes", TASK, key)
    await resolved(gateway, key, "task_abc123")
    other = await resolved(gateway, key, "task_abc123", {"success": False})
    late = await registered(gateway, key, task_id="late", expires_at="2026-04-26T12:00:01Z")
    gateway.now += 1000
    over = await resolved(gateway, key, "late")
    for answer, id, status in [
        (twice, shown["outcome_id"], "pending"),
        (other, shown["outcome_id"], "succeeded"),
        (over, late["outcome_id"], "expired"),
    ]:
        assert answer.status == 409, answer.text
        body = answer.json
        assert (body["outcome_id"], body["status"]) == (id, status)
        assert (body["outcome"]["outcome_id"], body["outcome"]["status"]) == (id, status)
        assert body["error"] and body["code"] and body["request_id"]
    assert other.json["outcome"]["charge_cents"] == 4900


async def test_an_outcome_is_expired_from_its_time_on(gateway: Any, key: str) -> None:
    """GET closes it by accepted time, with the price of on_expiry."""
    shown = await registered(gateway, key, price_on_failure=7)
    await registered(gateway, key, task_id="kept", on_expiry="success")
    gateway.now = 1_777_507_200_000
    read = await gateway.call("GET", f"/v1/outcomes/{shown['outcome_id']}", None, key)
    assert (read.status, read.json["status"], read.json["success"], read.json["charge_cents"]) == (
        200, "expired", False, 7,
    )  # fmt: skip
    kept = await gateway.call("GET", "/v1/outcomes/kept", None, key)
    assert (kept.json["status"], kept.json["charge_cents"]) == ("expired", 4900)


NAMES = [
    "a/b",
    "a b",
    "naïve ☃ 🤖",
    "100%",
    "%2F",
    "a+b",
    "{id}",
    "a?b#c",
    "a;b=1",
    "...",
    "resolve",
    "x" * 256,
    "a\\b",
    "x\u3000y",
    "a\u200db",
    "\ud7fc",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_task_of_any_name_is_found_by_it(gateway: Any, key: str, name: str) -> None:
    """Percent-encoded in the path, also resolved, and where a 202 points to."""
    shown = await registered(gateway, key, task_id=name)
    path = f"/v1/outcomes/{quote(name, safe='')}"
    assert (await gateway.call("GET", path, None, key)).json == shown
    accepted = await resolved(gateway, key, name, {"success": True}, Prefer="respond-async")
    assert accepted.status == 202 and accepted.headers["Location"] == path
    assert accepted.json == {
        "task_id": name,
        "outcome_id": None,
        "success": True,
        "test": False,
        "status": "accepted",
    }
    read = await gateway.call("GET", path, None, key)
    assert (read.json["status"], read.json["task_id"]) == ("succeeded", name)


@pytest.mark.parametrize("id", ["oc_1", "oc_x", "nobody", "%00", "x" * 257, "a%0Ab", "%ff"])
async def test_an_unknown_outcome_is_404(gateway: Any, key: str, id: str) -> None:
    """Read or resolved; what nobody can be called is not even asked for."""
    assert (await gateway.call("GET", f"/v1/outcomes/{id}", None, key)).status == 404
    assert (await gateway.call("POST", f"/v1/outcomes/{id}/resolve", {"success": True}, key)).status == 404


async def test_another_customers_outcome_is_404_and_its_id_403(gateway: Any, key: str) -> None:
    """Nothing of it is told, nothing is charged; a platform key names the customer."""
    shown = await registered(gateway, key)
    stranger, platform = await gateway.make_key("other"), await gateway.make_key("*")
    for target in (shown["outcome_id"], "task_abc123"):
        assert (await gateway.call("GET", f"/v1/outcomes/{target}", None, stranger)).status == 404
        assert (await resolved(gateway, stranger, target)).status == 404
    named = "?customer_id=acme-corp"
    assert (await gateway.call("GET", f"/v1/outcomes/task_abc123{named}", None, stranger)).status == 403
    refused = await gateway.call("POST", "/v1/outcomes", task(customer_id="acme-corp"), stranger)
    assert refused.status == 403
    assert (
        await resolved(gateway, stranger, "task_abc123", {"success": True, "customer_id": "acme-corp"})
    ).status == 403
    assert (await gateway.call("GET", "/v1/outcomes/task_abc123", None, platform)).status == 400
    assert (await gateway.call("GET", f"/v1/outcomes/task_abc123{named}", None, platform)).json == shown
    answer = await resolved(gateway, platform, "task_abc123", {"success": True, "customer_id": "acme-corp"})
    assert answer.json["status"] == "succeeded"
    accepted = await gateway.call("POST", f"/v1/outcomes{named}", task(task_id="p"), platform, Prefer="respond-async")
    assert accepted.headers["Location"] == f"/v1/outcomes/{accepted.json['outcome_id']}{named}"
    assert (await gateway.call("GET", accepted.headers["Location"], None, platform)).json["task_id"] == "p"


async def test_without_the_pricer_writes_are_accepted_and_reads_are_503(gateway: Any, key: str) -> None:
    """202 with the outcome's id and Location; GET 503; when the pricer is back everything counts."""
    gateway.log.pause()
    accepted = await gateway.call("POST", "/v1/outcomes", TASK, key)
    assert accepted.status == 202
    shown = accepted.json
    assert shown == {
        "task_id": "task_abc123",
        "outcome_id": shown["outcome_id"],
        "customer_id": "acme-corp",
        "agent_id": "agent-legal",
        "expires_at": "2026-04-30T00:00:00.000Z",
        "created_at": AT,
        "test": False,
        "status": "accepted",
    }
    place = next(shard for shard in range(4) if any(record.key == b"acme-corp" for record in gateway.log.raw[shard]))
    assert shown["outcome_id"] == f"oc_{event_id(place, len(gateway.log.raw[place]) - 1)}"
    verdict = await resolved(gateway, key, shown["outcome_id"])
    assert verdict.status == 202 and verdict.json["outcome_id"] == shown["outcome_id"]
    path = accepted.headers["Location"]
    read = await gateway.call("GET", path, None, key)
    assert (read.status, read.json["code"], read.headers["Retry-After"]) == (503, "reads_unavailable", "1")
    gateway.log.resume()
    assert path == f"/v1/outcomes/{shown['outcome_id']}"
    assert (await gateway.call("GET", path, None, key)).json["status"] == "succeeded"


async def test_a_read_is_503_when_the_log_or_the_answers_are_away(gateway: Any, key: str) -> None:
    """Never a wrong 404, and nothing is appended that nobody would hear the answer of."""
    await registered(gateway, key)
    before = len(gateway.log.values())
    gateway.log.replies.ready = False
    assert (await gateway.call("GET", "/v1/outcomes/task_abc123", None, key)).status == 503
    assert len(gateway.log.values()) == before
    gateway.log.replies.ready, gateway.free = True, 5
    gateway.reserve.check()
    assert (await gateway.call("GET", "/v1/outcomes/task_abc123", None, key)).json["code"] == "reads_unavailable"
    gateway.free = 10**12
    gateway.reserve.check()
    for error in (NotRecorded("no"), AppendUnknown("late")):
        gateway.log.error = error
        read = await gateway.call("GET", "/v1/outcomes/task_abc123", None, key)
        assert (read.status, read.json["code"]) == (503, "reads_unavailable")


async def test_a_lagging_shard_is_not_asked_and_its_writes_are_not_waited_for(gateway: Any, key: str) -> None:
    """Lag over 1 s: a read is 503 without an append, a write 202 at once; over 10 s a write is 429."""
    gateway.log.pause()
    for n in range(25):
        gateway.monotonic += 0.4
        answer = await gateway.call("POST", "/v1/outcomes", task(task_id=str(n)), key, Prefer="respond-async")
        assert answer.status == 202
        if n == 10:
            before = len(gateway.log.values())
            assert (await gateway.call("GET", "/v1/outcomes/0", None, key)).status == 503
            assert len(gateway.log.values()) == before
            assert (await resolved(gateway, key, "0")).status == 202
    gateway.monotonic += 0.45
    refused = await resolved(gateway, key, "1")
    assert (refused.status, refused.json["code"]) == (429, "too_many_requests")


@pytest.mark.parametrize(("error", "code"), [(NotRecorded("no"), "not_recorded"), (AppendUnknown("late"), "unknown")])
async def test_an_append_that_fails_says_whether_it_may_be_recorded(
    gateway: Any, key: str, error: Exception, code: str
) -> None:
    """503 with Retry-After and one of the two codes, for both writes."""
    gateway.log.error = error
    for answer in (await gateway.call("POST", "/v1/outcomes", TASK, key), await resolved(gateway, key, "task_abc123")):
        assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, code, "1")


async def test_a_test_keys_outcomes_are_test_outcomes(gateway: Any, key: str) -> None:
    """And nobody else's: a live key neither finds nor resolves them."""
    trial = await gateway.make_key("acme-corp", test=True)
    assert (await registered(gateway, trial))["test"] is True
    assert (await resolved(gateway, key, "task_abc123")).status == 404
    assert (await resolved(gateway, trial, "task_abc123")).json["test"] is True


async def test_times_and_prices_at_their_bounds_are_taken(gateway: Any, key: str) -> None:
    """One millisecond ahead and 100 years; nothing and a thousand million cents."""
    soon, far = iso(gateway.now + 1), iso(gateway.now + 36500 * DAY)
    await registered(gateway, key, task_id="soon", expires_at=soon, price_on_success=0)
    shown = await registered(gateway, key, task_id="far", expires_at=far, price_on_success=10**9)
    assert (shown["price_on_success_cents"], shown["expires_at"]) == (10**9, far)
