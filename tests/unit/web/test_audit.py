"""/audit: what changed, in words."""

import json
import re
from typing import Any

import msgspec
import pytest

from schemas.commands import Rates
from schemas.config import Price
from schemas.objects import price_object
from schemas.quantities import QuantityRate
from tests.unit.web.conftest import NOW, Server
from warehouse.memory import LedgerRow
from warehouse.rows import AuditRow
from web.views.audit_view import audit_line

MARKUP = "<script>alert(1)</script>"


def change(type: str, detail: Any, **more: Any) -> AuditRow:
    text = detail if isinstance(detail, str) else msgspec.json.encode(detail).decode()
    return AuditRow(**{"event_id": 7, "type": type, "actor": "admin", "detail": text, "recorded_at": NOW, **more})


def key(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "customer_id": "acme", "api_key_masked": "rg_a...b", "is_active": True, "test": False, **changes}


def price(**changes: Any) -> str:
    rates = Rates("0.5", "0.0003", "0", (QuantityRate("input", "250", 10**6),))
    made = {"id": 1, "number": 1, "action_type": "chat", "rates": rates, "created_at": NOW, **changes}
    return bytes(price_object(Price(**made))).decode()


VOID = {
    "event_id": 9,
    "voided_event_id": 8,
    "outcome_id": None,
    "customer_id": "acme",
    "action": "chat",
    "total_cents": -147,
    "reason": "wrong",
}
BUDGET = {"scope": "agent", "value": "a1", "period": "month", "hard": True, "limit_cents": 500, "spent_cents": 125}
GRANT = {"amount_cents": 10000, "left_cents": 1.5, "expires_at": "2027-01-01T00:00:00.000Z", "reason": "Prepaid"}
SIGNUP = {"email": "a@example.com", "utm_source": "email", "utm_medium": None, "utm_campaign": "wave1"}
CUSTOMER = {"customer_id": "acme", "name": "Acme", "external_ids": {"crm": "A1"}, "test": True}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (change("key.created", key()), ("Created API key", "rg_a...b", "")),
        (change("key.created", key(test=True)), ("Created test key", "rg_a...b", "")),
        (change("key.created", key(customer_id="*")), ("Created platform key", "rg_a...b", "")),
        (change("key.revoked", key()), ("Revoked API key", "rg_a...b", "")),
        (
            change("pricing.updated", price()),
            (
                "Set the default price of",
                "chat",
                "Now $0.005 per event, $3.00 per million tokens, input $2.50 per million.",
            ),
        ),
        (
            change(
                "pricing.updated",
                price(customer_id="acme", model="m", is_active=False, ended_at=NOW, rates=Rates("0", "0", "0")),
            ),
            ("Ended the price of", "chat, model m", "It was free."),
        ),
        (
            change("customer.updated", CUSTOMER),
            ("Updated a customer", "", "Named Acme, in test mode, known as A1 in crm."),
        ),
        (change("meter.voided", VOID), ("Took back an event", "8", "$1.47 of chat: wrong")),
        (change("webhook.created", {"customer_id": "acme", "url": "https://x"}), ("Added a webhook", "https://x", "")),
        (change("budget.created", BUDGET), ("Set a budget", "a1", "Agent, hard: $5.00 a month, $1.25 spent.")),
        (
            change("budget.exceeded", {**BUDGET, "scope": "all", "value": "", "hard": False, "period": "total"}),
            ("Told that a budget is exceeded", "", "Everything, soft: $5.00 in all, $1.25 spent."),
        ),
        (
            change("credit.granted", {**GRANT, "category": "paid"}),
            ("Granted credit", "", "$100.00, paid for, until 2027-01-01T00:00:00.000Z: Prepaid"),
        ),
        (
            change("credit.granted", {**GRANT, "expires_at": None}),
            ("Granted credit", "", "$100.00, given for free: Prepaid"),
        ),
        (
            change("credit.expired", GRANT),
            ("Ended a grant of credit in its time", "", "$0.015 of it was not drawn: Prepaid"),
        ),
        (change("credit.low", {"balance_cents": 250}), ("Told that credit is low", "", "$2.50 can still be drawn.")),
        (
            change("billing_anchor.updated", {"customer_id": "acme", "billing_anchor": 15}),
            ("Set the billing anchor", "", "Its months begin on day 15."),
        ),
        (change("signup.created", SIGNUP), ("Signed up", "a@example.com", "By a link with email, wave1.")),
        (
            change("reservation.created", {"reservation_id": "rs_7", "amount_cents": 12}),
            ("Reserved", "rs_7", "$0.12."),
        ),
        (change("later.thing", {"customer_id": "acme"}), ("later.thing", "", "")),
        (change("key.created", "{}"), ("key.created", "", "")),
        (change("key.created", "no json"), ("key.created", "", "")),
    ],
)
def test_a_change_is_told_in_words(row: AuditRow, words: tuple[str, str, str]) -> None:
    line = audit_line(row)
    assert (line.change, line.object, line.more) == words
    assert line.detail == row.detail


