"""The billing anchor over HTTP: set by an administrator, and steps that count by it."""

from typing import Any

import pytest

from schemas.limits import DAY
from tests.unit.ingest.test_voids_http import EVENT, metered

ADMIN = "the-admin-token"
PATH = "/api/admin/customers/acme-corp/billing-anchor"


async def call(gateway: Any, method: str = "GET", body: Any = None, path: str = PATH, key: str | None = ADMIN) -> Any:
    return await gateway.call(method, path, body, key)


async def test_an_anchor_is_set_and_shown(gateway: Any, key: str) -> None:
    """It holds from the end of the running month; a repeat answers the same and leaves no second entry."""
    month = {"period_start": "2026-04-01T00:00:00.000Z", "period_end": "2026-05-01T00:00:00.000Z"}
    assert (await call(gateway)).json == {"customer_id": "acme-corp", "billing_anchor": 1, **month}
    for _ in range(2):
        answer = await call(gateway, "PUT", {"billing_anchor": 10})
        assert answer.status == 200, answer.text
        assert answer.json == {
            "customer_id": "acme-corp",
            "billing_anchor": 10,
            "effective_at": "2026-05-01T00:00:00.000Z",
            **month,
        }
    assert (await call(gateway)).json == answer.json
    gateway.settle()
    audit = (await gateway.call("GET", "/api/admin/audit", None, ADMIN)).json["entries"]
    assert [one["type"] for one in audit].count("billing_anchor.updated") == 1
    gateway.now += 20 * DAY
    assert (await call(gateway)).json["period_start"] == "2026-05-10T00:00:00.000Z"


async def test_steps_begin_again_on_the_billing_anchor(gateway: Any, key: str) -> None:
    steps = [{"up_to": 1, "rate": 7}, {"up_to": None, "rate": 3}]
    price = {"action_type": "completion", "tiers": {"event": steps}}
    assert (await gateway.call("POST", "/api/admin/pricing", price, ADMIN)).status == 201
    assert (await call(gateway, "PUT", {"billing_anchor": 10})).status == 200
    costs = []
    for days in (0, 0, 5, 0, 9, 0, 22, 0):  # 26 April, 1 May, 10 May, 1 June
        gateway.now += days * DAY
        costs.append((await metered(gateway, key, EVENT))["price"]["config"]["base_rate_cents"])
    assert costs == [7, 3, 7, 3, 7, 3, 3, 3]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "billing_anchor is required"),
        ({"billing_anchor": 0}, "billing_anchor must be"),
        ({"billing_anchor": 32}, "billing_anchor must be"),
        ({"billing_anchor": 1.5}, "billing_anchor must be"),
        ({"billing_anchor": "1"}, "billing_anchor must be"),
        ({"day": 1}, "unknown field 'day'"),
    ],
)
async def test_bad_input_names_the_field_and_records_nothing(gateway: Any, key: str, body: Any, error: str) -> None:
    before = len(gateway.log.values())
    answer = await call(gateway, "PUT", body)
    assert (answer.status, error in answer.json["error"]) == (400, True), answer.text
    assert len(gateway.log.values()) == before


async def test_who_may_set_it_and_for_whom(gateway: Any, key: str) -> None:
    before = len(gateway.log.values())
    assert (await call(gateway, "PUT", {"billing_anchor": 5}, key=key)).status == 401
    unknown = PATH.replace("acme-corp", "nobody")
    assert (await call(gateway, "PUT", {"billing_anchor": 5}, unknown)).status == 404
    assert (await call(gateway, path=unknown)).status == 404
    assert len(gateway.log.values()) == before
