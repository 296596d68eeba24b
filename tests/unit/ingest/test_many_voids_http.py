"""POST /api/admin/events/void: many entries taken back at once, each as one is."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from ingest.outcomes import void_batches
from schemas.commands import Void, decode
from schemas.ids import event_id

ADMIN = "the-admin-token"
PATH = "/api/admin/events/void"
EVENT = {"agent_id": "copilot", "action": "completion", "tokens": 2400, "outcome": "success"}
EMAIL = {"agent_id": "outreach", "action": "email.sent", "outcome": "pending"}
TASK = {"task_id": "t", "agent_id": "legal", "price_on_success": 4900, "expires_at": "2026-04-30T00:00:00Z"}
REASON = "a wrong file"
CENTS = Decimal("1.47")


async def void(gateway: Any, ids: Any, reason: Any = REASON, key: str | None = ADMIN) -> Any:
    return await gateway.call("POST", PATH, {"event_ids": ids, "reason": reason}, key)


async def metered(gateway: Any, key: str, *events: Any) -> list[Any]:
    answer = await gateway.call("POST", "/v1/meter/batch", {"events": list(events)}, key)
    assert answer.status == 201, answer.text
    gateway.settle()
    return list(answer.json["results"])


async def resolve(gateway: Any, key: str, outcome: str, success: bool = True) -> None:
    answer = await gateway.call("POST", f"/v1/outcomes/{outcome}/resolve", {"success": success}, key)
    assert answer.status == 200, answer.text


async def usage(gateway: Any, key: str) -> Any:
    gateway.settle()
    summary = (await gateway.call("GET", "/v1/usage", None, key)).json["summary"]
    return summary["total_events"], summary["total_cents"], summary["pending_cents"]


def charge_of(gateway: Any, outcome: str) -> int:
    gateway.settle()
    return next(row.event_id for row in gateway.ledger.rows if row.kind == "charge" and row.outcome_id == outcome)


def voids_in(gateway: Any) -> int:
    return sum(isinstance(decode(value), Void) for value in gateway.log.values())


async def test_many_events_are_taken_back_once(gateway: Any, key: str) -> None:
    """Each with a void of its own, in the order of the request; again the same voids, and nothing more taken back."""
    before = await usage(gateway, key)
    ids = [one["event_id"] for one in await metered(gateway, key, *[EVENT] * 300)]
    answer = await void(gateway, [*ids, ids[5]])
    assert answer.status == 200, answer.text
    assert [one["voided_event_id"] for one in answer.json["voids"]] == ids
    assert {(one["total_cents"], one["already"], one["test"]) for one in answer.json["voids"]} == {
        (-CENTS, False, False)
    }
    assert (answer.json["missing"], answer.json["total_cents"]) == ([], -300 * CENTS)
    assert await usage(gateway, key) == before
    again = await void(gateway, ids, "another")
    assert again.json["voids"] == [{**one, "already": True} for one in answer.json["voids"]]
    assert (again.json["missing"], again.json["total_cents"]) == ([], 0)
    assert await usage(gateway, key) == before
    one = await gateway.call("POST", f"/api/admin/events/{ids[0]}/void", {"reason": "x"}, ADMIN)
    assert (one.status, one.json["event_id"]) == (200, answer.json["voids"][0]["event_id"])
    assert one.json["reason"] == REASON


async def test_some_are_voided_already(gateway: Any, key: str) -> None:
    """They are listed as such, and are no part of what this request took back."""
    first, second = [one["event_id"] for one in await metered(gateway, key, EVENT, EVENT)]
    await gateway.call("POST", f"/api/admin/events/{first}/void", {"reason": "x"}, ADMIN)
    answer = (await void(gateway, [first, second])).json
    assert [one["already"] for one in answer["voids"]] == [True, False]
    assert answer["total_cents"] == -CENTS


async def test_the_charge_of_an_event_goes_with_it(gateway: Any, key: str) -> None:
    """Of an event whose outcome has charged, the charge is taken back too, and listed; of one that is open or
    ended for nothing there is nothing more, and a later success charges nothing."""
    before = await usage(gateway, key)
    made = await metered(gateway, key, EMAIL, EMAIL, EMAIL, EVENT)
    ids, outcomes = [one["event_id"] for one in made], [one.get("outcome_id") for one in made]
    await resolve(gateway, key, outcomes[0])
    await resolve(gateway, key, outcomes[1], success=False)
    charge = charge_of(gateway, outcomes[0])
    answer = await void(gateway, ids)
    assert answer.status == 200, answer.text
    assert [one["voided_event_id"] for one in answer.json["voids"]] == [*ids, charge]
    assert (answer.json["voids"][-1]["total_cents"], answer.json["missing"]) == (-500, [])
    assert answer.json["total_cents"] == -3 - 500 - CENTS
    await resolve(gateway, key, outcomes[2])
    assert await usage(gateway, key) == before
    again = (await void(gateway, ids)).json
    assert [one["already"] for one in again["voids"]] == [True] * 5 and again["total_cents"] == 0


async def test_a_charge_named_by_its_own_id(gateway: Any, key: str) -> None:
    """Alone, or beside its event, is taken back once."""
    made = await metered(gateway, key, EMAIL, EMAIL)
    for one in made:
        await resolve(gateway, key, one["outcome_id"])
    charges = [charge_of(gateway, one["outcome_id"]) for one in made]
    alone = (await void(gateway, charges[:1])).json
    assert ([one["voided_event_id"] for one in alone["voids"]], alone["total_cents"]) == (charges[:1], -500)
    both = (await void(gateway, [charges[1], made[1]["event_id"]])).json
    assert [one["voided_event_id"] for one in both["voids"]] == [charges[1], made[1]["event_id"]]
    assert both["total_cents"] == -501


async def test_what_charged_nothing_or_is_unknown_is_missing(gateway: Any, key: str) -> None:
    """Named in the order of the request; the others are taken back."""
    opened = (await gateway.call("POST", "/v1/outcomes", TASK, key)).json
    await resolve(gateway, key, "t", success=False)
    (made,) = await metered(gateway, key, EVENT)
    waived = next(row.event_id for row in gateway.ledger.rows if row.kind == "waived")
    place = made["event_id"] >> 10 & 63
    void_id = (await void(gateway, [made["event_id"]])).json["voids"][0]["event_id"]
    gateway.settle()
    strange = [opened["event_id"], waived, event_id(place, 10**6), event_id(9, 1), 2**53, 2**63 - 1, void_id]
    answer = await void(gateway, [*strange, made["event_id"]])
    assert answer.status == 200, answer.text
    assert answer.json["missing"] == strange
    assert [one["voided_event_id"] for one in answer.json["voids"]] == [made["event_id"]]


async def test_events_of_several_customers_and_modes(gateway: Any, key: str) -> None:
    """The administration has no mode: each is voided where it is."""
    test, other = await gateway.make_key("acme-corp", test=True), await gateway.make_key("other")
    made = [(await metered(gateway, secret, EMAIL))[0] for secret in (key, test, other)]
    for secret, one in zip((key, test, other), made, strict=True):
        await resolve(gateway, secret, one["outcome_id"])
    gateway.settle()
    answer = (await void(gateway, [one["event_id"] for one in made])).json
    assert [one["test"] for one in answer["voids"]] == [False, True, False, False, True, False]
    assert answer["total_cents"] == -3 * 501
    for secret in (key, test, other):
        assert (await usage(gateway, secret))[:2] == (0, 0)


async def test_what_is_on_its_way_is_503_and_nothing_is_voided(gateway: Any, key: str) -> None:
    """As of a single void; the request is repeated as it was."""
    (first,) = await metered(gateway, key, EVENT)
    late = (await gateway.call("POST", "/v1/meter", EVENT, key)).json["event_id"]
    gateway.ledger.log = {
        shard: ends._replace(raw=len(gateway.log.raw[shard]), entries=ends.entries + 5)
        for shard, ends in gateway.ledger.log.items()
    }
    waiting = await void(gateway, [first["event_id"], late])
    assert (waiting.status, waiting.headers["Retry-After"], voids_in(gateway)) == (503, "1", 0)
    gateway.settle()
    assert (await void(gateway, [first["event_id"], late])).json["total_cents"] == -2 * CENTS


async def test_a_charge_that_the_ledger_does_not_have_yet_is_503(gateway: Any, key: str) -> None:
    """The shard knows of it, so it is not forgotten; the repeat takes it back."""
    (made,) = await metered(gateway, key, EMAIL)
    await resolve(gateway, key, made["outcome_id"])
    waiting = await void(gateway, [made["event_id"]])
    assert (waiting.status, waiting.json["code"]) == (503, "reads_unavailable")
    gateway.settle()
    again = (await void(gateway, [made["event_id"]])).json
    assert [(one["total_cents"], one["already"]) for one in again["voids"]] == [(-1, True), (-500, False)]
    assert again["total_cents"] == -500


async def test_a_request_that_is_cut_off_is_repeated(gateway: Any, key: str, eventually: Any) -> None:
    """Nothing is voided twice, whoever was waiting."""
    before = await usage(gateway, key)
    ids = [one["event_id"] for one in await metered(gateway, key, *[EVENT] * 300)]
    gateway.log.pause()
    unknown = await void(gateway, ids)
    assert (unknown.status, unknown.json["code"]) == (503, "unknown")
    assert 0 < voids_in(gateway) <= 2 * void_batches.IN_FLIGHT
    cut = asyncio.create_task(void(gateway, ids))
    await eventually(lambda: gateway.log.replies.waiting)
    cut.cancel()
    gateway.log.resume()
    one, two = await asyncio.gather(void(gateway, ids), void(gateway, ids[::-1]))
    assert {v["event_id"] for v in one.json["voids"]} == {v["event_id"] for v in two.json["voids"]}
    gateway.settle()
    assert sum(row.kind == "void" for row in gateway.ledger.rows) == 300
    assert await usage(gateway, key) == before


async def test_at_most_so_many_wait_at_once(gateway: Any, key: str, eventually: Any) -> None:
    """A thousand ids are no thousand commands at once."""
    ids = [one["event_id"] for one in await metered(gateway, key, *[EVENT] * 300)]
    gateway.log.pause()
    asking = asyncio.create_task(void(gateway, ids))
    await eventually(lambda: len(gateway.log.replies.waiting) == void_batches.IN_FLIGHT)
    assert voids_in(gateway) == void_batches.IN_FLIGHT
    gateway.log.resume()
    answer = await asking
    if answer.status == 503:  # a slow machine has let them time out; a repeat voids each once
        answer = await void(gateway, ids)
    assert len(answer.json["voids"]) == 300


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"reason": "x"}, "event_ids is required"),
        ({"event_ids": [], "reason": "x"}, "event_ids is required: a list of 1 to 1000"),
        ({"event_ids": [1] * 1001, "reason": "x"}, "a list of 1 to 1000"),
        ({"event_ids": 5, "reason": "x"}, "event_ids must be a list"),
        ({"event_ids": ["5"], "reason": "x"}, "event_ids[0] must be an integer"),
        ({"event_ids": [1, -1], "reason": "x"}, "event_ids[1] must be at least 0"),
        ({"event_ids": [1.5], "reason": "x"}, "event_ids[0] must be an integer"),
        ({"event_ids": [1]}, "reason is required"),
        ({"event_ids": [1], "reason": ""}, "reason must have 1 to 1000"),
        ({"event_ids": [1], "reason": "a\nb"}, "reason must not contain control"),
        ({"ids": [1], "reason": "x"}, "unknown field 'ids'"),
        (b"[]", "JSON object"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Any, body: Any, says: str) -> None:
    """A 400 that says what, and nothing recorded."""
    before = len(gateway.log.values())
    answer = await gateway.call("POST", PATH, body, ADMIN)
    assert answer.status == 400 and says in answer.json["error"], answer.text
    assert len(gateway.log.values()) == before


async def test_only_the_administration_may_void(gateway: Any, key: str) -> None:
    """A customer's key, or none: 401. Without the ledger: 503."""
    (made,) = await metered(gateway, key, EVENT)
    for secret in (key, None, "rg_x"):
        assert (await void(gateway, [made["event_id"]], REASON, secret)).status == 401
    gateway.ledger.available = False
    assert (await void(gateway, [made["event_id"]])).json["code"] == "reads_unavailable"
    assert voids_in(gateway) == 0
