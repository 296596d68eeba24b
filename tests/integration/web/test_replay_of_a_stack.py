"""A replay on a whole `rev up`: real events, the prices in force of the gateway, the response and the page."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.web.owner import Owner

pytestmark = pytest.mark.integration
PATH = "/api/admin/pricing/replay"
CUSTOMER = "replay-corp"
INSIDE = f"customer_id = '{CUSTOMER}' AND NOT test"


@pytest.fixture
async def metered(owner: Owner, eventually: Callable[..., Awaitable[None]]) -> Owner:
    """Events with and without quantities, one of another customer, all in the ledger."""
    price = {"action_type": "draw", "base_rate_cents": 2, "rates": {"images": 1.5}, "customer_id": CUSTOMER}
    assert (await owner.call("POST", "/api/admin/pricing", price))[0] == 201
    key, other = await owner.key(CUSTOMER, customer_name="Replay <b>"), await owner.key("replay-other")
    bodies: list[dict[str, Any]] = [
        {"action": "completion", "tokens": 2401, "outcome": "success"},
        {"action": "completion", "tokens": 7, "model": "m1"},
        {"action": "draw", "quantities": {"images": 3}},
        {"action": "draw", "tokens_input": 5, "tokens_output": 9},
    ]
    ids = []
    for sender, body in [*((key, body) for body in bodies), (other, {"action": "completion"})]:
        status, made = await owner.call("POST", "/v1/meter", {"agent_id": "a", **body}, sender)
        assert status == 201, made
        ids.append(str(made["event_id"]))

    async def there() -> bool:
        (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE event_id IN ({', '.join(ids)})")
        return int(row["n"]) == len(ids)

    await eventually(there)
    return owner


async def replay(owner: Owner, changes: list[dict[str, Any]], **more: Any) -> Any:
    status, found = await owner.call("POST", PATH, {"changes": changes, "customer_id": CUSTOMER, **more})
    assert status == 200, found
    return found


async def test_a_replay_equals_an_independent_query(metered: Owner) -> None:
    """Unchanged prices give the ledger; changed ones give what the arithmetic of an analyst gives."""
    (row,) = await metered.sql(f"SELECT sum(total_cents) AS cents, count() AS n FROM rev.entries WHERE {INSIDE}")
    _, prices = await metered.call("GET", "/api/admin/pricing?limit=1000")
    kept = ("action_type", "base_rate_cents", "token_rate_cents", "outcome_bonus_cents", "rates", "customer_id")
    same = [
        {name: str(one[name]) if "cents" in name else one[name] for name in kept if name in one}
        for one in prices["configs"]
        if one["customer_id"] in (None, CUSTOMER)
    ]
    for changes in ([], json.loads(json.dumps(same, default=str))):
        whole = (await replay(metered, changes))["total"]
        assert Decimal(whole["actual_cents"]) == Decimal(whole["replayed_cents"]) == Decimal(row["cents"])
        assert whole["events"] == int(row["n"])
    changes = [
        {"action_type": "completion", "base_rate_cents": "0.123456789012", "token_rate_cents": 0.0007},
        {"action_type": "completion", "model": "m1", "base_rate_cents": 4},
        {"action_type": "draw", "base_rate_cents": 1},
    ]
    found = await replay(metered, changes)
    (expected,) = await metered.sql(
        "SELECT sum(multiIf(action != 'completion', total_cents, model = 'm1', toDecimal128(4, 12), "
        "toDecimal128('0.123456789012', 12) + tokens * toDecimal128('0.0007', 12))) AS cents "
        f"FROM rev.entries WHERE {INSIDE}"
    )
    assert Decimal(found["total"]["replayed_cents"]) == Decimal(expected["cents"])
    # the customer's own price for draw wins over the changed default
    assert {one["action"]: one["repriced"] for one in found["actions"]} == {"completion": 2, "draw": 0}
    (customer,) = found["customers"]
    assert customer["difference_cents"] == found["total"]["difference_cents"]
    own = await replay(metered, [{"action_type": "draw", "customer_id": CUSTOMER}])
    assert own["refused"] == [
        {"action": "draw", "reason": "no_rate", "quantity": "images", "events": 1, "actual_cents": Decimal("6.5")}
    ]


async def _holds(owner: Owner, customer: str, kind: str, count: int) -> bool:
    """True if the ledger has so many entries of a customer."""
    where = f"customer_id = '{customer}' AND kind = '{kind}'"
    (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE {where}")
    return int(row["n"]) == count


async def test_steps_are_replayed_as_they_were_charged(
    owner: Owner, eventually: Callable[..., Awaitable[None]]
) -> None:
    """The counts of the shard, with a billing anchor and a voided event, and those of the query give the same cents."""
    customer = "replay-steps"
    key = await owner.key(customer)
    assert (await owner.call("PUT", f"/api/admin/customers/{customer}/billing-anchor", {"billing_anchor": 7}))[0] == 200
    tiers = {
        "event": [{"up_to": 2, "rate": 0}, {"up_to": None, "rate": "1.25"}],
        "input": [{"up_to": 1000, "rate": 3, "per": 100}, {"up_to": None, "rate": "0.001"}],
    }
    price = {"action_type": "*", "customer_id": customer, "token_rate_cents": "0.0003", "tiers": tiers}
    assert (await owner.call("POST", "/api/admin/pricing", price))[0] == 201
    body = {"agent_id": "a", "action": "stepped", "tokens_input": 700, "tokens_output": 11}
    made = [await owner.call("POST", "/v1/meter", body, key) for _ in range(5)]
    assert [status for status, _ in made] == [201] * 5
    await eventually(lambda: _holds(owner, customer, "event", 5))
    voided = made[0][1]["event_id"]
    assert (await owner.call("POST", f"/api/admin/events/{voided}/void", {"reason": "a test"}))[0] == 201
    await eventually(lambda: _holds(owner, customer, "void", 1))
    status, found = await owner.call("POST", PATH, {"changes": [price], "customer_id": customer})
    charged = sum(Decimal(str(shown["price"]["total_cents"])) for _, shown in made[1:])
    assert status == 200, found
    assert (found["total"]["repriced"], found["total"]["refused"]) == (4, 0)
    assert Decimal(found["total"]["replayed_cents"]) == Decimal(found["total"]["actual_cents"]) == charged
    # 400 tokens of the second event are beyond the first step, and the third one is the first that is not free
    assert charged == Decimal("9") + Decimal("0.4") + 3 * (Decimal("1.25") + Decimal("0.7")) + 4 * 11 * Decimal(
        "0.0003"
    )


async def test_who_may_replay(metered: Owner) -> None:
    key = await metered.key("replay-key")
    assert (await metered.call("POST", PATH, {"changes": []}, key))[0] == 401
    status, refused = await metered.call("POST", PATH, {"changes": [{"action_type": "a", "base_rate_cents": "x"}]})
    assert status == 400 and refused["error"].startswith("changes[0].base_rate_cents must")


async def test_the_page_shows_what_the_call_returns(metered: Owner) -> None:
    cookie = await metered.sign_in()
    changes = [{"action_type": "completion", "base_rate_cents": "3"}]
    found = await replay(metered, changes)
    path = f"/replay?customer_id={CUSTOMER}&changes={quote(json.dumps(changes))}"
    answer = await metered.page("GET", path, Cookie=cookie)
    text = await answer.text()
    assert answer.status == 200
    for name in ("actual_cents", "replayed_cents", "difference_cents"):
        assert f'title="{found["total"][name]} cents"' in text
    assert "Replay &lt;b&gt;" in text and "<b>" not in text
