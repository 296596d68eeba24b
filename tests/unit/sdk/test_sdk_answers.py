"""What revgrid makes of answers: exact amounts, typed models, typed errors."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import revgrid
from pricer import prices
from revgrid import models
from revgrid.errors import class_of
from revgrid.models import Event, InvoiceList, MeterResponse, Outcome, PriceLine, Pricing, Usage, Webhook
from revgrid.reading import read, refusal
from schemas import meter_responses, state
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.money import format_cents, parse_cents
from schemas.quantities import QuantityRate
from schemas.replies import Receipt
from tests.unit.sdk.scripted import METERED, answer

STANDING = {
    "task_id": "t",
    "outcome_id": "oc_42",
    "status": "succeeded",
    "success": True,
    "charge_cents": 4900.5,
    "resolved_at": "2027-04-29T20:00:01.000Z",
    "voided": False,
}


def test_invoices_are_read_as_the_documents_show_them() -> None:
    """Exact amounts are Decimal, what is billed is whole cents, and `from` and `to` are start and end."""
    text = (Path(__file__).parents[3] / "docs" / "invoices.md").read_text()
    shown = re.search(r'^    (\{"invoices": .*?\n)\n', text, re.M | re.S)
    assert shown is not None
    (one,) = read(InvoiceList, answer(200, shown[1].encode())).invoices
    assert (one.number, one.state, one.total_cents, one.carried_out_cents) == (
        "INV-000001",
        "final",
        1125,
        Decimal("-0.22"),
    )
    assert (one.start, one.end) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert (one.bill_to, one.payments, one.voided_at, one.time_zone) == (models.BillTo(), (), None, None)


def test_a_metered_event_is_read_whole() -> None:
    """Every field, the amounts as the very text of the answer."""
    made = read(MeterResponse, answer(201, METERED))
    assert made.price is not None and made.price_breakdown is not None
    assert made.price.total_cents == Decimal("1.47") and str(made.price.total_cents) == "1.47"
    assert str(made.price.config.token_rate_cents) == "0.0003" and made.price.config.is_default is True
    assert (made.price_charged, made.price_breakdown.tokens) == (Decimal("0.0147"), Decimal("0.0072"))
    assert made.event.tokens == 2400 and made.event.tokens_input is None
    assert made.created_at == datetime(2026, 4, 26, 12, tzinfo=UTC) and made.status == "priced"


def test_quantities_and_their_lines_are_read_exactly() -> None:
    """As the gateway renders them; an answer without any has none, and costs nothing for them."""
    rates = Rates("0.5", "0.0003", "0", (QuantityRate("audio_seconds", "0.6", 60), QuantityRate("images", "4")))
    event = MeterEvent("a", "chat", 2, 2, 0, quantities={"audio_seconds": "12.5", "images": "2"})
    price = state.InstalledPrice(1, "chat", rates, 7, model="gpt", provider="openai")
    cost = prices.amounts(prices.parsed_price(state.encode(price)), event)
    receipt = Receipt(
        event_id=1,
        recorded_at=0,
        price=PriceRef(1, "chat", rates, 7, model="gpt", provider="openai"),
        **dict(zip(("base", "token", "bonus", "quantity", "total", "lines"), cost, strict=True)),
    )
    made = read(MeterResponse, answer(201, meter_responses.metered("acme", event, receipt)))
    assert made.price is not None and made.price_breakdown is not None
    assert made.price.lines == (
        PriceLine("tokens", Decimal(2), Decimal("0.0003"), 1, Decimal("0.0006")),
        PriceLine("audio_seconds", Decimal("12.5"), Decimal("0.6"), 60, Decimal("0.125")),
        PriceLine("images", Decimal(2), Decimal(4), 1, Decimal(8)),
    )
    assert made.price.breakdown.quantity_charge_cents == Decimal("8.125")
    assert made.price_breakdown.quantities == Decimal("0.08125")
    assert (made.price.config.model, made.price.config.provider) == ("gpt", "openai")
    rate = models.QuantityRate(Decimal("0.6"), 60)
    assert made.price.config.rates == {"audio_seconds": rate, "images": models.QuantityRate(Decimal(4), 1)}
    assert made.event.quantities == {"input": 2, "output": 0, "audio_seconds": Decimal("12.5"), "images": 2}
    assert made.event.quantities is not None and type(made.event.quantities["audio_seconds"]) is Decimal
    plain = read(MeterResponse, answer(201, METERED))
    assert plain.price is not None and plain.price_breakdown is not None
    assert (plain.price.lines, plain.price.breakdown.quantity_charge_cents) == ((), 0)
    assert (plain.price_breakdown.quantities, plain.event.quantities, plain.price.config.rates) == (0, None, None)


def test_a_row_of_the_price_list_has_its_rates() -> None:
    """For which model, with which rates, and whether it ignores other quantities."""
    rates = {"action_type": "chat", "base_rate_cents": 0.5, "token_rate_cents": 0, "outcome_bonus_cents": 0}
    scoped = {"model": "gpt", "rates": {"cache_read": {"rate": 30, "per": 1000000}}, "ignore_unknown": True}
    rows = [{**rates, "is_custom": True, **scoped}, {**rates, "is_custom": False}]
    first, second = read(Pricing, answer(200, {"customer_id": "a", "configs": rows})).configs
    assert (first.model, first.provider, first.ignore_unknown) == ("gpt", None, True)
    assert first.rates == {"cache_read": models.QuantityRate(Decimal(30), 1_000_000)}
    assert (second.model, second.rates, second.ignore_unknown) == (None, None, False)


@given(st.integers(-(10**30), 10**30))
def test_amounts_are_exact_at_any_size(pico: int) -> None:
    """What the server prints is what Decimal holds, to the last of 12 decimals, far beyond a float."""
    text = format_cents(pico)
    made = read(Outcome, answer(200, f'{{"status": "succeeded", "charge_cents": {text}}}'.encode()))
    assert f"{made.charge_cents:f}" == text and parse_cents(text) == pico


def test_whole_amounts_are_decimals_too() -> None:
    """4900 prints as 4900, and dollars format as the reference's example does."""
    assert str(read(Outcome, answer(200, {"status": "succeeded", "charge_cents": 4900})).charge_cents) == "4900"
    body = {
        "customer_id": "a",
        "period": "7d",
        "from": "2026-04-20T00:00:00.000Z",
        "to": None,
        "summary": {
            "total_events": 1,
            "total_cents": 4523,
            "total_dollars": 45.2,
            "total_tokens": 0,
            "unique_agents": 1,
        },
        "by_action": [{"action": "chat", "event_count": 1, "total_cents": 0.1}],
    }
    usage = read(Usage, answer(200, body))
    assert f"${usage.summary.total_dollars:.2f}" == "$45.20"
    assert (usage.start, usage.end) == (datetime(2026, 4, 20, tzinfo=UTC), None)
    assert usage.by_action[0].total_cents == Decimal("0.1") and usage.by_action[0].agent_id is None


