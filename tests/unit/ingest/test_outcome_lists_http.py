"""Lists of outcomes over HTTP: what the ledger in memory has of what the real pricer decided."""

from typing import Any

import pytest

from schemas.limits import DAY
from schemas.objects import iso

TASK = {
    "agent_id": "legal",
    "success_criteria": {"x": 1},
    "price_on_success": 4900,
    "expires_at": "2026-04-30T00:00:00Z",
}
EMAIL = {"agent_id": "outreach", "action": "email.sent", "outcome": "pending", "task_id": "label"}
ADMIN = "the-admin-token"


async def opened(gateway: Any, key: str, *names: str, **more: Any) -> list[Any]:
    """Registered tasks, each a second after the one before."""
    made = []
    for name in names:
        gateway.now += 1000
        answer = await gateway.call("POST", "/v1/outcomes", {**TASK, "task_id": name, **more}, key)
        assert answer.status == 201, answer.text
        made.append(answer.json)
    return made


async def resolve(gateway: Any, key: str, target: str, success: bool) -> Any:
    answer = await gateway.call("POST", f"/v1/outcomes/{target}/resolve", {"success": success}, key)
    assert answer.status == 200, answer.text
    return answer.json


async def listed(gateway: Any, key: str, query: str = "") -> list[Any]:
    answer = await gateway.call("GET", f"/v1/outcomes{query}", None, key)
    assert answer.status == 200, answer.text
    shown: list[Any] = answer.json["outcomes"]
    return shown


async def test_a_list_shows_what_one_outcome_shows(gateway: Any, key: str) -> None:
    """Every field of GET of one, for open and closed outcomes of both ways in, newest first."""
    await opened(gateway, key, "a", "b", "c")
    await resolve(gateway, key, "a", True)
    await resolve(gateway, key, "b", False)
    event = (await gateway.call("POST", "/v1/meter", EMAIL, key)).json
    done = (await gateway.call("POST", "/v1/meter", EMAIL, key)).json
    await resolve(gateway, key, done["outcome_id"], True)
    gateway.settle()
    shown = await listed(gateway, key)
    targets = [done["outcome_id"], event["outcome_id"], "c", "b", "a"]
    reads = [await gateway.call("GET", f"/v1/outcomes/{target}", None, key) for target in targets]
    assert shown == [read.json for read in reads]
    assert [row["status"] for row in shown] == ["succeeded", "pending", "pending", "failed", "succeeded"]


async def test_pages_hold_every_outcome_once(gateway: Any, key: str) -> None:
    """Following next_cursor, with a filter too; a cursor of another list is refused."""
    made = await opened(gateway, key, *(f"t{n}" for n in range(7)))
    for name in ("t1", "t3", "t5"):
        await resolve(gateway, key, name, True)
    gateway.settle()
    for query, wanted in [("", made), ("&status=succeeded", made[1:6:2])]:
        seen, path = [], f"/v1/outcomes?limit=2{query}"
        while path:
            page = (await gateway.call("GET", path, None, key)).json
            seen += [row["outcome_id"] for row in page["outcomes"]]
            path = page["next_cursor"] and f"/v1/outcomes?limit=2{query}&cursor={page['next_cursor']}"
        assert seen == [one["outcome_id"] for one in reversed(wanted)]
    first = (await gateway.call("GET", "/v1/outcomes?limit=1", None, key)).json["next_cursor"]
    assert (await gateway.call("GET", f"/v1/events?cursor={first}", None, key)).status == 400


async def test_filters(gateway: Any, key: str) -> None:
    """By agent, by status and by when it was opened; test outcomes for test keys only; each customer its own."""
    made = await opened(gateway, key, "a", "b")
    await opened(gateway, key, "c", agent_id="other")
    trial, stranger = await gateway.make_key("acme-corp", test=True), await gateway.make_key("stranger")
    await opened(gateway, trial, "d")
    await resolve(gateway, key, "a", False)
    gateway.settle()

    async def names(query: str, secret: str = key) -> list[str]:
        return [row["task_id"] for row in await listed(gateway, secret, query)]

    assert await names("?agent_id=other") == ["c"]
    assert await names("?status=failed") == ["a"]
    assert await names("?status=pending&agent_id=legal") == ["b"]
    assert await names("?status=succeeded") == []
    assert await names(f"?from={made[1]['created_at']}") == ["c", "b"]
    assert await names(f"?to={made[1]['created_at']}") == ["a"]
    assert await names("", trial) == ["d"]
    assert await names("", stranger) == []


