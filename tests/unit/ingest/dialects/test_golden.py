"""Every captured body: the events it becomes, what they cost, and the response that its client reads."""

import json
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from ingest.dialects.catalog import DIALECTS
from ingest.dialects.dialect import DialectRoute
from schemas.commands import Meter, decode
from schemas.money import parse_cents
from tests.unit.ingest.dialects.golden import GOLDEN, Golden

ADMIN = "the-admin-token"
RATES = {"value": "0.5", "images": 4, "audio_seconds": "0.25"}
each = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


def route_at(path: str) -> DialectRoute:
    return next(route for dialect in DIALECTS for route in dialect.routes if route.path == path)


def plain(value: Any) -> Any:
    """JSON as Python has it."""
    return json.loads(msgspec.json.encode(value))


def committed(gateway: Any) -> list[Any]:
    """Every meter event in the log."""
    commands = [decode(value) for value in gateway.log.values()]
    return [event for command in commands if isinstance(command, Meter) for event in command.events]


async def priced(gateway: Any) -> None:
    """Every action has a price, and every quantity a rate."""
    for action in ("*", "completion"):
        row = {"action_type": action, "base_rate_cents": 1, "token_rate_cents": "0.001", "rates": RATES}
        answer = await gateway.call("POST", "/api/admin/pricing", row, ADMIN)
        assert answer.status == 201


@each
def test_a_body_becomes_these_events(golden: Golden) -> None:
    mapped = route_at(golden.path).read(CIMultiDict(golden.headers), golden.inflated)
    assert [one.error for one in mapped.events] == [None] * len(mapped.events)
    assert [plain(one.fields) for one in mapped.events] == golden.events
    assert mapped.ignored == golden.not_counted


@each
async def test_a_body_is_recorded_once_and_answered_as_the_client_expects(gateway: Any, golden: Golden) -> None:
    """Sent twice: the same response but for counts, and every event is charged once."""
    await priced(gateway)
    key = await gateway.make_key("acme-corp")
    for again in (False, True):
        answer = await gateway.call("POST", golden.path, golden.body, key, **golden.headers)
        assert answer.status == golden.status
        if golden.response is None:
            assert answer.text == "" and "Content-Type" not in answer.headers
        elif golden.response == b"":
            assert (answer.text, answer.headers["Content-Type"]) == ("", golden.headers["Content-Type"])
        elif "duplicates" in golden.response and golden.events and again:
            assert answer.json == {**golden.response, "ingested": 0, "duplicates": len(golden.events)}
        else:
            assert answer.json == golden.response
            assert answer.headers["Content-Type"].startswith("application/json")
    gateway.settle()
    charged = [row for row in gateway.ledger.rows if row.kind == "event"]
    assert len(charged) == len(golden.events)
    assert {row.idempotency_key for row in charged} == {event["idempotency_key"] for event in golden.events}


@each
async def test_explain_shows_the_events_and_what_they_cost(gateway: Any, golden: Golden) -> None:
    """Nothing is recorded, and the amounts are those that recording charges."""
    await priced(gateway)
    key = await gateway.make_key("acme-corp")
    dialect = next(one.name for one in DIALECTS if route_at(golden.path) in one.routes)
    url = f"/v1/explain?dialect={dialect}&path={golden.path}"
    answer = await gateway.call("POST", url, golden.body, key, **golden.headers)
    assert answer.status == 200, answer.text
    assert committed(gateway) == []
    shown = answer.json
    without = [{name: value for name, value in one.items() if name != "customer_id"} for one in golden.events]
    assert [one["event"] for one in shown["events"]] == without
    assert all(one["customer_id"] == "acme-corp" for one in shown["events"])
    assert {one["reason"]: one["count"] for one in shown["not_counted"]} == golden.not_counted
    assert (await gateway.call("POST", golden.path, golden.body, key, **golden.headers)).status == golden.status
    gateway.settle()
    totals = [row.total_cents for row in gateway.ledger.rows if row.kind == "event"]
    assert [parse_cents(str(one["price"]["total_cents"])) for one in shown["events"]] == totals
    assert parse_cents(str(shown["total_cents"])) == sum(totals)
