"""/invoices: what is receivable by age, drafts, what Stripe refuses, one invoice with the way to its events, and what
may be done with it; in the portal one's own, to look at alone."""

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from schemas.limits import DAY
from schemas.money import PICO
from schemas.objects import iso
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_portal import MINE, THEIRS, customer, signed_in
from web import currency_amounts, filters
from web.gateway_api import GatewayApi
from web.views import invoice_view, invoices_view
from web.views.dollars import FormProblem
from web.web_refusals import Refusal

MARKUP = "<script>alert(1)</script>"
API = "/api/admin/invoices"
PUSHES = "GET /api/admin/stripe/pushes"
FILES = {"pdf": ("application/pdf", b"%PDF-1.4"), "csv": ("text/csv", b"a,b\r\n")}


def invoice(number: str | None = "INV-000001", **changes: Any) -> dict[str, Any]:
    """An invoice as the API shows it, due five days from now."""
    made: dict[str, Any] = {
        **{"number": number, "customer_id": MINE, "month": "2026-03", "state": "final", "currency": "usd"},
        **{"from": "2026-03-01T00:00:00.000Z", "to": "2026-04-01T00:00:00.000Z", "as_of": "2026-04-01T00:59:55.000Z"},
        **{"late_after": "2026-03-01T00:00:00.000Z", "invoicing_since": "2026-02-01T00:00:00.000Z", "entries": 804},
        **{"lines_cents": Decimal("1124.78"), "carried_in_cents": 0, "total_cents": 1125, "credits_cents": 0},
        **{"carried_out_cents": Decimal("-0.22"), "credited_cents": 0, "paid_cents": 0, "balance_cents": 1339},
        **{"payments": [], "created_at": "2026-04-01T01:00:00.000Z", "finalized_at": "2026-04-01T01:00:00.000Z"},
        **{"tax_cents": 214, "tax_percent": 19, "tax_reason": MARKUP, "amount_due_cents": 1339},
        **{"due_at": iso(NOW + 5 * DAY), "voided_at": None, "given_up_at": None, "bill_to": {"name": "<b>Acme"}},
    }
    return {**made, **changes}


def line(**changes: Any) -> dict[str, Any]:
    made = {"kind": "usage", "action": "chat", "component": "tokens", "quantity": 1_920_000, "per": 1, "price_id": 2}
    return {**made, "rate_cents": Decimal("0.0003"), "entries": 800, "amount_cents": 576, **changes}


LINES = [
    line(model="gpt-4o", provider="openai"),
    line(action=MARKUP, late=True),
    line(kind="outcome", action="outcome_charge", component="outcome", quantity=3, rate_cents=50, amount_cents=150),
    {
        **{"kind": "void", "action": "chat", "event_id": 131072, "voided_event_id": 65536, "reason": "by <i>"},
        **{"recorded_at": iso(NOW), "entries": 1, "amount_cents": Decimal("-1.22")},
    },
    {"kind": "void", "action": "chat", "import_id": "imp_1", "entries": 2000, "amount_cents": -5},
]
NOTE = {
    "number": "CN-000001",
    "month": "2026-04",
    "entries": 1,
    "total_cents": 1,
    "tax_cents": 1,
    "created_at": iso(NOW),
}


def answer(shown: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"invoice": shown, "credit_notes": [], "lines": LINES, **changes}


