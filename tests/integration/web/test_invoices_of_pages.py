"""The pages of an invoice on a running stack: its lines are the ledger's, lead to their events, and can be paid."""

import re
from collections.abc import Awaitable, Callable
from html import unescape

import pytest

from tests.integration.web.invoiced_month import CUSTOMER, EVENTS, MODEL, invoice_number
from tests.integration.web.owner import Owner

pytestmark = pytest.mark.integration


async def test_a_line_is_followed_to_its_events(owner: Owner, eventually: Callable[..., Awaitable[None]]) -> None:
    """In two clicks: the events of the line, then one of them. The sum of the lines is that of the entries."""
    number = await invoice_number(owner, eventually, "Northwind <b>")
    session = await owner.sign_in()
    listed = await (await owner.page("GET", "/invoices", Cookie=session)).text()
    assert f'href="/invoices/{number}"' in listed and "Receivable" in listed
    shown = await (await owner.page("GET", f"/invoices/{number}", Cookie=session)).text()
    (row,) = await owner.sql(
        f"SELECT sum(total_cents) AS cents FROM rev.entries WHERE customer_id = '{CUSTOMER}' AND NOT test"
    )
    found = re.search(r'title="Lines">Lines</td><td class="n"><data class="money" value="([0-9.]+)"', shown)
    assert found and found[1] == row["cents"].rstrip("0").rstrip(".")
    lines = re.findall(r'href="(/events\?[^"]+)"', shown)
    assert len(lines) == 2, "the event itself and its tokens"
    for line in map(unescape, lines):
        events = await (await owner.page("GET", line, Cookie=session)).text()
        ids = set(re.findall(r'class="stretch" href="(/events/[0-9]+)"', events))
        assert len(ids) == EVENTS
    event = await (await owner.page("GET", ids.pop(), Cookie=session)).text()
    assert MODEL not in event and CUSTOMER in event
    file = await owner.page("GET", f"/invoices/{number}.pdf", Cookie=session)
    assert (file.status, file.content_type) == (200, "application/pdf")
    assert (await file.text("latin-1")).startswith("%PDF-")


async def test_a_payment_is_recorded_once(owner: Owner, eventually: Callable[..., Awaitable[None]]) -> None:
    number = await invoice_number(owner, eventually, "Northwind <b>")
    session = await owner.sign_in()
    shown = await (await owner.page("GET", f"/invoices/{number}", Cookie=session)).text()
    token = re.search(r'name="form_token" value="([^"]+)"', shown)
    assert token
    form = {"form_token": token[1], "reference": "wire 1", "amount": "0.01"}
    for _ in range(2):
        answer = await owner.page("POST", f"/invoices/{number}/payments", form, Cookie=session)
        assert (answer.status, answer.headers["Location"]) == (303, f"/invoices/{number}?done=paid")
    _, found = await owner.call("GET", f"/api/admin/invoices/{number}")
    assert found["invoice"]["paid_cents"] == 1
    answer = await owner.page("POST", f"/invoices/{number}/void", {**form, "confirmed": "yes"}, Cookie=session)
    assert answer.status == 409 and "has payments" in await answer.text()
