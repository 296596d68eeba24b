"""revgrid against the real gateway: what the answers become, and the errors."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import revgrid
from tests.integration.sdk.here import Here

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def client_of(here: Here, customer: str) -> revgrid.Rev:
    return revgrid.Rev(api_key=here.key(customer), base_url=here.url)


async def test_an_accepted_event_gets_its_price(here: Here, eventually: Eventually) -> None:
    """Without waiting for the price: accepted, then priced; its metadata and time come back."""
    at = TOMORROW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    with client_of(here, "sdk-accepted") as client:
        made = client.meter(
            agent_id="a", action="completion", tokens=2400, timestamp=at, metadata={"x": 0.5}, respond_async=True
        )
        assert (made.status, made.price, made.price_charged, made.event.tokens) == ("accepted", None, None, 2400)
        await eventually(lambda: client.event(made.event_id).status == "priced")
        shown = client.event(made.event_id)
        assert shown.price is not None and shown.price.total_cents == Decimal("1.22")
        assert (shown.timestamp, shown.metadata) == (at, {"x": 0.5})
        batch = client.meter_batch([{"agent_id": "a", "action": "chat"}], respond_async=True)
        assert (batch.status, batch.total_cents, batch.results[0].status) == ("accepted", None, "accepted")
        days = client.usage(start=at, end=at + timedelta(days=1), group_by="day")
        assert days.start == at and [row.day for row in days.groups] == [at.date().isoformat()]


def test_what_each_action_costs(here: Here) -> None:
    """The default prices, exactly."""
    with client_of(here, "sdk-pricing") as client:
        chat = next(row for row in client.pricing().configs if row.action_type == "chat")
    assert (str(chat.base_rate_cents), str(chat.token_rate_cents), chat.is_custom) == ("0.1", "0.0001", False)


def test_refusals_are_typed_and_tell_why(here: Here) -> None:
    """400 names the field, 401 and 404 say so, each with code and request id."""
    with client_of(here, "sdk-refused") as client:
        with pytest.raises(revgrid.InvalidRequestError, match="no price for action") as raised:
            client.meter(agent_id="a", action="unheard-of")
        assert raised.value.code == "invalid_request" and raised.value.request_id
        with pytest.raises(revgrid.InvalidRequestError) as raised:
            client.meter_batch([{"agent_id": "a", "action": "chat"}, {"agent_id": "a", "action": "chat", "tokns": 1}])
        assert [error.index for error in raised.value.errors] == [1] and "tokens" in raised.value.errors[0].error
        with pytest.raises(revgrid.NotFoundError):
            client.outcome("no/such?task")
        with pytest.raises(revgrid.NotFoundError):
            client.delete_webhook(999_999)
        with pytest.raises(revgrid.ForbiddenError):
            client.usage(customer_id="somebody-else")
    with revgrid.Rev(api_key="rg_unknown", base_url=here.url) as client, pytest.raises(revgrid.UnauthorizedError):
        client.pricing()


def test_conflicts_carry_the_current_state(here: Here) -> None:
    """A key with another body; a task that exists; a verdict against the one that was given."""
    with client_of(here, "sdk-conflict") as client:
        client.meter(agent_id="a", action="chat", idempotency_key="Schlüssel ☃")
        with pytest.raises(revgrid.ConflictError) as raised:
            client.meter(agent_id="a", action="search", idempotency_key="Schlüssel ☃")
        assert raised.value.code == "idempotency_conflict" and raised.value.idempotency_key == "Schlüssel ☃"
        opened = client.register_outcome(task_id="t/1?", agent_id="a", price_on_success=500, expires_at=TOMORROW)
        assert opened.expires_at is not None and abs(opened.expires_at - TOMORROW) < timedelta(milliseconds=1)
        with pytest.raises(revgrid.ConflictError) as raised:
            client.register_outcome(task_id="t/1?", agent_id="a", price_on_success=1, expires_at=TOMORROW)
        assert raised.value.outcome is not None and raised.value.outcome.outcome_id == opened.outcome_id
        assert client.resolve_outcome("t/1?", success=True).charge_cents == 500
        assert client.resolve_outcome("t/1?", success=True).charge_cents == 500
        with pytest.raises(revgrid.ConflictError) as raised:
            client.resolve_outcome("t/1?", success=False)
        assert raised.value.code == "outcome_closed" and raised.value.outcome is not None
        assert raised.value.outcome.status == "succeeded" and raised.value.outcome.charge_cents == 500


def test_a_platform_key_names_the_customer(here: Here) -> None:
    """Everywhere: in bodies and in queries."""
    with client_of(here, "*") as client:
        made = client.meter(agent_id="a", action="chat", customer_id="sdk-tenant")
        assert made.event.customer_id == "sdk-tenant"
        assert client.event(made.event_id, customer_id="sdk-tenant").event_id == made.event_id
        assert client.pricing(customer_id="sdk-tenant").customer_id == "sdk-tenant"
        client.register_outcome(
            task_id="t", agent_id="a", price_on_success=0, expires_at=TOMORROW, customer_id="sdk-tenant"
        )
        assert client.resolve_outcome("t", success=False, customer_id="sdk-tenant").status == "failed"
        assert client.outcome("t", customer_id="sdk-tenant").customer_id == "sdk-tenant"


async def test_the_callers_own_numbers_come_back_with_all_their_digits(here: Here, eventually: Eventually) -> None:
    """Through the log and the ledger: Decimals, also such as no float holds."""
    own = {
        "cost": Decimal("12345678901234567890.123456789012"),
        "tiny": Decimal("1E-30"),
        "half": Decimal("0.5"),
        "n": 7,
    }
    with client_of(here, "sdk-numbers") as client:
        made = client.meter(agent_id="a", action="chat", metadata=own)
        await eventually(lambda: client.event(made.event_id).metadata is not None)
        shown = client.event(made.event_id).metadata
        assert shown == {"cost": own["cost"], "tiny": 1e-30, "half": 0.5, "n": 7}
        opened = client.register_outcome(
            task_id="t",
            agent_id="a",
            price_on_success=Decimal("500.123456789012"),
            expires_at=TOMORROW,
            success_criteria=own,
        )
        assert opened.price_on_success_cents == Decimal("500.123456789012") and opened.success_criteria == shown


async def test_quantities_are_priced_by_their_rates(here: Here, eventually: Eventually) -> None:
    """At the rates of the customer's price for the model; the lines, the ledger and the price list say the same."""
    rates = {"images": 4, "audio_seconds": {"rate": "0.6", "per": 60}}
    here.set_price(customer_id="sdk-quantities", action_type="draw", base_rate_cents=1, model="gpt", rates=rates)
    with client_of(here, "sdk-quantities") as client:
        await eventually(lambda: any(row.action_type == "draw" for row in client.pricing().configs))
        row = next(row for row in client.pricing().configs if row.action_type == "draw")
        assert row.rates is not None and row.rates["audio_seconds"] == revgrid.QuantityRate(Decimal("0.6"), 60)
        quantities = {"images": 2, "audio_seconds": Decimal("12.5")}
        made = client.meter(agent_id="a", action="draw", model="gpt", tokens_cache_read=30, quantities=quantities)
        assert made.price is not None
        assert {line.component: line.cents for line in made.price.lines} == {
            "tokens": 0,
            "audio_seconds": Decimal("0.125"),
            "images": 8,
        }
        assert (made.price.total_cents, made.price.breakdown.quantity_charge_cents) == (
            Decimal("9.125"),
            Decimal("8.125"),
        )
        assert made.event.quantities == {"cache_read": 30, **quantities}
        await eventually(lambda: client.event(made.event_id).status == "priced")
        shown = client.event(made.event_id)
        assert (shown.price, shown.event) == (made.price, made.event)
        with pytest.raises(revgrid.InvalidRequestError, match=r"quantities\.pages must have a rate"):
            client.meter(agent_id="a", action="draw", model="gpt", quantities={"pages": 1})