async def test_the_trail_is_paged(server: Server) -> None:
    """Every entry is on one page, the newest first, though several have the same time."""
    rows = [entry(number, recorded_at=NOW + number // 3) for number in range(120)]
    server.ledger.rows = rows
    path, seen = "/audit", list[str]()
    while path:
        status, _, text = await server.get(path, **server.signed_in())
        assert status == 200
        seen += [part.split("<")[0] for part in text.split("<code>rg_")[1:]]
        path = text.split('class="quiet-button" href="')[1].split('"')[0] if "Show older" in text else ""
    assert seen == [str(number) for number in reversed(range(120))]


async def test_the_trail_is_filtered_and_so_is_its_export(server: Server) -> None:
    """Reservations, which events make by themselves, are shown if they are asked for."""
    held = {"reservation_id": "rs_9", "amount_cents": 1, "customer_id": "other"}
    server.ledger.rows = [
        entry(1),
        entry(2, actor="carol", customer="other"),
        LedgerRow("config", 3, config_type="reservation.created", detail=json.dumps(held), recorded_at=NOW),
    ]
    for query, shown in (
        ("", {"rg_1", "rg_2"}),
        ("?about=key&customer=other", {"rg_2"}),
        ("?actor=admin", {"rg_1"}),
        ("?about=reservation", {"rs_9"}),
        ("?about=pricing", set()),
    ):
        _, _, text = await server.get(f"/audit{query}", **server.signed_in())
        assert set(re.findall(r"<code>(r[gs]_\d)</code>", text)) == shown
        assert f"/export/audit.csv{query.replace('&', '&amp;')}" in text
        _, _, text = await server.get(f"/export/audit.csv{query}", **server.signed_in())
        assert len(text.splitlines()) == 1 + len(shown)
    assert "No change fits" in (await server.get("/audit?actor=nobody", **server.signed_in()))[2]
    assert (await server.get("/audit?about=x", **server.signed_in()))[0] == 400


async def test_markup_is_shown_as_text(server: Server) -> None:
    server.ledger.rows = [entry(1, actor=MARKUP, mask=MARKUP, customer=MARKUP)]
    server.reads.named = {MARKUP: MARKUP}
    _, _, text = await server.get("/audit", **server.signed_in())
    assert text.count("&lt;script&gt;") >= 4 and "<script>" not in text


async def test_a_wrong_place_is_refused(server: Server) -> None:
    for before in ("", "x", "1", "1.", "9999999999999.1", "1.99999999999999999999"):
        assert (await server.get(f"/audit?before={before}", **server.signed_in()))[0] == 400
    status, _, text = await server.get("/audit", **server.signed_in())
    assert status == 200 and "No changes yet" in text


def entry(
    number: int, recorded_at: int = NOW, actor: str = "admin", mask: str = "", customer: str = "acme"
) -> LedgerRow:
    detail = key(api_key_masked=mask or f"rg_{number}", customer_id=customer)
    return LedgerRow(
        kind="config",
        event_id=number,
        config_type="key.created",
        actor=actor,
        detail=msgspec.json.encode(detail).decode(),
        recorded_at=recorded_at,
    )