async def test_what_is_over_is_expired_in_every_list(gateway: Any, key: str) -> None:
    """Also before anything has closed it: shown as expired without a charge, filtered so, no longer pending money."""
    await opened(gateway, key, "a", price_on_failure=7)
    gateway.settle()
    assert (await gateway.call("GET", "/v1/usage", None, key)).json["summary"]["pending_cents"] == 4900
    gateway.now = 1_777_507_200_000
    (shown,) = await listed(gateway, key, "?status=expired")
    assert (shown["status"], shown["success"], shown["charge_cents"], shown["resolved_at"]) == (
        "expired", False, None, None,
    )  # fmt: skip
    assert await listed(gateway, key, "?status=pending") == []
    summary = (await gateway.call("GET", "/v1/usage", None, key)).json["summary"]
    assert (summary["pending_cents"], summary["charge_count"]) == (0, 0)
    closed = (await gateway.call("GET", "/v1/outcomes/a", None, key)).json
    gateway.settle()
    assert await listed(gateway, key, "?status=expired") == [closed]
    assert closed["charge_cents"] == 7


async def test_usage_counts_charges_and_what_is_pending(gateway: Any, key: str) -> None:
    """Charges under outcome_charge or the event's own action; waived ones cost nothing; rows add up."""
    await opened(gateway, key, "a", "b", "c")
    events = [(await gateway.call("POST", "/v1/meter", EMAIL, key)).json for _ in range(2)]
    await resolve(gateway, key, "a", True)
    await resolve(gateway, key, "b", False)
    await resolve(gateway, key, events[0]["outcome_id"], True)
    late = await gateway.call("POST", "/v1/outcomes/a/resolve", {"success": False}, key)
    assert late.status == 409
    gateway.settle()
    usage = (await gateway.call("GET", "/v1/usage?group_by=agent", None, key)).json
    summary = usage["summary"]
    assert (summary["total_events"], summary["total_cents"]) == (2, 4900 + 500 + 2)
    assert (summary["charge_count"], summary["charge_cents"], summary["pending_cents"]) == (2, 5400, 4900 + 500)
    rows = [(row["action"], row["event_count"], row["charge_count"], row["total_cents"]) for row in usage["by_action"]]
    assert rows == [("outcome_charge", 0, 1, 4900), ("email.sent", 2, 1, 502)]
    for name in ("by_action", "by_agent", "groups"):
        assert sum(row["total_cents"] for row in usage[name]) == summary["total_cents"]


async def test_events_are_meter_events_only(gateway: Any, key: str) -> None:
    """Registrations, charges and refused resolves are no events, by list or id."""
    (shown,) = await opened(gateway, key, "a")
    await resolve(gateway, key, "a", True)
    await gateway.call("POST", "/v1/outcomes/a/resolve", {"success": False}, key)
    await gateway.call("POST", "/v1/outcomes", {**TASK, "task_id": "a"}, key)
    gateway.settle()
    assert sorted(row.kind for row in gateway.ledger.rows if row.customer_id == "acme-corp") == [
        "charge", "registered", "rejected", "rejected",
    ]  # fmt: skip
    assert (await gateway.call("GET", "/v1/events", None, key)).json["events"] == []
    for row in gateway.ledger.rows:
        assert (await gateway.call("GET", f"/v1/events/{row.event_id}", None, key)).status == 404
    assert shown["event_id"] in [row.event_id for row in gateway.ledger.rows]


async def test_what_the_shard_has_forgotten_comes_from_the_ledger(gateway: Any, key: str) -> None:
    """Criteria, evidence and whether it was voided since, weeks later; 503 while the ledger is away."""
    await opened(gateway, key, "a")
    closed = await resolve(gateway, key, "a", True)
    gateway.settle()
    path = f"/api/admin/outcomes/{closed['outcome_id']}/void"
    assert (await gateway.call("POST", path, {"reason": "goodwill"}, ADMIN)).status == 201
    for shard in gateway.log.shards:
        shard.memory.clear()
    gateway.now += 300 * DAY
    read = await gateway.call("GET", "/v1/outcomes/a", None, key)
    assert (read.status, read.json) == (200, {**closed, "voided": True})
    gateway.ledger.available = False
    read = await gateway.call("GET", "/v1/outcomes/a", None, key)
    assert (read.status, read.json["code"]) == (503, "reads_unavailable")
    gateway.ledger.available, gateway.ledger.rows = True, []
    assert (await gateway.call("GET", "/v1/outcomes/a", None, key)).status == 503


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?status=won", "status must be one of pending, succeeded, failed, expired"),
        ("?stat=pending", "did you mean 'status'"),
        ("?limit=0", "limit"),
        ("?from=2026-01-01T00:00:00", "from"),
        ("?from=2027-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("?cursor=x", "cursor"),
        ("?outcome=success", "outcome"),
    ],
)
async def test_a_list_that_is_asked_for_wrongly_is_a_400(gateway: Any, key: str, query: str, named: str) -> None:
    """The parameter is named."""
    answer = await gateway.call("GET", f"/v1/outcomes{query}", None, key)
    assert answer.status == 400 and named in answer.json["error"]


async def test_without_the_ledger_lists_are_503(gateway: Any, key: str) -> None:
    """And one outcome is still read, from its shard."""
    await opened(gateway, key, "a", expires_at=iso(gateway.now + DAY))
    gateway.ledger.available = False
    assert (await gateway.call("GET", "/v1/outcomes", None, key)).status == 503
    assert (await gateway.call("GET", "/v1/outcomes/a", None, key)).status == 200