def page(*invoices: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    return {"invoices": list(invoices), "next_cursor": cursor}


def push(number: str, **changes: Any) -> dict[str, Any]:
    made = {"number": number, "customer_id": THEIRS, "state": "failed", "attempts": 3, "next_attempt_at": None}
    return {
        **made,
        "error": "No e-mail <x>",
        "stripe_invoice": None,
        "stripe_status": None,
        "stripe_url": None,
        **changes,
    }


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    theirs = invoice("INV-000002", customer_id=THEIRS)
    made.answers[f"GET {API}?limit=50"] = page(invoice(), theirs, invoice(None, state="draft"), cursor="abc")
    made.answers[f"GET {API}?limit=1000&state=final"] = page(invoice(), theirs)
    made.answers[f"GET {API}?limit=1000&state=draft"] = page(invoice(None, state="draft", due_at=None))
    made.answers[PUSHES] = {"pushes": [], "mode": "invoice", "unsent": 0, "refused": 0}
    for shown in (invoice(), theirs):
        made.answers[f"GET {API}/{shown['number']}"] = answer(shown, credit_notes=[NOTE])
        for kind, file in FILES.items():
            made.answers[f"GET {API}/{shown['number']}?format={kind}"] = file
    made.answers[f"GET {API}/INV-000077"] = Refusal(404, "not_found", "there is no invoice 'INV-000077'")
    made.answers["GET /api/admin/customers/acme%2Fcorp"] = customer(MINE)
    made.answers[f"GET {API}?limit=50&customer_id=acme%2Fcorp"] = page(invoice())
    return made


def test_amounts_are_exact_in_their_currency() -> None:
    for pico, currency, text in (
        (1_470_000_000_000, "usd", "$0.0147"),
        (-125_000 * PICO, "usd", "−$1,250.00"),
        (1125 * PICO, "eur", "11.25 EUR"),
        (5 * 10**11, "jpy", "0.5 JPY"),
        (1125 * PICO, "jpy", "1,125 JPY"),
        (1, "kwd", "0.000000000000001 KWD"),
        (0, "usd", "$0.00"),
    ):
        assert currency_amounts.exact(pico, currency) == text
    for text, currency, minor in (
        ("$1,250", "usd", 125_000),
        ("0.5", "eur", 50),
        ("1.250", "kwd", 1250),
        ("7", "jpy", 7),
    ):
        assert currency_amounts.minor_of("amount", text, currency) == minor
    for text, currency in (("", "usd"), ("0", "usd"), ("1.005", "usd"), ("1.5", "jpy"), ("-1", "usd"), ("1e3", "usd")):
        with pytest.raises(FormProblem, match="amount must be"):
            currency_amounts.minor_of("amount", text, currency)
    with pytest.raises(FormProblem, match=r"at most \$10,000,000,000,000.00"):
        currency_amounts.minor_of("amount", "10000000000000.01", "usd")


def test_every_receivable_is_in_one_age() -> None:
    """Due at this moment is not late; a ms later is the first day, and a day later the second."""
    final = [
        invoice(due_at=iso(due), balance_cents=10**place)
        for place, due in enumerate((NOW + 1, NOW, NOW - 1, NOW - 30 * DAY + 1, NOW - 30 * DAY, NOW - 60 * DAY))
    ]
    (usd, eur) = invoices_view.receivables([*final, invoice(currency="eur", balance_cents=5)], NOW)
    assert [(one.label, one.value, one.note) for one in usd.figures] == [
        ("Receivable", "$1,111.11", "6 invoices"),
        ("Not yet due", "$0.11", "2 invoices"),
        ("1–30 days late", "$11.00", "2 invoices"),
        ("31–60 days late", "$100.00", "1 invoice"),
        ("Over 60 days late", "$1,000.00", "1 invoice"),
    ]
    assert (eur.currency, eur.figures[0].value) == ("eur", "0.05 EUR")


@pytest.mark.parametrize(
    ("number", "path", "query"),
    [
        (
            0,
            "/events",
            {
                **{"customer": MINE, "action": "chat", "model": "gpt-4o", "provider": "openai"},
                **{"from": "2026-03-01T00:00:00.000Z", "to": "2026-04-01T00:00:00.000Z"},
            },
        ),
        (1, "/events", {"customer": MINE, "action": MARKUP, "to": "2026-03-01T00:00:00.000Z"}),
        (2, "/outcomes", {"customer": MINE, "status": "closed"}),
        (3, "/events/65536", {}),
        (
            4,
            "/events",
            {
                **{"customer": MINE, "action": "chat", "import_id": "imp_1", "status": "voided"},
                **{"from": "2026-03-01T00:00:00.000Z", "to": "2026-04-01T00:00:00.000Z"},
            },
        ),
    ],
)
def test_a_line_leads_to_its_events(number: int, path: str, query: dict[str, str]) -> None:
    """To a list that its page takes; in the portal without a customer."""
    href = urlsplit(invoice_view.events_of(LINES[number], invoice()))
    found = {name: value for name, (value,) in parse_qs(href.query).items()}
    assert (href.path, found) == (path, query)
    if path == "/events":
        assert filters.event_search(found, 1).customer == MINE
    own = urlsplit(invoice_view.events_of(LINES[number], invoice(), "/portal"))
    found = {name: value for name, (value,) in parse_qs(own.query).items()}
    assert own.path == f"/portal{path}" and found == {name: query[name] for name in query if name != "customer"}


async def test_the_list_stands_below_what_is_to_be_done(server: Server, gateway: FakeGateway) -> None:
    server.reads.named = {THEIRS: "Other & Co"}
    late = push("INV-000003", state="pending", next_attempt_at=iso(NOW + 5000), error="Stripe does not answer")
    sent = push("INV-000004", state="pending", error=None, next_attempt_at=iso(NOW))
    gateway.answers[PUSHES] |= {"pushes": [push("INV-000002"), late, sent], "refused": 1, "unsent": 2}
    status, _, text = await server.get("/invoices", **server.signed_in())
    assert status == 200 and "<script>alert" not in text and "Other &amp; Co" in text
    for words in (
        *("$26.78", "2 invoices", "About to be invoiced", "1 draft<", "1 refused, 2 on the way", "No e-mail &lt;x&gt;"),
        *("Mend what it says", "Rev tries again by itself", 'href="/invoices?cursor=abc"', "no number yet"),
        *('action="/invoices/INV-000002/push"', 'href="/invoices/INV-000001"', 'title="1339 cents">$13.39'),
    ):
        assert words in text, words
    assert "INV-000004" not in text, "what was not tried yet has not failed"
    assert "Older ones are not in them" not in text


async def test_a_filter_shows_the_list_alone(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"GET {API}?limit=50&state=paid&month=2026-03&customer_id=acme%2Fcorp"] = page(
        invoice(state="paid"), cursor="x/1"
    )
    path = "/invoices?state=paid&customer=acme/corp&month=2026-03"
    _, _, text = await server.get(path, **server.signed_in())
    assert ">paid<" in text and "Receivable" not in text and len(gateway.calls) == 1
    assert 'href="/invoices?state=paid&amp;customer=acme%2Fcorp&amp;month=2026-03&amp;cursor=x%2F1"' in text
    gateway.answers[f"GET {API}?limit=50&state=void"] = page()
    assert "No invoice fits" in (await server.get("/invoices?state=void", **server.signed_in()))[2]
    for query in ("state=late", "customer=%00", "x=1"):
        assert (await server.get(f"/invoices?{query}", **server.signed_in()))[0] == 400


async def test_figures_that_are_not_of_all_say_so(server: Server, gateway: FakeGateway) -> None:
    final = f"GET {API}?limit=1000&state=final"
    gateway.answers[final] = page(invoice(), cursor="c")
    gateway.answers[f"{final}&cursor=c"] = page(invoice(due_at=iso(NOW - 1)), cursor="c")
    _, _, text = await server.get("/invoices", **server.signed_in())
    assert "of the 5 final invoices of the latest months" in text and "$53.56" in text and "4 invoices" in text


async def test_nothing_yet_says_what_to_do(server: Server, gateway: FakeGateway) -> None:
    for query in ("limit=50", "limit=1000&state=final", "limit=1000&state=draft"):
        gateway.answers[f"GET {API}?{query}"] = page()
    _, _, text = await server.get("/invoices", **server.signed_in())
    assert "No invoices yet" in text and 'href="/docs/invoices"' in text and "Not in Stripe" not in text


async def test_one_invoice_in_full(server: Server, gateway: FakeGateway) -> None:
    server.reads.named = {MINE: "Acme & Co"}
    status, _, text = await server.get("/invoices/INV-000001", **server.signed_in())
    assert status == 200 and "<script>alert" not in text and "<b>Acme" not in text and "&lt;b&gt;Acme" in text
    for words in (
        *("Acme &amp; Co", "1,920,000", "$0.000003", "$5.76", "−$0.0122", "by &lt;i&gt;", ">late<", "CN-000001"),
        *("Tax 19 % &lt;script&gt;", "$11.2478", "−$0.0022", "−$0.02", "INV-000001.pdf", "INV-000001.csv"),
        *("Record payment", "Void this invoice", "Mark as uncollectible", "Nothing was paid yet"),
        *('href="/events/65536"', 'href="/outcomes?customer=acme%2Fcorp&amp;status=closed"'),
    ):
        assert words in text, words
    assert "Not in Stripe" not in text
    gateway.answers[PUSHES]["pushes"] = [push("INV-000001")]
    _, _, text = await server.get("/invoices/INV-000001", **server.signed_in())
    assert "Not in Stripe: No e-mail &lt;x&gt;" in text and 'action="/invoices/INV-000001/push"' in text
    gateway.answers[f"GET {API}/INV-000001"] = answer(invoice(), lines=LINES * 101)
    _, _, text = await server.get("/invoices/INV-000001", **server.signed_in())
    assert "5 more lines are in the PDF and the CSV file" in text
    assert (await server.get("/invoices/INV-000077", **server.signed_in()))[0] == 404
    week = {"from": "2026-03-08T15:00:00.000Z", "to": "2026-03-15T15:00:00.000Z", "time_zone": "Asia/Tokyo"}
    assert "2026-03 (UTC)" in text
    gateway.answers[f"GET {API}/INV-000001"] = answer(invoice(**week))
    _, _, text = await server.get("/invoices/INV-000001", **server.signed_in())
    assert "2026-03-09 to 2026-03-15 (Asia/Tokyo)" in text and "(UTC)" not in text


@pytest.mark.parametrize(
    ("changes", "forms"),
    [
        ({}, {"payments", "void", "uncollectible"}),
        (
            {"payments": [{"reference": "<u>", "amount_cents": 1, "recorded_at": iso(NOW)}]},
            {"payments", "uncollectible"},
        ),
        ({"state": "uncollectible", "given_up_at": iso(NOW)}, {"payments", "void"}),
        ({"state": "void", "voided_at": iso(NOW)}, set()),
        ({"state": "paid", "paid_cents": 1339, "balance_cents": 0}, set()),
    ],
)
async def test_a_state_allows_what_the_table_says(
    server: Server, gateway: FakeGateway, changes: dict[str, Any], forms: set[str]
) -> None:
    gateway.answers[f"GET {API}/INV-000001"] = answer(invoice(**changes))
    _, _, text = await server.get("/invoices/INV-000001", **server.signed_in())
    assert {form for form in ("payments", "void", "uncollectible") if f'/INV-000001/{form}"' in text} == forms
    assert "<u>" not in text


async def test_a_payment_is_recorded_in_minor_units(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"POST {API}/INV-000001/payments"] = invoice()
    path = "/invoices/INV-000001/payments"
    status, headers, _ = await server.submit(path, reference=" wire 42 ", amount="1,125.50")
    assert (status, headers["Location"]) == (303, "/invoices/INV-000001?done=paid")
    sent = (f"POST {API}/INV-000001/payments", {"reference": "wire 42", "amount_cents": 112_550})
    assert gateway.calls[-1] == sent
    for form, says in (
        ({"amount": "1"}, "reference is required"),
        ({"reference": "w", "amount": "x"}, "amount must be"),
    ):
        status, _, text = await server.submit(path, **form)
        assert status == 400 and says in text and gateway.calls.count(sent) == 1
    gateway.answers[f"POST {API}/INV-000001/payments"] = Refusal(409, "conflict", "reference is <that> of another")
    status, _, text = await server.submit(path, reference="w<1>", amount="5")
    assert status == 400 and "reference is &lt;that&gt;" in text and 'value="w&lt;1&gt;"' in text
    assert "The payment is recorded" in (await server.get("/invoices/INV-000001?done=paid", **server.signed_in()))[2]


async def test_what_cannot_be_undone_is_confirmed(server: Server, gateway: FakeGateway) -> None:
    for action in ("void", "uncollectible"):
        gateway.answers[f"POST {API}/INV-000001/{action}"] = invoice()
        assert (await server.submit(f"/invoices/INV-000001/{action}"))[0] == 400
        assert gateway.calls == []
        status, headers, _ = await server.submit(f"/invoices/INV-000001/{action}", confirmed="yes")
        assert (status, headers["Location"]) == (303, f"/invoices/INV-000001?done={action}")
        assert gateway.calls.pop() == (f"POST {API}/INV-000001/{action}", None)


async def test_a_refused_push_is_pushed_again(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"POST {API}/INV-000001/push"] = push("INV-000001")
    assert (await server.submit("/invoices/INV-000001/push"))[1]["Location"] == "/invoices/INV-000001?done=push"
    status, headers, _ = await server.submit("/invoices/INV-000001/push", back="list")
    assert (status, headers["Location"]) == (303, "/invoices?done=push")
    assert "Rev brings it to Stripe now" in (await server.get("/invoices?done=push", **server.signed_in()))[2]


@pytest.mark.parametrize("action", ["payments", "void", "uncollectible", "push"])
async def test_no_form_is_taken_without_its_token(server: Server, gateway: FakeGateway, action: str) -> None:
    form = {"confirmed": "yes", "reference": "w", "amount": "1"}
    assert (await server.send("POST", f"/invoices/INV-000001/{action}", form, **server.signed_in()))[0] == 403
    assert gateway.calls == []


@pytest.mark.parametrize("kind", FILES)
async def test_the_files_are_those_of_the_api(server: Server, gateway: FakeGateway, kind: str) -> None:
    status, headers, text = await server.get(f"/invoices/INV-000001.{kind}", **server.signed_in())
    assert (status, text) == (200, FILES[kind][1].decode()) and headers["Content-Type"].startswith(FILES[kind][0])
    assert headers["Content-Disposition"] == f'attachment; filename="INV-000001.{kind}"'


async def test_a_file_comes_from_the_api_as_it_is(unused_tcp_port: int) -> None:
    """Bytes that are no text stay as they are; a refusal is one, and so are bytes where JSON is asked for."""

    async def file(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        if request.match_info["number"] == "1":
            return web.Response(body=b"%PDF\xff\x00", content_type="application/pdf")
        return web.json_response({"error": "there is no invoice", "code": "not_found"}, status=404)

    app = web.Application()
    app.router.add_get("/{number}", file)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    api, seen = GatewayApi(f"http://127.0.0.1:{unused_tcp_port}", "secret"), []
    assert await api.download("/1") == ("application/pdf", b"%PDF\xff\x00")
    for refused in (api.download("/2"), api.call("GET", "/1")):
        with pytest.raises(Refusal) as found:
            await refused
        seen.append((found.value.status, found.value.sentence))
    assert seen == [(404, "there is no invoice"), (503, "the API does not answer in JSON at the moment; try again")]
    await api.close()
    await runner.cleanup()


async def test_the_portal_shows_own_invoices_alone(server: Server, gateway: FakeGateway) -> None:
    """Another's invoice is as one that does not exist, word for word; nothing can be changed; test sees none."""
    _, _, text = await server.get("/portal/invoices", **signed_in(server))
    assert 'href="/portal/invoices/INV-000001"' in text and "INV-000002" not in text
    status, _, text = await server.get("/portal/invoices/INV-000001", **signed_in(server))
    assert status == 200 and "Record payment" not in text and "/customers/" not in text and ".csv" not in text
    assert "customer=" not in text and 'href="/portal/events/65536"' in text and 'href="/events' not in text
    status, _, text = await server.get("/portal/invoices/INV-000001.pdf", **signed_in(server))
    assert (status, text) == (200, "%PDF-1.4")
    gateway.calls.clear()
    for path in ("INV-000002", "INV-000002.pdf", "INV-000077", "INV-000077.pdf"):
        status, _, text = await server.get(f"/portal/invoices/{path}", **signed_in(server))
        assert status == 404 and "there is no invoice &#39;INV-0000" in text
    assert not any("format" in call for call, _ in gateway.calls)
    _, _, text = await server.get("/portal/invoices", **signed_in(server, test=True))
    assert "Test entries are not invoiced" in text and "INV-" not in text
    for path in ("INV-000001", "INV-000001.pdf"):
        assert (await server.get(f"/portal/invoices/{path}", **signed_in(server, test=True)))[0] == 404
    assert (await server.get("/portal/invoices?customer=other", **signed_in(server)))[0] == 400


async def test_a_portal_session_opens_no_page_of_the_owner(server: Server, gateway: FakeGateway) -> None:
    for path in ("/invoices", "/invoices/INV-000001", "/invoices/INV-000001.pdf"):
        status, headers, _ = await server.get(path, **signed_in(server))
        assert status == 303 and headers["Location"].startswith("/login?next=")