def test_free_form_objects_come_back_as_they_were_sent() -> None:
    """In metadata a number with a point is a float again, at any depth: it is not money."""
    sent = {"score": 0.25, "tags": ["a", 1, {"p": 1.5, "none": None}], "deep": {"ok": True}}
    made = read(Event, answer(200, {"event_id": 1, "status": "priced", "metadata": sent}))
    assert made.metadata == sent and made.metadata is not None and type(made.metadata["score"]) is float


def test_fields_of_a_newer_server_are_left_out() -> None:
    """Answers may carry more, never less."""
    newer = {**METERED, "carbon_grams": 3, "event": {**METERED["event"], "mood": "good"}}  # type: ignore[dict-item]
    assert read(MeterResponse, answer(201, newer)) == read(MeterResponse, answer(201, METERED))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello</html>",
        b"",
        b"[]",
        b"\xff",
        json.dumps({name: value for name, value in METERED.items() if name != "event_id"}).encode(),
        json.dumps({**METERED, "event_id": "42"}).encode(),
        json.dumps({**METERED, "event_id": True}).encode(),
        json.dumps({**METERED, "created_at": "2026-04-26T12:00:00"}).encode(),
        json.dumps({**METERED, "price_charged": float("nan")}).encode(),
        json.dumps({**METERED, "price": []}).encode(),
    ],
)
def test_an_answer_that_is_not_revs_is_an_error_with_the_key(body: bytes) -> None:
    """It may have been charged, so the error says under which key to ask again."""
    with pytest.raises(revgrid.InvalidAnswerError) as raised:
        read(MeterResponse, answer(201, body), "k")
    assert (raised.value.status, raised.value.idempotency_key) == (201, "k")


