"""The customer portal: how one gets in, and that one sees one's own data alone."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.limits import HOUR
from tests.unit.web.activity import entry_of
from tests.unit.web.conftest import ADMIN, NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_customers import PRICE, ledger_rows
from tests.unit.web.test_events_page import ENTRY
from tests.unit.web.test_keys import key
from tests.unit.web.test_login import Clock, cookie_in, signer
from tests.unit.web.test_outcomes_page import ID as OUTCOME
from tests.unit.web.test_outcomes_page import OPEN, REGISTERED
from warehouse.activity_rows import PriceSetRow
from warehouse.memory import LedgerRow
from web.session_cookie import LIFETIME, PortalLink
from web.web_refusals import Refusal, away

MINE, THEIRS = "acme/corp", "other"
SECRET = "rg_" + "a" * 40


def test_a_portal_session_is_of_its_kind() -> None:
    """No session, link or form token is taken for another."""
    made = signer(Clock(NOW))
    _, owner = made.begin()
    session, cookie = made.begin_portal("naïve.☃", test=True, key=7)
    link = PortalLink("naïve.☃", True, NOW + HOUR)
    text = made.portal_link(link)
    assert (made.portal_session_of(cookie), made.portal_link_of(text)) == (session, link)
    assert (session.expires, session.customer_id, session.test, session.key) == (NOW + LIFETIME, "naïve.☃", True, 7)
    assert made.session_of(cookie) is None and made.session_of(text) is None
    assert made.portal_session_of(owner) is None and made.portal_session_of(text) is None
    assert made.portal_link_of(cookie) is None and made.portal_link_of(owner) is None
    made.end(session)
    assert made.portal_session_of(cookie) is None and made.session_of(owner) is not None


def test_no_part_of_a_portal_session_or_link_can_be_changed() -> None:
    made = signer(Clock(NOW))
    for text, read in (
        (made.begin_portal(MINE, test=False)[1], made.portal_session_of),
        (made.portal_link(PortalLink(MINE, False, NOW + HOUR)), made.portal_link_of),
    ):
        parts = text.split(".")
        for place in range(len(parts)):
            for other in ("", "0", "test", THEIRS.encode().hex(), parts[place] + "0"):
                changed = ".".join([*parts[:place], other, *parts[place + 1 :]])
                assert changed == text or read(changed) is None
        assert read("") is None and read("." * 9) is None and read(text + ".0") is None


def test_a_link_and_its_session_end_in_time() -> None:
    clock = Clock(NOW)
    made = signer(clock)
    text = made.portal_link(PortalLink(MINE, False, NOW + HOUR))
    _, cookie = made.begin_portal(MINE, test=False, until=NOW + HOUR)
    clock.now += HOUR - 1
    assert made.portal_link_of(text) and made.portal_session_of(cookie)
    clock.now += 1
    assert made.portal_link_of(text) is None and made.portal_session_of(cookie) is None


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    for id in (MINE, THEIRS):
        made.answers[f"GET /api/admin/customers/{id.replace('/', '%2F')}"] = customer(id)
    made.answers["GET /api/admin/api-keys/3"] = key(3, customer_id=MINE)
    prices = [PRICE, {**PRICE, "id": 5, "customer_id": None, "action_type": "for-all"}]
    prices += [
        {**PRICE, "id": 6, "customer_id": THEIRS, "action_type": "for-others"},
        {**PRICE, "id": 7, "customer_id": None},
    ]
    made.answers["GET /api/admin/pricing?limit=1000"] = {"configs": prices, "next_cursor": None}
    return made


def customer(id: str, **changes: Any) -> dict[str, Any]:
    shown = {"customer_id": id, "name": f"<b>{id}", "external_ids": {}, "test": False, "metered": False}
    return {**shown, "created_at": "2026-04-26T12:00:00.000Z", **changes}


def signed_in(server: Server, customer_id: str = MINE, test: bool = False, key: int = 0) -> dict[str, str]:
    """The Cookie header of a session of the portal."""
    return {"Cookie": f"rev_portal={server.signer.begin_portal(customer_id, test, key)[1]}"}


async def sign_in(server: Server, secret: str, next_path: str = "/portal") -> tuple[int, Any, str]:
    _, shown, text = await server.get("/portal/login")
    token = re.search(r'name="form_token" value="([^"]+)"', text)
    assert token
    before = cookie_in(shown, "rev_login").partition(";")[0]
    form = {"form_token": token[1], "key": secret, "next": next_path}
    return await server.send("POST", "/portal/login", form, Cookie=before)


async def test_an_api_key_opens_the_portal_of_its_customer(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["GET /v1/key"] = key(3, customer_id=MINE)
    status, headers, _ = await sign_in(server, SECRET, "/portal/events?agent=a")
    assert (status, headers["Location"]) == (303, "/portal/events?agent=a")
    cookie = cookie_in(headers, "rev_portal")
    assert "Path=/portal" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    session = {"Cookie": cookie.partition(";")[0]}
    status, _, text = await server.get("/portal", **session)
    assert status == 200 and "&lt;b&gt;acme/corp" in text and "<b>acme" not in text
    # a revoked key, another mode, another owner and a deleted customer: each ends the session at once
    for path, answer in (
        ("api-keys/3", key(3, customer_id=MINE, is_active=False)),
        ("api-keys/3", key(3, customer_id=THEIRS)),
        ("api-keys/3", Refusal(404, "not_found", "there is no API key 3")),
        ("customers/acme%2Fcorp", customer(MINE, test=True)),
        ("customers/acme%2Fcorp", Refusal(404, "not_found", "no customer")),
    ):
        before = gateway.answers[f"GET /api/admin/{path}"]
        gateway.answers[f"GET /api/admin/{path}"] = answer
        status, headers, _ = await server.get("/portal/prices", **session)
        assert (status, headers["Location"]) == (303, "/portal/login?next=/portal/prices"), path
        gateway.answers[f"GET /api/admin/{path}"] = before
    gateway.answers["GET /api/admin/api-keys/3"] = away("the API does not answer")
    assert (await server.get("/portal", **session))[0] == 503


@pytest.mark.parametrize(
    ("secret", "answer", "status", "says"),
    [
        ("", None, 401, "not an API key"),
        (ADMIN, None, 401, "not an API key"),
        ("rg_a\r\nX: 1", None, 401, "not an API key"),
        (SECRET, Refusal(401, "unauthorized", "unknown"), 401, "revoked"),
        (SECRET, key(9, customer_id="*"), 403, "acts for every customer"),
        (SECRET, away("the API does not answer"), 503, "does not answer"),
    ],
)
async def test_what_opens_nothing(
    server: Server, gateway: FakeGateway, secret: str, answer: Any, status: int, says: str
) -> None:
    gateway.answers["GET /v1/key"] = answer
    found, headers, text = await sign_in(server, secret)
    assert found == status and says in text and "rev_portal" not in headers.getall("Set-Cookie", [""])[0]
    assert secret != SECRET or SECRET not in text


async def test_guesses_are_limited_and_lock_no_owner_out(server: Server, gateway: FakeGateway) -> None:
    for _ in range(5):
        assert (await sign_in(server, "x"))[0] == 401
    status, headers, text = await sign_in(server, SECRET)
    assert status == 429 and headers["Retry-After"] and "Too many attempts" in text
    assert server.site.limits.attempt("127.0.0.1") == 0
    assert (await server.send("POST", "/portal/login", {"key": SECRET}))[0] == 403


@pytest.mark.parametrize(
    "next_path", ["/dashboard", "//evil.example", "/portalx", "https://evil.example", "/portal\\x"]
)
async def test_a_login_leads_into_the_portal_alone(server: Server, gateway: FakeGateway, next_path: str) -> None:
    gateway.answers["GET /v1/key"] = key(3, customer_id=MINE)
    assert (await sign_in(server, SECRET, next_path))[1]["Location"] == "/portal"


async def test_the_owner_makes_a_link_that_opens_the_portal(server: Server, gateway: FakeGateway) -> None:
    path = "/customers/acme%2Fcorp/portal-link"
    status, _, text = await server.submit(path, lifetime="1h", mode="test")
    assert status == 201 and "&lt;b&gt;acme/corp" in text
    found = re.search(r"/portal/enter\?link=[^<&]+", text)
    assert found
    status, headers, text = await server.get(found[0])
    assert status == 200 and "acme/corp" in text and "rev_portal" not in cookie_in(headers, "rev_login")
    fields = dict(re.findall(r'name="(form_token|link)" value="([^"]+)"', text))
    before = cookie_in(headers, "rev_login").partition(";")[0]
    assert (await server.send("POST", "/portal/enter", fields))[0] == 403
    assert (await server.send("POST", "/portal/enter", {**fields, "link": "x"}, Cookie=before))[0] == 403
    status, headers, _ = await server.send("POST", "/portal/enter", fields, Cookie=before)
    assert (status, headers["Location"]) == (303, "/portal")
    cookie = cookie_in(headers, "rev_portal")
    assert "Max-Age=3600" in cookie
    session = {"Cookie": cookie.partition(";")[0]}
    status, _, text = await server.get("/portal", **session)
    assert status == 200 and ">test<" in text
    server.now += HOUR
    assert (await server.get("/portal", **session))[0] == 303
    assert (await server.get(found[0]))[0] == 403
    for wrong in ({"lifetime": "99d", "mode": "live"}, {"lifetime": "1d", "mode": "both"}, {}):
        assert (await server.submit(path, **wrong))[0] == 400


async def test_every_search_is_for_this_customer_and_mode(server: Server, gateway: FakeGateway) -> None:
    """Whatever the URL says; a filter on customer or mode does not exist."""
    for test in (False, True):
        session = signed_in(server, test=test)
        for path in ("/portal/events", "/portal/events?agent=a", "/portal/events.csv", "/portal/outcomes?status=open"):
            server.activity.searches.clear()
            assert (await server.get(path, **session))[0] == 200
            assert server.activity.searches
            assert {(one.customer, one.tests) for one in server.activity.searches} == {(MINE, (int(test),))}
        for path in ("/portal/events", "/portal/events.csv", "/portal/outcomes", "/portal"):
            for name in ("customer", "mode"):
                status, _, text = await server.get(f"{path}?{name}={THEIRS}", **session)
                assert status == 400 and "unknown query parameter" in text


async def test_the_usage_is_of_this_customer_and_mode(server: Server, gateway: FakeGateway) -> None:
    server.ledger.rows = ledger_rows()
    _, _, text = await server.get("/portal", **signed_in(server))
    assert "Charged" in text and 'title="2.47 cents">$0.02' in text and "in-test" not in text
    assert 'href="/portal/outcomes/oc_5"' in text and 'href="/portal/events/3"' in text
    assert re.search(r'(?:href|action)="/(?:events|outcomes|customers|agents|keys|prices|dashboard)', text) is None
    _, _, text = await server.get("/portal", **signed_in(server, test=True))
    assert "in-test" in text and "$0.01" in text
    _, _, text = await server.get("/portal", **signed_in(server, THEIRS))
    assert 'title="1 cent">$0.01' in text and "task&lt;5&gt;" not in text


async def test_an_event_is_explained_to_its_customer_alone(server: Server, gateway: FakeGateway) -> None:
    """No names of those who administrate, no form, no link to the owner's pages; for anyone else it is a 404."""
    mine = replace(ENTRY, customer_id=MINE, api_key_id=3)
    void = entry_of(LedgerRow("void", 99, MINE, original=mine.event_id, actor="alice", reason="goodwill"))
    server.activity.entries = [mine, void]
    server.activity.price = PriceSetRow(NOW, "alice", "", '{"id": 2, "note": "the owner\'s"}')
    server.activity.raw = '{"api_key_id": 3, "entries_offset": 14}'
    path = f"/portal/events/{mine.event_id}"
    status, _, text = await server.get(path, **signed_in(server))
    assert status == 200 and "0.0003 ¢ per token" in text and "goodwill" in text
    assert "alice" not in text and "the owner" not in text and "entries_offset" not in text
    assert "/void" not in text and 'href="/events' not in text
    assert "alice" in (await server.get(path.removeprefix("/portal"), **server.signed_in()))[2]
    assert (await server.get("/portal/events/99", **signed_in(server)))[1]["Location"] == path
    for session in (signed_in(server, THEIRS), signed_in(server, test=True)):
        for id in (mine.event_id, 99):
            assert (await server.get(f"/portal/events/{id}", **session))[0] == 404
    assert (await server.get(path, **server.signed_in()))[0] == 303, "an owner's session is none of the portal"


