"""Saved scenarios: kept, compared over one time, and applied as a price list after one confirmation."""

import json
from urllib.parse import quote

import pytest

from schemas.commands import Rates
from schemas.price_match import PriceSlot
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_replay import FOUND
from warehouse.replay import ChangedPrice, RegisteredRow, Replayed, ReplayRow, TooManyCompeting
from warehouse.saved_scenarios import MOST, ScenarioRow
from warehouse.time_range import named
from web.views import scenarios_view

CHAT = {"id": 1, "customer_id": None, "action_type": "chat", "base_rate_cents": 1, "token_rate_cents": 0}
PRICE = {**CHAT, "outcome_bonus_cents": 0, "is_active": True, "created_at": "2026-04-26T12:00:00Z", "ended_at": None}
CHANGES = [{"action_type": "<i>", "base_rate_cents": "2"}]
TEXT = json.dumps(CHANGES)


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    made.answers["GET /api/admin/pricing?limit=1000"] = {"configs": [PRICE], "next_cursor": None}
    server.replay.found = FOUND
    return made


async def test_a_scenario_is_saved_compared_and_deleted(server: Server, gateway: FakeGateway) -> None:
    """Under its name, over the period that is asked; the same name replaces it."""
    _, _, text = await server.get("/replay/scenarios", **server.signed_in())
    assert "No scenario is saved" in text
    status, headers, _ = await server.submit("/replay/scenarios", name=" <b>new ", changes=TEXT, customer_id="acme")
    assert (status, headers["Location"]) == (303, "/replay/scenarios?done=saved")
    await server.submit("/replay/scenarios", name="<b>new", changes=TEXT, customer_id="acme")
    assert list(server.scenarios.rows.values()) == [ScenarioRow("<b>new", "acme", TEXT.replace(" ", ""), NOW)]
    _, _, text = await server.get("/replay/scenarios?period=7d", **server.signed_in())
    (query,) = server.replay.asked
    assert (query.time, query.customer) == (named("7d", NOW), "acme")
    assert query.changes == [ChangedPrice(PriceSlot(None, "<i>"), Rates("2", "0", "0"))]
    assert "&lt;b&gt;new" in text and 'value="0.499999999999"' in text and "1 events would be refused" in text
    status, _, _ = await server.submit("/replay/scenarios/delete", name="<b>new")
    assert status == 303 and not server.scenarios.rows


async def test_one_that_cannot_be_replayed_says_why(server: Server, gateway: FakeGateway) -> None:
    server.scenarios.rows["a"] = ScenarioRow("a", "", TEXT, NOW)
    server.replay.error = TooManyCompeting("changes compete with more than 1000 prices in force; name a customer_id")
    status, _, text = await server.get("/replay/scenarios", **server.signed_in())
    assert status == 200 and "changes compete with more than 1000 prices" in text


async def test_what_is_no_scenario_is_refused(server: Server, gateway: FakeGateway) -> None:
    for fields, error in (
        ({"name": " "}, "name must have"),
        ({"name": "x" * 81}, "name must have"),
        ({"changes": "[]"}, "changes must have a price row"),
        ({"changes": "{"}, "the body must be JSON"),
        ({"changes": '[{"action_type": "a", "x": 1}]'}, "changes[0].x is unknown"),
    ):
        status, _, text = await server.submit("/replay/scenarios", **{"name": "a", "changes": TEXT, **fields})
        assert status == 400 and error in text
    server.scenarios.rows = {str(number): ScenarioRow(str(number), "", TEXT, NOW) for number in range(MOST)}
    assert (await server.submit("/replay/scenarios", name="more", changes=TEXT))[0] == 409
    assert (await server.submit("/replay/scenarios", name="3", changes=TEXT))[0] == 303


async def test_a_scenario_is_applied_after_one_confirmation(server: Server, gateway: FakeGateway) -> None:
    """The question shows what the server would change and changes nothing; the answer sets the list, all or none."""
    terms = {name: PRICE[name] for name in ("customer_id", "action_type", "base_rate_cents")}
    terms |= {"token_rate_cents": 0, "outcome_bonus_cents": 0}
    shown = {"row": 0, "change": "changed", "old": terms, "new": {**terms, "action_type": "<i>", "base_rate_cents": 2}}
    counts = {"preview": True, "added": 0, "changed": 1, "unchanged": 0}
    gateway.answers["POST /api/admin/pricing/bulk?preview=true"] = {**counts, "rows": [shown]}
    status, _, text = await server.get(f"/replay/apply?changes={quote(TEXT)}", **server.signed_in())
    assert status == 200 and "1 changed" in text and "$0.01 per event" in text and "$0.02 per event" in text
    assert "&lt;i&gt;" in text and gateway.calls == [("POST /api/admin/pricing/bulk?preview=true", {"rows": CHANGES})]
    gateway.answers["POST /api/admin/pricing/bulk"] = counts
    status, headers, _ = await server.submit("/replay/apply", changes=TEXT)
    assert (status, headers["Location"]) == (303, "/prices?done=list")
    assert gateway.calls[-1] == ("POST /api/admin/pricing/bulk", {"rows": CHANGES})
    assert (await server.get("/replay/apply", **server.signed_in()))[0] == 400
    assert (await server.submit("/replay/apply", changes="[]"))[0] == 400


def test_the_best_comes_first_and_pictures_share_a_scale() -> None:
    def found(replayed: str) -> Replayed:
        whole = ReplayRow("all", "", "", 3, 2, 0, 0, "2", replayed, "0", "0")
        return Replayed(
            [whole, ReplayRow("customer", "c", "", 3, 2, 0, 0, "2", replayed, "0", "0")], RegisteredRow(0, "0")
        )

    rows = [
        (ScenarioRow(name, "", TEXT, NOW), CHANGES, result)
        for name, result in (("worse", found("1")), ("none", "too slow"), ("best", found("6")), ("same", found("2")))
    ]
    lines = scenarios_view.lines(rows)
    assert [(one.name, one.start, one.width, one.more, one.less) for one in lines] == [
        ("best", 50, 50, 1, 0),
        ("same", 50, 0, 0, 0),
        ("worse", 38, 12, 0, 1),
        ("none", 50, 0, 0, 0),
    ]
