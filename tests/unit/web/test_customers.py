"""/customers: the list with its changes, and one customer in full."""

from typing import Any

import msgspec
import pytest

from schemas.limits import DAY
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_keys import key
from warehouse.account_rows import CustomerQuery, CustomerRow
from warehouse.dashboard_rows import SeriesRow
from warehouse.memory import LedgerRow
from warehouse.time_range import TimeRange, named
from web.web_refusals import Refusal, invalid

MARKUP = "<script>alert(1)</script>"
ID = "acme/corp"
PATH = "/customers/acme%2Fcorp"
API = "/api/admin/customers/acme%2Fcorp"
INVOICES = "GET /api/admin/invoices?customer_id=acme%2Fcorp&limit=12"
PRICE = {
    "id": 4,
    "customer_id": ID,
    "action_type": "chat",
    "base_rate_cents": 1,
    "token_rate_cents": 0,
    "outcome_bonus_cents": 0,
    "is_active": True,
    "created_at": "2026-04-26T12:00:00.000Z",
    "ended_at": None,
}


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    made.answers[f"GET {API}"] = customer()
    keys = [key(1, customer_id=ID), key(2, customer_id="other")]
    made.answers["GET /api/admin/api-keys?limit=1000"] = {"keys": keys, "next_cursor": None}
    prices = [PRICE, {**PRICE, "id": 5, "customer_id": None, "action_type": "not-its-own"}]
    made.answers["GET /api/admin/pricing?limit=1000"] = {"configs": prices, "next_cursor": None}
    made.answers[f"GET {API}/billing"] = billing()
    made.answers[INVOICES] = {"invoices": [], "next_cursor": None}
    return made


def billing(**changes: Any) -> dict[str, Any]:
    made = {"customer_id": ID, "currency": "usd", "tax_percent": 0, "tax_reason": "", "payment_terms_days": 30}
    made |= {"billing_interval": "month", "billing_anchor": 1, "time_zone": "UTC", "invoice_threshold_cents": None}
    return {**made, "bill_to": {}, **changes}


def customer(**changes: Any) -> dict[str, Any]:
    made = {"customer_id": ID, "name": "Acme", "external_ids": {"crm": "A<1>"}, "test": False, "metered": False}
    return {**made, "created_at": "2026-04-26T12:00:00.000Z", **changes}


def listed(**changes: Any) -> CustomerRow:
    made = {"id": ID, "name": "Acme", "test": False, "metered": False, "events": 30, "events_before": 20}
    return CustomerRow(**{**made, "total": "123.455", "total_before": "246.91", "found": 1, **changes})


async def test_the_list_shows_both_periods(server: Server) -> None:
    server.accounts.listed = [listed(), listed(id="typo", name="", metered=True, total_before="0", test=True)]
    server.accounts.last = {ID: NOW}
    status, _, text = await server.get("/customers?period=7d&q=+ac+", **server.signed_in())
    assert status == 200
    time = named("7d", NOW)
    assert server.accounts.asked == [CustomerQuery(time, TimeRange(time.start - 7 * DAY, NOW - 7 * DAY), "ac", 50, 0)]
    for words in ('title="123.455 cents"', "+50.0 %", "−50.0 %", f'href="{PATH}"', ">metered<", ">test<", ">never<"):
        assert words in text
    assert 'value="ac"' in text and 'name="period" value="7d"' in text


async def test_a_long_list_has_pages(server: Server) -> None:
    server.accounts.listed = [listed(found=120)]
    _, _, text = await server.get("/customers?page=2", **server.signed_in())
    query = server.accounts.asked[0]
    assert isinstance(query, CustomerQuery) and query.offset == 50
    assert 'href="/customers?period=30d&amp;q=&amp;page=3"' in text
    _, _, text = await server.get("/customers?page=3", **server.signed_in())
    assert "Show more" not in text
    for page in ("0", "-1", "x", "20001", "9" * 30, "٣"):
        assert (await server.get(f"/customers?page={page}", **server.signed_in()))[0] == 400


