"""An import on a whole `rev up`: labelled, looked up, summed, and taken back at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.integration.reads.test_reads_of_a_stack import Api

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
EVENT = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success"}
PENDING = {"agent_id": "a", "action": "email.sent", "outcome": "pending"}


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    """The API of the running stack."""
    async with aiohttp.ClientSession() as session:
        yield Api(session, stack)


async def test_an_import_is_found_and_taken_back(api: Api, eventually: Eventually) -> None:
    """Every event of 2000 by its key and by its import; the voids, twice asked for, leave exactly nothing."""
    key = await api.key("imports-acme")
    names = [f"file/{n}" for n in range(2000)]
    for start in (0, 1000):
        events = [{**EVENT, "idempotency_key": name} for name in names[start : start + 1000]]
        status, _ = await api.call("POST", "/v1/meter/batch", key, {"events": events, "import_id": "april"})
        assert status == 201
    batch = {"events": [{**PENDING, "idempotency_key": f"file/p{n}"} for n in range(2)], "import_id": "april"}
    made = (await api.call("POST", "/v1/meter/batch", key, batch))[1]["results"]
    await api.call("POST", f"/v1/outcomes/{made[0]['outcome_id']}/resolve", key, {"success": True})
    await api.call("POST", "/v1/meter", key, EVENT)

    async def summed() -> bool:
        status, found = await api.call("GET", "/v1/imports/april", key)
        return status == 200 and found["events"] == 2002 and found["charged_cents"] == Decimal("3442")

    await eventually(summed)
    ids = []
    for start in (0, 1000):
        asked = {"idempotency_keys": names[start : start + 1000]}
        status, found = await api.call("POST", "/v1/events/lookup", key, asked)
        assert status == 200 and {one["idempotency_key"] for one in found["events"]} == set(names[start : start + 1000])
        ids += [one["event_id"] for one in found["events"]]
    _, page = await api.call("GET", "/v1/events?import_id=april&limit=2", key)
    assert {one["event_id"] for one in page["events"]} == {one["event_id"] for one in made}
    ids += [one["event_id"] for one in made]
    for start in (0, 1000, 2000):
        body = {"event_ids": ids[start : start + 1000], "reason": "a wrong file"}
        for already in (False, True):
            status, voided = await api.call("POST", "/api/admin/events/void", api.admin, body)
            assert status == 200, voided
            assert {one["already"] for one in voided["voids"]} == {already} and voided["missing"] == []
        assert len(voided["voids"]) == len(body["event_ids"]) + (start == 2000)

    async def gone() -> bool:
        _, found = await api.call("GET", "/v1/imports/april", key)
        return bool(found["voided_events"] == 2002 and found["total_cents"] == 0)

    await eventually(gone)
    _, found = await api.call("GET", "/v1/usage", key)
    assert (found["summary"]["total_events"], found["summary"]["total_cents"]) == (1, Decimal("1.47"))
    _, found = await api.call("POST", "/v1/events/lookup", key, {"idempotency_keys": names[:3]})
    assert {(one["status"], one["void_reason"]) for one in found["events"]} == {("voided", "a wrong file")}
