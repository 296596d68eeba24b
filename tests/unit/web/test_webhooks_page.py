"""/webhooks: endpoints with their health, every attempt, and replays; in the portal one's own, to look at alone."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.ingest.test_webhooks_http import attempt
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_portal import MINE, THEIRS, customer, signed_in
from warehouse.webhook_health import HealthRow
from web.web_refusals import Refusal

MARKUP = "https://example.com/<script>alert(1)</script>"
HEALTH = HealthRow(1, attempts=40, delivered=39, dead=0, latency=120, last=NOW, last_outcome="retry")


def webhook(id: int, **changes: Any) -> dict[str, Any]:
    made = {"id": id, "customer_id": MINE, "url": MARKUP, "events": ["meter.created", "<b>"], "active": True}
    times = {"created_at": "2026-04-26T12:00:00.000Z", "rotated_at": None}
    return {**made, **times, "disabled": None, "test": False, **changes}


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    hooks = [
        webhook(1),
        webhook(2, disabled="answered <410>", active=False),
        webhook(3, active=False),
        webhook(4, customer_id=THEIRS, url="https://example.com/theirs"),
        webhook(5, test=True, url="https://example.com/tests"),
    ]
    made.answers["GET /api/admin/webhooks?limit=50"] = {"webhooks": hooks, "next_cursor": "abc"}
    for hook in hooks:
        made.answers[f"GET /api/admin/webhooks/{hook['id']}"] = hook
    made.answers["GET /api/admin/webhooks/77"] = Refusal(404, "not_found", "no webhook 77")
    path = "/api/admin/webhooks?limit=1000&customer_id=acme%2Fcorp"
    made.answers[f"GET {path}"] = {"webhooks": [*hooks[:3], hooks[4]], "next_cursor": None}
    made.answers["GET /api/admin/customers/acme%2Fcorp"] = customer(MINE)
    return made


async def test_endpoints_stand_with_their_health(server: Server, gateway: FakeGateway) -> None:
    server.webhooks.rows = {1: HEALTH, 4: replace(HEALTH, webhook=4, delivered=40, last_outcome="delivered")}
    server.reads.named = {THEIRS: "Other & Co"}
    status, _, text = await server.get("/webhooks", **server.signed_in())
    assert status == 200 and "<script>alert" not in text and "Other &amp; Co" in text
    for words in ("97.5 %", "100.0 %", "120 ms", ">failing<", ">healthy<", ">disabled<", ">inactive<", ">idle<"):
        assert words in text
    assert 'title="answered &lt;410&gt;"' in text and 'href="/webhooks?cursor=abc"' in text
    gateway.answers["GET /api/admin/webhooks?limit=50&customer_id=nobody"] = {"webhooks": [], "next_cursor": None}
    assert "This customer has no webhooks" in (await server.get("/webhooks?customer=nobody", **server.signed_in()))[2]
    gateway.answers["GET /api/admin/webhooks?limit=50"] = {"webhooks": [], "next_cursor": None}
    assert "No webhooks yet" in (await server.get("/webhooks", **server.signed_in()))[2]


async def test_every_attempt_is_shown_and_can_be_replayed(server: Server, gateway: FakeGateway) -> None:
    server.webhooks.rows = {1: HEALTH}
    server.ledger.attempts[1] = [
        attempt("retry", log_offset=number, at=NOW - number, delivery_id=f"d{number}", status=503, answer="<i>down")
        for number in range(55)
    ] + [
        attempt("", gap=True, reason="behind <x>", at=NOW + 1, since=NOW - 9000, until=NOW),
        attempt("dropped", at=NOW + 2, delivery_id="<q>", type="pricing.updated", event_id="evt_9", attempt=0),
    ]
    status, _, text = await server.get("/webhooks/1", **server.signed_in())
    assert status == 200 and "<script>alert" not in text and "&lt;i&gt;down" in text and "behind &lt;x&gt;" in text
    assert 'href="/events/5"' in text and 'href="/events/9"' not in text and 'value="&lt;q&gt;"' in text
    assert text.count('name="delivery_id"') == 49, "a gap has no delivery to repeat"
    more = f"/webhooks/1?after={NOW - 47}.0.47"
    assert f'href="{more}"' in text
    _, _, text = await server.get(more, **server.signed_in())
    assert text.count('name="delivery_id"') == 7 and "continued" in text
    for after in ("1", "1.70000.2", "x.1.1", "1.1.1.1"):
        assert (await server.get(f"/webhooks/1?after={after}", **server.signed_in()))[0] == 400
    assert (await server.get("/webhooks/77", **server.signed_in()))[0] == 404
    _, _, text = await server.get("/webhooks/2", **server.signed_in())
    assert "answered &lt;410&gt;" in text and "The endpoint is not active" in text


async def test_a_replay_is_of_one_delivery_or_since_a_time(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["POST /api/admin/webhooks/1/replay"] = webhook(1)
    status, headers, _ = await server.submit("/webhooks/1/replay", delivery_id="d3")
    assert (status, headers["Location"]) == (303, "/webhooks/1?done=1")
    assert gateway.calls[-1] == ("POST /api/admin/webhooks/1/replay", {"delivery_id": "d3"})
    await server.submit("/webhooks/1/replay", since="2026-04-26T10:00")
    assert gateway.calls[-1][1] == {"since": "2026-04-26T10:00:00.000Z"}
    assert "Rev sends it again" in (await server.get("/webhooks/1?done=1", **server.signed_in()))[2]
    for form in ({}, {"since": ""}, {"since": "soon"}, {"since": "2026-04-26T10:00", "delivery_id": "d"}):
        assert (await server.submit("/webhooks/1/replay", **form))[0] == 400
    assert (await server.send("POST", "/webhooks/1/replay", {"delivery_id": "d"}, **server.signed_in()))[0] == 403


async def test_the_portal_shows_own_endpoints_of_its_mode(server: Server, gateway: FakeGateway) -> None:
    """Without a replay, and another's endpoint does not exist."""
    server.ledger.attempts[1] = [attempt("retry", status=503)]
    _, _, text = await server.get("/portal/webhooks", **signed_in(server))
    assert text.count('href="/portal/webhooks/') == 3 and "tests" not in text
    _, _, text = await server.get("/portal/webhooks/1", **signed_in(server))
    assert "503" in text and "Replay" not in text and 'href="/portal/events/5"' in text and "/customers" not in text
    _, _, text = await server.get("/portal/webhooks", **signed_in(server, test=True))
    assert text.count('href="/portal/webhooks/') == 1 and "https://example.com/tests" in text
    for id in (4, 5, 77):
        assert (await server.get(f"/portal/webhooks/{id}", **signed_in(server)))[0] == 404