async def test_what_is_owed_is_what_was_priced(here: Here, eventually: Eventually) -> None:
    """Line by line, and the same for the same moment; no month of this server has ended, so there is no invoice."""
    with client_of(here, "sdk-statement") as client:
        made = [client.meter(agent_id="a", action="completion", tokens=tokens) for tokens in (2400, 1)]
        due = sum(one.price.total_cents for one in made if one.price is not None)
        await eventually(lambda: client.statement().due_cents == due)
        owed = client.statement()
        assert sum(line.amount_cents for line in owed.lines) == owed.subtotal_cents == due
        assert {line.kind for line in owed.lines} == {"usage"} and owed.currency == "usd" and not owed.test
        client.meter(agent_id="a", action="completion", tokens=7)
        assert client.statement(month=owed.month, as_of=owed.as_of) == owed
        assert client.invoices(month="2020-01").invoices == ()
        with pytest.raises(revgrid.NotFoundError):
            client.invoice("INV-999999")


def test_mode_and_warnings_are_told(here: Here) -> None:
    """A live key's answers say test False; a platform key's near miss of a known customer is told."""
    with client_of(here, "sdk-modes") as client:
        made = client.meter(agent_id="a", action="chat")
        assert (made.test, made.warnings, client.usage().test) == (False, (), False)
    with client_of(here, "*") as client:
        near = client.meter(agent_id="a", action="chat", customer_id="sdk-Modes")
        assert len(near.warnings) == 1 and "sdk-modes" in near.warnings[0]
        batch = client.meter_batch([{"agent_id": "a", "action": "chat"}], customer_id="SDK-modes")
        assert len(batch.warnings) == 2 and batch.test is False
