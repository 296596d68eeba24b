"""/agents and /actions: the ranking, and one agent or action in full."""

from urllib.parse import quote_plus

import pytest

from schemas.limits import DAY
from tests.unit.web.conftest import NOW, Server, event
from warehouse.activity_rows import ComparedRow, ComponentRow, SumsQuery
from warehouse.dashboard_rows import SeriesRow
from warehouse.time_range import named
from web import periods
from web.views import ranked_view

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>/../?#"
ROW = ComparedRow(
    "chat", events=1200, charges=1, token_sum="2400000", total="123.455", before="100", succeeded=9, ended=10
)


@pytest.mark.parametrize(("path", "key"), [("/agents", "agent_id"), ("/actions", "action")])
async def test_a_ranking_compares_with_the_period_before(server: Server, path: str, key: str) -> None:
    server.activity.compared = [ROW, ComparedRow(MARKUP, 1, 0, "0", "-1", "0", 0, 0)]
    status, _, text = await server.get(f"{path}?period=7d", **server.signed_in())
    assert status == 200
    for words in ("+23.5 %", "1,200", "2.4M", "90.0 %", "$1.23", 'title="123.455 cents"', "−$0.01"):
        assert words in text
    assert "<script>alert" not in text and f"{key.removesuffix('_id')}={quote_plus(MARKUP)}" in text
    time = named("7d", NOW)
    assert server.activity.searches == [SumsQuery(key, time, periods.before(time, NOW), 101)]  # type: ignore[arg-type]


async def test_a_ranking_without_names_says_what_to_do(server: Server) -> None:
    status, _, text = await server.get("/agents", **server.signed_in())
    assert status == 200 and "No agents in the last 30 days" in text


async def test_one_action_has_its_components_customers_and_events(server: Server) -> None:
    server.activity.compared = [ROW]
    server.activity.parts = [ComponentRow("images", "2.5", "100"), ComponentRow("success", "-1", "23.455")]
    server.activity.rows = [event(event_id=77, action="chat")]
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "agent-copilot", 3, "123.455")]
    status, _, text = await server.get("/actions?action=chat", **server.signed_in())
    assert status == 200 and "<h1>chat</h1>" in text
    for words in ("Revenue by component", "images", "2.5 · 81.0 %", "Bonus for success", "9 of 10 verdicts"):
        assert words in text
    assert 'href="/events/77"' in text and 'href="/agents?agent=chat"' in text and 'href="/events?action=chat"' in text
    assert server.activity.searches[0].action == "chat" and server.activity.searches[0].agent == ""


@pytest.mark.parametrize("path", ["/agents?agent=", "/actions?action="])
async def test_any_name_has_a_page_and_shows_as_text(server: Server, path: str) -> None:
    server.activity.compared = [ComparedRow(MARKUP, 1, 0, "0", "5", "0", 0, 0)]
    server.activity.rows = [event(agent_id=MARKUP, action=MARKUP)]
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, MARKUP, 1, "5")]
    status, _, text = await server.get(path + quote_plus(MARKUP), **server.signed_in())
    assert status == 200 and "<script>alert" not in text and "<img" not in text and "&lt;script&gt;" in text


async def test_an_unknown_name_says_so(server: Server) -> None:
    _, _, text = await server.get("/agents?agent=nobody", **server.signed_in())
    assert "The ledger has no event of this agent" in text


@pytest.mark.parametrize("query", ["period=90d", "action=x", f"agent={'a' * 257}"])
async def test_a_parameter_that_is_wrong_is_refused(server: Server, query: str) -> None:
    assert (await server.get(f"/agents?{query}", **server.signed_in()))[0] == 400


def test_names_that_only_had_revenue_before_have_no_place_among_peers() -> None:
    gone = ComparedRow("gone", 0, 0, "0", "0", "9", 0, 0)
    rows = ranked_view.OneRows(
        sums=[], series=[], customers=[gone, ROW], peers=[], components=[], recent=[], voided={}, names={}
    )
    view = ranked_view.one("x", "30d", named("30d", NOW), rows, "/agents?agent=")
    assert [line.name for line in view.customers] == ["chat"] and view.figures[0].value == "$0.00"