async def test_an_outcome_is_shown_to_its_customer_alone(server: Server, gateway: FakeGateway) -> None:
    opened = replace(REGISTERED, customer_id=MINE)
    server.activity.entries = [opened]
    server.activity.states = [replace(OPEN, customer_id=MINE)]
    status, _, text = await server.get("/portal/outcomes/" + OUTCOME, **signed_in(server))
    assert status == 200 and "/void" not in text and "/agents" not in text and "/customers" not in text
    for session in (signed_in(server, THEIRS), signed_in(server, test=True)):
        assert (await server.get("/portal/outcomes/" + OUTCOME, **session))[0] == 404
    assert (await server.get("/portal/outcomes/oc_6", **signed_in(server)))[0] == 404


async def test_prices_are_its_own_and_the_defaults_that_they_leave(server: Server, gateway: FakeGateway) -> None:
    _, _, text = await server.get("/portal/prices", **signed_in(server))
    assert "Your prices" in text and "for-all" in text and "for-others" not in text
    assert text.count("<code>chat</code>") == 1 and "/prices/new" not in text
    _, _, text = await server.get("/portal/prices", **signed_in(server, THEIRS))
    assert "for-others" in text and text.count("<code>chat</code>") == 1


async def test_leaving_ends_the_session(server: Server, gateway: FakeGateway) -> None:
    session, cookie = server.signer.begin_portal(MINE, test=False)
    header = {"Cookie": f"rev_portal={cookie}"}
    assert (await server.send("POST", "/portal/logout", {}, **header))[0] == 403
    form = {"form_token": server.signer.form_token(session.id)}
    status, headers, _ = await server.send("POST", "/portal/logout", form, **header)
    assert (status, headers["Location"]) == (303, "/portal/login")
    assert (await server.get("/portal", **header))[0] == 303