ERRORS: list[tuple[int, type[revgrid.RefusedError]]] = [
    (302, revgrid.RefusedError),
    (400, revgrid.InvalidRequestError),
    (401, revgrid.UnauthorizedError),
    (403, revgrid.ForbiddenError),
    (404, revgrid.NotFoundError),
    (405, revgrid.InvalidRequestError),
    (402, revgrid.PaymentRequiredError),
    (409, revgrid.ConflictError),
    (413, revgrid.InvalidRequestError),
    (415, revgrid.InvalidRequestError),
    (417, revgrid.InvalidRequestError),
    (418, revgrid.RefusedError),
    (429, revgrid.TooManyRequestsError),
    (500, revgrid.UnavailableError),
    (503, revgrid.UnavailableError),
    (504, revgrid.UnavailableError),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_each_status_has_its_error(status: int, kind: type[revgrid.RefusedError]) -> None:
    """Class, code, message and request id, all of them RevErrors."""
    error = refusal(answer(status, {"error": "agent_id is required", "code": "c", "request_id": "r"}), "k")
    assert type(error) is kind and isinstance(error, revgrid.RevError)
    assert (error.status, error.code, error.request_id, error.idempotency_key) == (status, "c", "r", "k")
    assert str(error) == f"{status} c: agent_id is required (request r)" and error.message == "agent_id is required"


@given(st.integers(100, 999))
def test_every_status_has_an_error(status: int) -> None:
    """5xx are UnavailableErrors, whatever a proxy makes up."""
    assert issubclass(class_of(status), revgrid.UnavailableError) == (status >= 500)


def test_a_refusal_by_a_budget_has_the_budget() -> None:
    fields = ("customer_id", "scope", "value", "period", "created_at")
    budget = {"id": 7, **dict.fromkeys(fields, "2026-04-26T12:00:00.000Z"), "limit_cents": 10, "hard": True}
    body = {"error": "e", "code": "budget_exceeded", "budget": {**budget, "spent_cents": 9, "left_cents": 1}}
    error = refusal(answer(402, body))
    assert isinstance(error, revgrid.PaymentRequiredError) and error.budget is not None
    assert (error.budget.id, error.budget.left_cents, error.balance_cents) == (7, 1, None)
    short = refusal(answer(402, b'{"error": "e", "code": "insufficient_credit", "balance_cents": 0.2}'))
    assert isinstance(short, revgrid.PaymentRequiredError) and short.balance_cents == Decimal("0.2")


def test_a_conflict_carries_the_current_state() -> None:
    """Where the outcome stands, with its exact charge."""
    body = {"error": "no", "code": "outcome_closed", "request_id": "r", "outcome": STANDING}
    error = refusal(answer(409, body))
    assert isinstance(error, revgrid.ConflictError) and error.outcome is not None
    assert (error.outcome.status, error.outcome.charge_cents) == ("succeeded", Decimal("4900.5"))
    assert (error.outcome.task_id, error.outcome.outcome_id, error.outcome.voided) == ("t", "oc_42", False)


def test_a_batchs_errors_are_told_by_index() -> None:
    """Which event, and what is wrong with it."""
    body: dict[str, Any] = {"error": "no", "code": "invalid_request", "errors": [{"index": 3, "error": "bad"}]}
    assert refusal(answer(400, body)).errors == (revgrid.BatchError(3, "bad"),)


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"[1]", b'{"errors": 5}', b'{"outcome": "x"}'])
def test_a_proxys_page_is_still_an_error_of_its_status(body: bytes) -> None:
    """Without a code; the request id is that of the header, if there is one."""
    error = refusal(answer(502, body, X_Request_Id="r-9"))
    assert type(error) is revgrid.UnavailableError and (error.code, error.request_id) == (None, "r-9")
    assert error.message == body.decode()
    assert refusal(answer(502, b"")).message == "the response gives no reason"


def test_the_secret_of_an_endpoint_is_not_shown_by_accident() -> None:
    """repr leaves it out."""
    fields = {"id": 1, "customer_id": "a", "url": "u", "events": ["*"], "active": True, "secret": "whsec_s"}
    made = read(Webhook, answer(201, {**fields, "created_at": "2026-04-26T12:00:00.000Z"}))
    assert made.secret == "whsec_s" and "whsec_s" not in repr(made) and made.events == ("*",)
