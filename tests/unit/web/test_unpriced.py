"""Actions that came in without a price: the banner of the overview, and the list of the prices."""

from typing import Any

import pytest

from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from web.views.unpriced_view import view_of
from web.web_refusals import away

PATH = "GET /api/admin/unpriced"
PRICES = "GET /api/admin/pricing?limit=1000"


def row(action: str, events: int = 1, dialect: str = "otlp", **more: Any) -> dict[str, Any]:
    return {
        "customer_id": "acme-corp",
        "action": action,
        "dialect": dialect,
        "reason": f"no price for action {action!r}",
        "events": events,
        "first_seen_at": "2026-04-26T11:00:00.000Z",
        "last_seen_at": "2026-04-26T12:00:00.000Z",
        "priced_now": False,
        **more,
    }


def answer(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"actions": len(rows), "events": sum(one["events"] for one in rows), "unpriced": list(rows)}


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    made.answers[PRICES] = {"configs": [], "next_cursor": None}
    return made


def test_rows_of_one_action_are_added_up_and_those_with_a_price_left_out() -> None:
    """Over the dialects they came in by; test mode is left out; the most frequent is first."""
    found = view_of(
        answer(
            row("fax", 2),
            row("telex", 3, last_seen_at="2026-04-26T11:30:00.000Z"),
            row("telex", 4, "lago"),
            row("old", priced_now=True),
            row("tried", test=True),
        ),
        accepted=False,
    )
    assert [(line.action, line.events, line.ways, line.last_seen) for line in found.lines] == [
        ("telex", 7, "lago, otlp", NOW), ("fax", 2, "otlp", NOW),
    ]  # fmt: skip
    assert found.names == ["telex", "fax"]


async def test_the_overview_says_how_many_and_names_some(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[PATH] = answer(*(row(f"action-{number}", 9 - number) for number in range(5)))
    _, _, text = await server.get("/dashboard", **server.signed_in())
    assert "5 actions came in without a price" in text
    assert "action-2</code>, …" in text and "action-3" not in text
    assert 'href="/prices#unpriced"' in text


async def test_the_list_leads_to_the_form_and_shows_markup_as_text(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[PATH] = answer(
        row("<b>fax</b>", 12_345, model="<i>m</i>"), row("seats", reason="no rate for quantity 'value'")
    )
    _, _, text = await server.get("/prices", **server.signed_in())
    assert "&lt;b&gt;fax&lt;/b&gt;" in text and "<b>fax" not in text and "<i>m" not in text
    assert "/prices/new?action_type=%3Cb%3Efax%3C%2Fb%3E" in text
    assert "12,345" in text and "no rate for quantity" in text and "These events were refused" in text


@pytest.mark.parametrize("path", ["/dashboard", "/prices"])
async def test_nothing_is_shown_without_any_or_without_an_answer(
    server: Server, gateway: FakeGateway, path: str
) -> None:
    """A page does not fail because the list cannot be read."""
    for given in (answer(), answer(row("old", priced_now=True)), away("the API does not answer")):
        gateway.answers[PATH] = given
        status, _, text = await server.get(path, **server.signed_in())
        assert status == 200 and "without a price" not in text.replace("Without a price no event", "")
