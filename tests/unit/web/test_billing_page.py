"""A customer's billing: on its page with its invoices, and the form that changes it."""

from typing import Any

import pytest

from tests.unit.web.conftest import Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_customers import API, INVOICES, PATH, billing, gateway
from tests.unit.web.test_invoices_page import invoice
from web.views import billing_form
from web.web_refusals import Refusal, away

__all__ = ["gateway"]
ADDRESS = {"name": "<b>Acme", "email": "pay@acme.example", "postal_code": "10115", "city": "Berlin", "country": "DE"}
BILLING: dict[str, Any] = {"currency": "eur", "tax_percent": 19, "tax_reason": "German <VAT>"}


async def test_a_customer_is_shown_with_its_invoices_and_billing(server: Server, gateway: FakeGateway) -> None:
    _, _, text = await server.get(PATH, **server.signed_in())
    assert "It has no invoice yet" in text and "Without an e-mail address" in text and "no address" in text
    gateway.answers[f"GET {API}/billing"] = billing(**BILLING, bill_to=ADDRESS)
    gateway.answers[INVOICES] = {"invoices": [invoice(currency="eur")], "next_cursor": None}
    _, _, text = await server.get(PATH, **server.signed_in())
    for words in (
        *("19 % German &lt;VAT&gt;", "&lt;b&gt;Acme<br>", "10115 Berlin", "13.39 EUR", f'href="{PATH}/billing"'),
        *('href="/invoices/INV-000001"', 'href="/invoices?customer=acme/corp"'),
    ):
        assert words in text, words
    assert "Without an e-mail address" not in text


async def test_a_customer_is_shown_while_no_collector_answers(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[INVOICES] = away("no collector answers")
    status, _, text = await server.get(PATH, **server.signed_in())
    assert status == 200 and "Invoices cannot be read at the moment" in text


async def test_the_form_holds_what_is_set_and_sends_what_is_given(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"GET {API}/billing"] = billing(**BILLING, bill_to=ADDRESS)
    status, _, text = await server.get(f"{PATH}/billing", **server.signed_in())
    assert status == 200 and 'value="&lt;b&gt;Acme"' in text and '<option value="eur" selected>' in text
    gateway.answers[f"PUT {API}/billing"] = billing()
    form = billing_form.fields_of(billing(**BILLING, bill_to=ADDRESS))
    status, headers, _ = await server.submit(f"{PATH}/billing", **{**form, "country": " de"})
    assert (status, headers["Location"]) == (303, f"{PATH}/billing?done=1")
    sent = {**BILLING, "tax_percent": "19", "payment_terms_days": 30, "bill_to": ADDRESS}
    sent |= {"billing_interval": "month", "billing_anchor": 1, "time_zone": "UTC"}
    assert gateway.calls[-1] == (f"PUT {API}/billing", sent)
    assert "It holds from the next invoice on" in (await server.get(headers["Location"], **server.signed_in()))[2]
    await server.submit(f"{PATH}/billing")
    assert gateway.calls[-1][1] == {}, "what is empty gets the API's default"


async def test_periods_are_kept_by_a_save(server: Server, gateway: FakeGateway) -> None:
    """A form that did not hold them would set them back."""
    own = {"billing_interval": "week", "billing_anchor": 7, "time_zone": "Asia/Tokyo", "invoice_threshold_cents": 5000}
    gateway.answers[f"GET {API}/billing"] = billing(**own)
    _, _, text = await server.get(f"{PATH}/billing", **server.signed_in())
    for words in ('<option value="week" selected>', 'value="7"', 'value="Asia/Tokyo"', 'value="5000"'):
        assert words in text, words
    gateway.answers[f"PUT {API}/billing"] = billing(**own)
    await server.submit(f"{PATH}/billing", **billing_form.fields_of(billing(**own)))
    assert own.items() <= gateway.calls[-1][1].items()


@pytest.mark.parametrize("days", ["x", "-1", "1.5", "٣", "1000000"])
async def test_days_that_are_none_are_not_sent(server: Server, gateway: FakeGateway, days: str) -> None:
    status, _, text = await server.submit(f"{PATH}/billing", payment_terms_days=days, name="kept")
    assert status == 400 and "payment_terms_days must be" in text and 'value="kept"' in text
    assert not any(call.startswith("PUT") for call, _ in gateway.calls)


async def test_a_refusal_is_shown_in_the_form(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[f"PUT {API}/billing"] = Refusal(409, "conflict", "currency must stay <usd>")
    status, _, text = await server.submit(f"{PATH}/billing", currency="eur")
    assert status == 400 and "currency must stay &lt;usd&gt;" in text and '<option value="eur" selected>' in text
    gateway.answers[f"PUT {API}/billing"] = away("no collector answers")
    assert (await server.submit(f"{PATH}/billing"))[0] == 503
    assert (await server.send("POST", f"{PATH}/billing", {}, **server.signed_in()))[0] == 403
