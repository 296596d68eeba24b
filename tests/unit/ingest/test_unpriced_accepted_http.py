"""REV_UNPRICED=accept: a client's events without a price are recorded at 0, shown, and charged when the price comes."""

from decimal import Decimal
from typing import Any

import pytest

from schemas import commands
from schemas.commands import ChargeUnpriced
from schemas.settings import Settings, read
from tests.unit.ingest.conftest import ADMIN, Gateway
from tests.unit.ingest.test_unpriced_http import cloud_event, unpriced

PATH = "/openmeter/api/v1/events"


@pytest.fixture
def settings() -> Settings:
    return read({"REV_ADMIN_TOKEN": ADMIN, "REV_REPLY_TIMEOUT": "200ms", "REV_UNPRICED": "accept"})


async def send(gateway: Gateway, key: str, *events: dict[str, Any]) -> int:
    answer = await gateway.call("POST", PATH, list(events), key, Content_Type="application/cloudevents-batch+json")
    return answer.status


async def set_price(gateway: Gateway, action: str, **rates: Any) -> None:
    answer = await gateway.call("POST", "/api/admin/pricing", {"action_type": action, **rates}, ADMIN)
    assert answer.status == 201, answer.text


async def events(gateway: Gateway, key: str) -> dict[str, dict[str, Any]]:
    gateway.settle()
    answer = await gateway.call("GET", "/v1/events", None, key)
    assert answer.status == 200, answer.text
    return {one["idempotency_key"].split()[-1]: one for one in answer.json["events"]}


async def charge(gateway: Gateway, *ids: int, api_key_id: int = 1) -> None:
    """Let the pricer decide the notice that the expirer would send."""
    command = ChargeUnpriced("acme-corp", api_key_id, list(ids))
    await gateway.log.append(b"acme-corp", commands.encode(command))


async def test_an_event_is_recorded_at_0_listed_and_charged_by_an_adjustment(gateway: Gateway, key: str) -> None:
    """Its usage stays, and the statement shows the charge with what was used."""
    assert await send(gateway, key, cloud_event("1", "telex", tokens=2000), cloud_event("2", "completion")) == 204
    assert await send(gateway, key, cloud_event("1", "telex", tokens=2000)) == 204
    listed = await unpriced(gateway)
    assert (listed["actions"], listed["unpriced"][0]["action"]) == (1, "telex")
    found = await events(gateway, key)
    first = found["1"]
    assert (first["status"], first["price"]["total_cents"]) == ("priced", 0)
    assert len(found) == 2
    await set_price(gateway, "telex", base_rate_cents=1, token_rate_cents=0.01)
    await charge(gateway, first["event_id"])
    await charge(gateway, first["event_id"])
    gateway.settle()
    rows = [row for row in gateway.ledger.rows if row.kind == "adjustment"]
    assert [(row.original, row.total_cents, row.event_time) for row in rows] == [
        (first["event_id"], 21 * 10**12, gateway.now)
    ]
    gateway.now += 60_000
    statement = (await gateway.call("GET", "/v1/statement?month=2026-04", None, key)).json
    lines = [line for line in statement["lines"] if line["kind"] == "adjustment"]
    assert [(line["component"], line["quantity"], line["amount_cents"]) for line in lines] == [
        ("event", 1, 1), ("tokens", 2000, 20),
    ]  # fmt: skip
    assert (await unpriced(gateway))["actions"] == 0


async def test_usage_counts_the_event_once_and_its_tokens_once(gateway: Gateway, key: str) -> None:
    await send(gateway, key, cloud_event("1", "telex", tokens=2000))
    await set_price(gateway, "telex", base_rate_cents=1, token_rate_cents=0.01)
    await charge(gateway, (await events(gateway, key))["1"]["event_id"])
    gateway.settle()
    usage = (await gateway.call("GET", "/v1/usage?group_by=agent", None, key)).json
    (row,) = usage["groups"]
    assert (row["event_count"], row["total_tokens"], row["total_cents"]) == (1, 2000, 21)
    components = (await gateway.call("GET", "/v1/usage?group_by=component", None, key)).json["components"]
    assert {one["component"]: (one["quantity"], one["total_cents"]) for one in components} == {
        "event": (1, 1), "tokens": (2000, 20),
    }  # fmt: skip


async def test_meter_refuses_and_so_are_a_pending_event_and_a_quantity_without_a_rate(
    gateway: Gateway, key: str
) -> None:
    """POST /v1/meter answers with the price, so its sender sees the refusal; what an outcome costs is agreed before."""
    event = {"agent_id": "a", "action": "fax"}
    assert (await gateway.call("POST", "/v1/meter", event, key)).status == 400
    assert (await gateway.call("POST", "/v1/meter/batch", {"events": [event]}, key)).status == 400
    assert await send(gateway, key, cloud_event("1", "telex", outcome="pending")) == 400
    await set_price(gateway, "seats", base_rate_cents=1)
    assert await send(gateway, key, cloud_event("2", "seats", value=3)) == 400
    assert (await unpriced(gateway))["events"] == 4


async def test_explain_shows_neither_a_price_nor_an_error(gateway: Gateway, key: str) -> None:
    sent = cloud_event("1", "telex", tokens=5)
    shown = (await gateway.call("POST", "/v1/explain?dialect=openmeter", sent, key)).json
    (event,) = shown["events"]
    assert "price" not in event and "error" not in event
    assert (event["event"]["action"], shown["total_cents"]) == ("telex", 0)


async def void(gateway: Gateway, id: int) -> tuple[int, Any]:
    gateway.settle()
    answer = await gateway.call("POST", f"/api/admin/events/{id}/void", {"reason": "wrong"}, ADMIN)
    return answer.status, answer.json


async def test_a_voided_event_is_never_charged_and_a_charged_one_stays(gateway: Gateway, key: str) -> None:
    await send(gateway, key, cloud_event("1", "telex"), cloud_event("2", "telex"))
    found = {name: one["event_id"] for name, one in (await events(gateway, key)).items()}
    assert (await void(gateway, found["1"]))[0] == 201
    await set_price(gateway, "telex", base_rate_cents=1)
    await charge(gateway, *found.values())
    status, refused = await void(gateway, found["2"])
    assert (status, refused["code"]) == (409, "not_voidable")
    assert refused["error"].startswith(f"event {found['2']} came in before its price")
    many = await gateway.call(
        "POST", "/api/admin/events/void", {"event_ids": list(found.values()), "reason": "wrong"}, ADMIN
    )
    assert (many.status, many.json["missing"], len(many.json["voids"])) == (200, [found["2"]], 1)
    gateway.settle()
    total = sum((row.total_cents for row in gateway.ledger.rows), 0)
    assert Decimal(total) == 10**12