async def test_an_empty_list_says_what_to_do(server: Server) -> None:
    _, _, text = await server.get("/customers", **server.signed_in())
    assert "No customers yet" in text and 'href="/keys"' in text
    _, _, text = await server.get("/customers?q=%3Cb%3E", **server.signed_in())
    assert "No customer has “&lt;b&gt;”" in text


def ledger_rows() -> list[LedgerRow]:
    def row(event_id: int, **changes: Any) -> LedgerRow:
        made = {"kind": "event", "customer_id": ID, "agent_id": "a1", "action": "chat", "tokens": 1000}
        return LedgerRow(
            **{**made, "event_id": event_id, "total_cents": 10**12, "event_time": NOW, "recorded_at": NOW, **changes}
        )

    before = NOW - 30 * DAY
    detail = msgspec.json.encode({"price_on_success_cents": 4900}).decode()
    return [
        row(1, event_time=before - 1, recorded_at=before - 1),
        row(2),
        row(3, action=MARKUP, agent_id=MARKUP, total_cents=147 * 10**10),
        row(4, outcome="pending", outcome_id="oc_4", price_bonus=25 * 10**10, expires_at=NOW + DAY),
        row(
            5,
            kind="registered",
            outcome_id="oc_5",
            task_id="task<5>",
            detail=detail,
            expires_at=NOW + DAY,
            total_cents=0,
        ),
        row(6, kind="rejected", reason="no price", total_cents=0),
        row(7, kind="void", original=2, total_cents=-(10**12), reason="goodwill"),
        row(8, customer_id="other"),
        row(9, test=True, action="in-test"),
    ]


async def test_one_customer_in_full(server: Server, gateway: FakeGateway) -> None:
    server.ledger.rows = ledger_rows()
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "chat", 3, "247")]
    status, _, text = await server.get(PATH, **server.signed_in())
    assert status == 200
    # revenue: 1 + 1.47 + 1 - 1 cents; the period before had 1 cent
    assert 'title="2.47 cents">$0.02' in text and "+147 %" in text
    assert 'title="2,000"' in text, "tokens of two events"
    for words in ("task&lt;5&gt;", "$49.00", "oc_4", "$0.0025", 'href="/outcomes/oc_5"', 'href="/events/3"'):
        assert words in text
    assert '<s title="voided">' in text and ">rejected<" in text
    assert "rg_0001...f6g7" in text and "rg_0002" not in text and "not-its-own" not in text
    assert "crm A&lt;1&gt;" in text and "<script>" not in text and "in-test" not in text
    assert 'href="/prices/new?customer_id=acme/corp"' in text


async def test_a_test_customer_is_shown_in_test_mode(server: Server, gateway: FakeGateway) -> None:
    server.ledger.rows = ledger_rows()
    gateway.answers[f"GET {API}"] = customer(test=True, metered=True)
    _, _, text = await server.get(PATH, **server.signed_in())
    assert "in-test" in text and "&lt;script&gt;" not in text and "Only a platform key has named" in text
    _, _, text = await server.get(f"{PATH}?mode=live", **server.signed_in())
    assert "in-test" not in text and "&lt;script&gt;" in text
    assert (await server.get(f"{PATH}?mode=both", **server.signed_in()))[0] == 400


async def test_a_customer_is_renamed_and_flagged(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"PATCH {API}"] = customer()
    status, headers, _ = await server.submit(PATH, name=" New ", test="1")
    assert (status, headers["Location"]) == (303, f"{PATH}?done=1")
    assert gateway.calls == [(f"PATCH {API}", {"name": "New", "test": True})]
    await server.submit(PATH, name="")
    assert gateway.calls[-1] == (f"PATCH {API}", {"name": None, "test": False})
    gateway.answers[f"PATCH {API}"] = invalid("name must have no blanks at the ends")
    status, _, text = await server.submit(PATH, name="<i>")
    assert status == 400 and "name must have no blanks" in text and 'value="&lt;i&gt;"' in text


async def test_an_unknown_customer_is_not_found(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"GET {API}"] = Refusal(404, "not_found", "no customer 'acme/corp'")
    assert (await server.get(PATH, **server.signed_in()))[0] == 404
