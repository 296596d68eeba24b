"""/search: an id leads to its page, a name to a list."""

import pytest
from msgspec.structs import replace

from tests.unit.web.conftest import Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_customers import customer, listed
from tests.unit.web.test_events_page import ENTRY
from tests.unit.web.test_outcomes_page import OPEN, REGISTERED
from warehouse.dashboard_rows import RankedRow
from web.web_refusals import Refusal, away

NONE = Refusal(404, "not_found", "no customer")


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    made.answers["GET /api/admin/customers/acme%2Fcorp"] = customer()
    server.activity.entries = [
        replace(ENTRY, event_id=42, outcome_id=""),
        replace(REGISTERED, event_id=7, outcome_id="oc_7"),
    ]
    return made


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("42", "/events/42"),
        (" evt_42 ", "/events/42"),
        ("oc_7", "/outcomes/oc_7"),
        ("acme/corp", "/customers/acme%2Fcorp"),
    ],
)
async def test_an_id_leads_to_its_page(server: Server, gateway: FakeGateway, text: str, path: str) -> None:
    status, headers, _ = await server.get(f"/search?q={text.replace('/', '%2F')}", **server.signed_in())
    assert (status, headers["Location"]) == (303, path)


@pytest.mark.parametrize("text", ["43", "oc_42", "oc_9", "nothing", "<b>", "99999999999999999999"])
async def test_what_has_no_page_is_looked_for_by_name(server: Server, gateway: FakeGateway, text: str) -> None:
    gateway.answers[f"GET /api/admin/customers/{text.replace('<b>', '%3Cb%3E')}"] = NONE
    server.reads.rankings["agent_id"] = [
        RankedRow(f"agent-{text}", 0, 1, 0, "0", "0", 1),
        RankedRow("else", 0, 1, 0, "0", "0", 1),
    ]
    status, _, text_of_page = await server.get(f"/search?q={text}", **server.signed_in())
    assert status == 200 and "<b>" not in text_of_page and ">else<" not in text_of_page
    assert 'href="/agents?agent=agent-' in text_of_page and 'href="/events?idempotency_key=' in text_of_page


async def test_an_agent_is_jumped_to_unless_something_else_has_its_name(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["GET /api/admin/customers/bot"] = NONE
    server.reads.rankings["agent_id"] = [
        RankedRow("bot-2", 0, 1, 0, "0", "0", 1),
        RankedRow("bot", 0, 1, 0, "0", "0", 1),
    ]
    status, headers, _ = await server.get("/search?q=bot", **server.signed_in())
    assert (status, headers["Location"]) == (303, "/agents?agent=bot")
    server.activity.states = [replace(OPEN, task_id="bot")]
    status, _, text = await server.get("/search?q=bot", **server.signed_in())
    assert status == 200 and f'href="/outcomes/{OPEN.outcome_id}"' in text and ">bot-2<" in text


async def test_a_task_leads_to_its_outcome_and_its_events(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["GET /api/admin/customers/contract-1"] = NONE
    server.activity.states = [replace(OPEN, task_id="contract-1"), replace(OPEN, task_id="contract-2")]
    _, _, text = await server.get("/search?q=contract-1", **server.signed_in())
    assert text.count(f'href="/outcomes/{OPEN.outcome_id}"') == 1 and "No customer, agent or action" not in text
    assert 'href="/events?task_id=contract-1"' in text and 'href="/events?metadata=contract-1"' in text


async def test_customers_are_found_by_a_part_of_their_name(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["GET /api/admin/customers/Acm"] = NONE
    server.accounts.listed = [listed()]
    _, _, text = await server.get("/search?q=Acm", **server.signed_in())
    assert 'href="/customers/acme%2Fcorp"' in text and "acme/corp" in text
    server.accounts.listed = []
    assert "No customer, agent or action" in (await server.get("/search?q=Acm", **server.signed_in()))[2]
    status, _, text = await server.get("/search", **server.signed_in())
    assert status == 200 and "No customer" not in text
    gateway.answers["GET /api/admin/customers/Acm"] = away("the API does not answer")
    assert (await server.get("/search?q=Acm", **server.signed_in()))[0] == 503
