"""Reservations over HTTP: held, settled, released, and refused, decided by the real pricer."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.limits import HOUR
from tests.unit.ingest.test_budgets_http import EVENT, create, listed, meter

ADMIN = "the-admin-token"
PATH = "/v1/reservations"


async def reserve(gateway: Any, key: str, status: int = 201, **body: Any) -> Any:
    answer = await gateway.call("POST", PATH, body, key)
    assert answer.status == status, answer.text
    return answer.json


async def grant(gateway: Any, cents: Any, on_empty: str = "refuse") -> None:
    body = {"customer_id": "acme-corp", "amount_cents": cents, "reason": "prepaid"}
    assert (await gateway.call("POST", "/api/admin/credits", body, ADMIN)).status == 201
    assert (await gateway.call("PATCH", "/api/admin/customers/acme-corp", {"on_empty": on_empty}, ADMIN)).status == 200


async def test_of_two_agents_one_gets_the_last_cent(gateway: Any, key: str) -> None:
    """What is held is neither spent by others nor held twice; settling it fits, and the rest is free again."""
    budget = await create(gateway, scope="all", value=None, limit_cents=1)
    first = await reserve(gateway, key, amount_cents=1)
    assert first == {
        "reservation_id": first["reservation_id"],
        "customer_id": "acme-corp",
        "status": "open",
        "amount_cents": 1,
        "credit_cents": 0,
        "agent_id": None,
        "action": None,
        "model": None,
        "event_id": None,
        "charged_cents": None,
        "expires_at": "2026-04-26T12:10:00.000Z",
        "created_at": "2026-04-26T12:00:00.000Z",
        "closed_at": None,
        "test": False,
    }
    second = await reserve(gateway, key, 402, amount_cents="0.000000000001")
    assert second["error"] == (
        f"budget {budget['id']} (all charges, this day) has 0 of 1 cents left;"
        " this reservation would hold 0.000000000001"
    )
    assert (second["code"], second["budget"]["held_cents"], second["budget"]["left_cents"]) == ("budget_exceeded", 1, 0)
    assert (await meter(gateway, key)).json["code"] == "budget_exceeded"
    shown = await listed(gateway, key, "?amount_cents=0.1")
    assert (shown["fits"], shown["budgets"][0]["held_cents"], shown["budgets"][0]["spent_cents"]) == (False, 1, 0)
    settled = await meter(gateway, key, reservation_id=first["reservation_id"])
    assert (settled.status, settled.json["price"]["total_cents"]) == (201, Decimal("0.5"))
    (left,) = (await listed(gateway, key))["budgets"]
    assert left["left_cents"] == Decimal("0.5") and "held_cents" not in left
    ended = (await gateway.call("GET", f"{PATH}/{first['reservation_id']}", None, key)).json
    assert (ended["status"], ended["event_id"], ended["charged_cents"]) == (
        "settled", settled.json["event_id"], Decimal("0.5"),
    )  # fmt: skip


async def test_an_estimate_holds_what_the_event_would_cost(gateway: Any, key: str) -> None:
    await create(gateway, limit_cents=1)
    held = await reserve(gateway, key, estimate=EVENT, ttl_seconds=60)
    assert (held["amount_cents"], held["agent_id"], held["action"]) == (Decimal("0.5"), "a1", "completion")
    assert (await listed(gateway, key))["budgets"][0]["held_cents"] == Decimal("0.5")
    more = await meter(gateway, key, tokens=2400, outcome="success", reservation_id=held["reservation_id"])
    assert (more.status, more.json["code"]) == (402, "budget_exceeded")  # 1.47 of 1, though 0.5 of it are held
    (budget,) = (await listed(gateway, key))["budgets"]
    assert (budget["held_cents"], budget["spent_cents"]) == (Decimal("0.5"), 0)


async def test_credit_is_held(gateway: Any, key: str) -> None:
    await grant(gateway, 2)
    held = await reserve(gateway, key, amount_cents="1.8")
    assert held["credit_cents"] == Decimal("1.8")
    refused = await meter(gateway, key)
    assert (refused.status, refused.json["code"], refused.json["balance_cents"]) == (
        402, "insufficient_credit", Decimal("0.2"),
    )  # fmt: skip
    balance = (await gateway.call("GET", "/v1/balance", None, key)).json
    assert (balance["balance_cents"], balance["held_cents"]) == (2, Decimal("1.8"))
    settled = await meter(gateway, key, reservation_id=held["reservation_id"])
    assert (settled.status, settled.json["credit_cents"]) == (201, Decimal("0.5"))
    balance = (await gateway.call("GET", "/v1/balance", None, key)).json
    assert balance["balance_cents"] == Decimal("1.5") and "held_cents" not in balance
    refused_hold = await reserve(gateway, key, 402, amount_cents=2)
    assert refused_hold["code"] == "insufficient_credit"


async def test_a_key_reserves_once(gateway: Any, key: str) -> None:
    first = await reserve(gateway, key, amount_cents=1, idempotency_key="k")
    again = await gateway.call("POST", PATH, {"amount_cents": 1, "idempotency_key": "k"}, key)
    assert (again.status, again.json, again.headers["Idempotent-Replayed"]) == (201, first, "true")
    assert (await reserve(gateway, key, 409, amount_cents=2, idempotency_key="k"))["code"] == "idempotency_conflict"
    assert (await meter(gateway, key, idempotency_key="k")).status == 409
    shown = (await gateway.call("GET", PATH, None, key)).json
    assert [one["reservation_id"] for one in shown["reservations"]] == [first["reservation_id"]]


async def test_it_ends_once(gateway: Any, key: str) -> None:
    """Settled twice, settled when released or expired, released when settled: 409, and nothing is charged. A release
    and an event with a key may be repeated."""
    one = (await reserve(gateway, key, amount_cents=1))["reservation_id"]
    first = await meter(gateway, key, reservation_id=one, idempotency_key="e")
    again = await meter(gateway, key, reservation_id=one, idempotency_key="e")
    assert (first.status, again.status, again.text) == (201, 201, first.text)
    twice = await meter(gateway, key, reservation_id=one)
    assert (twice.status, twice.json["code"], twice.json["error"]) == (
        409, "reservation_closed", f"reservation {one} is settled already",
    )  # fmt: skip
    assert (await gateway.call("POST", f"{PATH}/{one}/release", None, key)).status == 409
    two = (await reserve(gateway, key, amount_cents=1))["reservation_id"]
    released = await gateway.call("POST", f"{PATH}/{two}/release", None, key)
    repeated = await gateway.call("POST", f"{PATH}/{two}/release", None, key)
    assert (released.status, released.json["status"], repeated.text) == (200, "released", released.text)
    assert (await meter(gateway, key, reservation_id=two)).status == 409
    three = (await reserve(gateway, key, amount_cents=1, ttl_seconds=60))["reservation_id"]
    gateway.now += HOUR
    late = await meter(gateway, key, reservation_id=three)
    assert (late.status, late.json["error"]) == (409, f"reservation {three} has expired")
    assert (await gateway.call("GET", f"{PATH}/{three}", None, key)).json["status"] == "expired"
    batch = {"events": [{**EVENT, "reservation_id": two}, EVENT]}
    refused = await gateway.call("POST", "/v1/meter/batch", batch, key)
    assert (refused.status, refused.json["errors"][0]["index"]) == (409, 0)


async def test_two_events_of_a_batch_cannot_settle_one(gateway: Any, key: str) -> None:
    one = (await reserve(gateway, key, amount_cents=1))["reservation_id"]
    batch = await gateway.call("POST", "/v1/meter/batch", {"events": [{**EVENT, "reservation_id": one}] * 2}, key)
    assert (batch.status, batch.json["code"]) == (409, "reservation_closed")
    assert (await gateway.call("GET", f"{PATH}/{one}", None, key)).json["status"] == "open"


async def test_someone_elses_does_not_exist(gateway: Any, key: str) -> None:
    """Another customer's, and the other mode's."""
    one = (await reserve(gateway, key, amount_cents=1))["reservation_id"]
    for other in ({"customer_id": "globex"}, {"customer_id": "acme-corp", "test": True}):
        made = (await gateway.call("POST", "/api/admin/api-keys", other, ADMIN)).json["api_key"]
        for answer in (
            await gateway.call("GET", f"{PATH}/{one}", None, made),
            await gateway.call("POST", f"{PATH}/{one}/release", None, made),
            await meter(gateway, made, reservation_id=one),
        ):
            assert (answer.status, answer.json["code"]) == (404, "not_found"), answer.text
    assert (await gateway.call("GET", f"{PATH}/{one}", None, key)).json["status"] == "open"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "amount_cents or estimate is required, and only one of them"),
        ({"amount_cents": 1, "estimate": EVENT}, "amount_cents or estimate is required, and only one of them"),
        ({"amount_cents": -1}, "amount_cents"),
        ({"amount_cents": 1, "ttl_seconds": 0}, "ttl_seconds"),
        ({"amount_cents": 1, "ttl_seconds": 86401}, "ttl_seconds"),
        ({"estimate": EVENT, "agent_id": "a"}, "agent_id must be absent with estimate"),
        ({"estimate": {"agent_id": "a"}}, "estimate.action is required"),
        ({"estimate": {**EVENT, "idempotency_key": "k"}}, "estimate.idempotency_key must be absent"),
        ({"estimate": {**EVENT, "quantities": {"images": 1}}}, "estimate"),
        ({"amount_cents": 1, "agent_id": "\u0000"}, "agent_id"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Any, key: str, body: Any, error: str) -> None:
    before = sum(map(len, gateway.log.raw))
    answer = await gateway.call("POST", PATH, body, key)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert answer.json["error"].startswith(error) and sum(map(len, gateway.log.raw)) == before


async def test_a_malformed_id_is_refused(gateway: Any, key: str) -> None:
    refused = await meter(gateway, key, reservation_id="7")
    assert (refused.status, refused.json["error"]) == (
        400, "reservation_id must be the id of a reservation, such as rs_65536",
    )  # fmt: skip
    assert (await meter(gateway, key, reservation_id="rs_7")).status == 404
    assert (await gateway.call("GET", f"{PATH}/7", None, key)).status == 404
