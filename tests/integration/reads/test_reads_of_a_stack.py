"""The reads of a whole `rev up`: what was metered is found again, and adds up."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from schemas.ids import event_id

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


class Api:
    """JSON calls to a stack, numbers with a point as Decimal."""

    def __init__(self, session: aiohttp.ClientSession, run: dict[str, Any]) -> None:
        self.session, self.url, self.admin = session, str(run["http"]), str(run["admin_token"])

    async def call(self, method: str, path: str, key: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer."""
        given = {"Authorization": f"Bearer {key}", **headers}
        async with self.session.request(method, self.url + path, json=body, headers=given) as answer:
            return answer.status, json.loads(await answer.text(), parse_float=Decimal)

    async def key(self, customer: str) -> str:
        """A new key of a customer."""
        status, made = await self.call("POST", "/api/admin/api-keys", self.admin, {"customer_id": customer})
        assert status == 201
        return str(made["api_key"])


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    """The API of the running stack."""
    async with aiohttp.ClientSession() as session:
        yield Api(session, stack)


async def test_what_was_metered_is_found_and_adds_up(api: Api, eventually: Eventually) -> None:
    """Events answered with a price are shown with the same answer, listed newest first, and summed exactly."""
    key = await api.key("reads-acme")
    body = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success", "metadata": {"n": 1}}
    made = [(await api.call("POST", "/v1/meter", key, {**body, "idempotency_key": f"k{n}"}))[1] for n in range(3)]

    async def all_there() -> bool:
        _, page = await api.call("GET", "/v1/events", key)
        return len(page["events"]) == 3

    await eventually(all_there)
    _, page = await api.call("GET", "/v1/events", key)
    assert [shown["event_id"] for shown in page["events"]] == [one["event_id"] for one in reversed(made)]
    for one in made:
        status, shown = await api.call("GET", f"/v1/events/{one['event_id']}", key)
        assert (status, shown["status"], shown["metadata"]) == (200, "priced", {"n": 1})
        assert {name: shown[name] for name in one} == one
    status, usage = await api.call("GET", "/v1/usage?period=24h&group_by=hour", key)
    assert (status, usage["summary"]["total_cents"], usage["summary"]["total_events"]) == (200, Decimal("4.41"), 3)
    status, usage = await api.call("GET", "/v1/usage?period=24h&group_by=component", key)
    shown = {one["component"]: (one["quantity"], one["total_cents"]) for one in usage["components"]}
    assert (status, usage["groups"], shown) == (
        200,
        [],
        {"event": (3, Decimal("1.5")), "tokens": (7200, Decimal("2.16")), "success": (3, Decimal("0.75"))},
    )
    stranger = await api.key("reads-other")
    assert (await api.call("GET", f"/v1/events/{made[0]['event_id']}", stranger))[0] == 404


async def test_an_accepted_event_is_never_missing(api: Api, eventually: Eventually) -> None:
    """From the 202 on, an event is 202 until it is priced, and never 404; an address that the log
    has not reached is 404."""
    key = await api.key("reads-async")
    body = {"agent_id": "a", "action": "chat", "tokens": 1}
    seen = []
    for _ in range(20):
        status, made = await api.call("POST", "/v1/meter", key, body, Prefer="respond-async")
        assert status == 202
        status, shown = await api.call("GET", f"/v1/events/{made['event_id']}", key)
        assert (status, shown["status"]) in ((200, "priced"), (202, "accepted"))
        seen.append(made["event_id"])

    async def priced() -> bool:
        answers = [await api.call("GET", f"/v1/events/{id}", key) for id in seen]
        assert {status for status, _ in answers} <= {200, 202}
        return all(shown["status"] == "priced" for _, shown in answers)

    await eventually(priced)
    assert (await api.call("GET", f"/v1/events/{event_id(0, 10**9)}", key))[0] == 404


async def test_changes_of_configuration_are_audited(api: Api, eventually: Eventually) -> None:
    """Every change of keys, customers and prices is in the audit trail, in order, with the object after it and
    who made it; a key's last use is told after its first event."""
    admin, name = "/api/admin", "reads-audit"
    key = await api.key(name)
    price = {"action_type": "chat", "base_rate_cents": 2, "customer_id": name}
    _, priced = await api.call("POST", f"{admin}/pricing", api.admin, price)
    assert (await api.call("POST", "/v1/meter", key, {"agent_id": "a", "action": "chat"}))[0] == 201
    assert (await api.call("DELETE", f"{admin}/pricing/{priced['id']}", api.admin))[0] == 200
    assert (await api.call("PATCH", f"{admin}/customers/{name}", api.admin, {"name": "Audited"}))[0] == 200

    async def mine() -> dict[str, Any]:
        _, page = await api.call("GET", f"{admin}/api-keys?limit=1000", api.admin)
        (shown,) = [shown for shown in page["keys"] if shown["customer_id"] == name]
        return dict(shown)

    async def used() -> bool:
        return (await mine())["last_used_at"] is not None

    await eventually(used)
    assert (await api.call("DELETE", f"{admin}/api-keys/{(await mine())['id']}", api.admin))[0] == 200

    async def changes() -> list[dict[str, Any]]:
        _, page = await api.call("GET", f"{admin}/audit?limit=1000", api.admin)
        return [one for one in page["entries"] if (one["detail"] or {}).get("customer_id") == name]

    async def all_there() -> bool:
        return len(await changes()) == 5

    await eventually(all_there)
    trail = list(reversed(await changes()))
    assert [(one["type"], one["actor"]) for one in trail] == [
        (kind, "admin")
        for kind in ("key.created", "pricing.updated", "pricing.updated", "customer.updated", "key.revoked")
    ]
    created, set_, deleted, renamed, revoked = (one["detail"] for one in trail)
    assert (created["is_active"], revoked["is_active"], revoked["id"]) == (True, False, created["id"])
    assert (set_["is_active"], deleted["is_active"], deleted["base_rate_cents"]) == (True, False, 2)
    assert renamed["name"] == "Audited" and "hash" not in json.dumps(trail, default=str)
