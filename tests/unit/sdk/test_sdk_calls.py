"""The requests that revgrid builds."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.bodies import EventBody, OutcomeBody, ResolveBody
from ingest.counts import quantity
from revgrid import calls

MOMENT = datetime(2027, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def body(call: Any) -> Any:
    return json.loads(call.body)


def test_meter_has_every_field_that_the_gateway_knows() -> None:
    """The names are the gateway's own, so none is a misspelling, and none is missing."""
    apart = ("idempotency_key", "metadata", "quantities")
    given = {name: "x" for name in EventBody.__struct_fields__ if name not in apart}
    call = calls.meter(**given, metadata={}, quantities={}, idempotency_key="k")  # type: ignore[arg-type]
    assert set(body(call)) == set(EventBody.__struct_fields__) - {"idempotency_key"} and call.key == "k"


def test_outcome_calls_have_every_field_that_the_gateway_knows() -> None:
    """The same for registrations and verdicts."""
    given = {name: "1" for name in OutcomeBody.__struct_fields__ if name != "idempotency_key"}
    assert set(body(calls.register_outcome(**given))) == set(given)  # type: ignore[arg-type]
    given = {name: "1" for name in ResolveBody.__struct_fields__ if name != "idempotency_key"}
    assert set(body(calls.resolve_outcome("t", **given))) == set(given)  # type: ignore[arg-type]


def test_what_is_none_is_left_out() -> None:
    """Also in the events of a batch; false and zero stay."""
    assert body(calls.meter(agent_id="a", action="chat", tokens=0)) == {"agent_id": "a", "action": "chat", "tokens": 0}
    batch = calls.meter_batch([{"agent_id": "a", "action": "chat", "outcome": None, "idempotency_key": "own"}])
    assert body(batch) == {"events": [{"agent_id": "a", "action": "chat", "idempotency_key": "own"}]}
    assert body(calls.resolve_outcome("t", success=False)) == {"success": False}


@pytest.mark.parametrize(
    "moment", [MOMENT, MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))), "2027-01-02T03:04:05.678Z"]
)
def test_times_with_a_zone_are_taken_anywhere(moment: Any) -> None:
    """As datetimes or as text, in fields, batches, metadata and queries."""
    event = {"agent_id": "a", "action": "b", "timestamp": moment, "metadata": {"at": [moment]}}
    sent = [
        body(calls.meter(agent_id="a", action="b", expires_at=moment))["expires_at"],
        body(calls.meter_batch([event]))["events"][0]["timestamp"],
        body(calls.meter_batch([event]))["events"][0]["metadata"]["at"][0],
        dict(parse_qsl(urlsplit(calls.usage(start=moment).path).query))["from"],
    ]
    assert {datetime.fromisoformat(text) for text in sent} == {MOMENT} and len(set(sent)) == 1


def test_a_time_without_a_zone_is_refused_before_anything_is_sent() -> None:
    """Which moment it means, only the caller knows."""
    naive = MOMENT.replace(tzinfo=None)
    for make in (
        lambda: calls.meter(agent_id="a", action="b", timestamp=naive),
        lambda: calls.meter(agent_id="a", action="b", metadata={"at": naive}),
        lambda: calls.register_outcome(task_id="t", agent_id="a", price_on_success=1, expires_at=naive),
        lambda: calls.usage(end=naive),
    ):
        with pytest.raises(ValueError, match="time zone"):
            make()


def register(price: Any) -> Any:
    return body(calls.register_outcome(task_id="t", agent_id="a", price_on_success=price, expires_at=MOMENT))


@given(st.decimals(0, 10**9, places=12))
def test_prices_are_sent_exactly(price: Decimal) -> None:
    """A Decimal goes as decimal text."""
    assert Decimal(register(price)["price_on_success"]) == price


def test_prices_are_never_floats() -> None:
    """An int and text pass as they are; a float, a bool and what is no number do not."""
    assert register(500)["price_on_success"] == 500 and register("4900.5")["price_on_success"] == "4900.5"
    for wrong in (49.0, True, None):
        with pytest.raises(TypeError, match="price_on_success"):
            register(wrong)
    with pytest.raises(ValueError, match="not a finite number"):
        register(Decimal("NaN"))


def quantities(given: Any) -> Any:
    """As ``meter`` and as ``meter_batch`` send them, which is the same."""
    sent = body(calls.meter(agent_id="a", action="b", quantities=given))["quantities"]
    (event,) = body(calls.meter_batch([{"agent_id": "a", "action": "b", "quantities": given}]))["events"]
    assert event["quantities"] == sent
    return sent


@given(st.decimals(0, 10**12, places=6), st.integers(0, 10**12))
def test_quantities_are_sent_exactly(part: Decimal, whole: int) -> None:
    """The gateway reads of each spelling the very number that was given."""
    sent = quantities({"seconds": part, "images": whole, "pages": f"{part:f}"})
    read = {name: quantity(name, msgspec.Raw(json.dumps(value).encode())) for name, value in sent.items()}
    assert read == {"seconds": part.scaleb(6), "images": whole * 10**6, "pages": part.scaleb(6)}


def test_quantities_are_never_floats() -> None:
    """A float, a bool and None are refused with their place; so is what is no mapping."""
    assert quantities({"images": 2, "seconds": Decimal("12.50")}) == {"images": 2, "seconds": "12.50"}
    for wrong in (0.3, True, None, [1]):
        with pytest.raises(TypeError, match=r"^quantities\.seconds must be a quantity as an int, a Decimal or"):
            calls.meter(agent_id="a", action="b", quantities={"seconds": wrong})  # type: ignore[dict-item]
        with pytest.raises(TypeError, match=r"^events\[1\]\.quantities\.seconds must"):
            calls.meter_batch([{}, {"quantities": {"seconds": wrong}}])
    with pytest.raises(ValueError, match="not a finite number"):
        quantities({"seconds": Decimal("Infinity")})
    with pytest.raises(TypeError, match="quantities must be a mapping"):
        quantities([("images", 2)])


@given(st.text(min_size=1).filter(lambda id: id.isprintable()))
def test_any_id_is_one_segment_of_the_path(id: str) -> None:
    """Slashes, question marks and blanks in a task's name lead nowhere else."""
    for call, end in ((calls.outcome(id), ""), (calls.resolve_outcome(id, success=True), "/resolve")):
        prefix = "/v1/outcomes/"
        segment = call.path[len(prefix) : len(call.path) - len(end)]
        assert call.path == prefix + segment + end and unquote(segment) == id
        assert not set("/?# %") & set(segment.replace("%", "", segment.count("%")))


def test_a_verdict_wants_one_target_and_an_end() -> None:
    """task_id or outcome_id, success or outcome."""
    assert calls.resolve_outcome(outcome_id="oc_1", outcome="success").path == "/v1/outcomes/oc_1/resolve"
    for wrong in (
        {"success": True},
        {"task_id": "t"},
        {"task_id": "t", "outcome_id": "oc_1", "success": True},
    ):
        with pytest.raises(TypeError):
            calls.resolve_outcome(**wrong)
    with pytest.raises(ValueError, match="empty"):
        calls.outcome("")


@pytest.mark.parametrize("key", ["", " k", "k\n", "a\nb"])
def test_a_key_that_a_header_would_change_is_refused(key: str) -> None:
    """Blanks at its ends would be lost on the way, and two keys become one."""
    with pytest.raises(ValueError, match="idempotency_key"):
        calls.meter(agent_id="a", action="b", idempotency_key=key)


def test_queries_name_the_gateways_parameters() -> None:
    """start and end are from and to; a platform key's customer is named everywhere."""
    path = urlsplit(calls.usage(period="7d", group_by="day", agent_id="a&b", customer_id="c").path)
    assert dict(parse_qsl(path.query)) == {"period": "7d", "group_by": "day", "agent_id": "a&b", "customer_id": "c"}
    assert calls.usage().path == "/v1/usage"
    for call in (
        calls.event(1, customer_id="c"),
        calls.delete_webhook(1, customer_id="c"),
        calls.pricing(customer_id="c"),
        calls.statement(customer_id="c"),
        calls.invoices(customer_id="c"),
        calls.invoice("INV-000001", customer_id="c"),
    ):
        assert call.path.endswith("?customer_id=c") and call.body is None
    assert body(calls.create_webhook(url="u", events=("*",), customer_id="c")) == {
        "url": "u",
        "events": ["*"],
        "customer_id": "c",
    }
    listed = calls.invoices(month="2026-11", state="final", limit=2, cursor="a&b").path
    assert listed == "/v1/invoices?month=2026-11&state=final&limit=2&cursor=a%26b"
    owed = dict(parse_qsl(urlsplit(calls.statement(month="2026-11", as_of=MOMENT).path).query))
    assert owed == {"month": "2026-11", "as_of": MOMENT.isoformat()}
    asked = calls.budgets(amount_cents=Decimal("0.50"), agent_id="a")
    assert (asked.path, asked.safe) == ("/v1/budgets?amount_cents=0.50&agent_id=a", True)
    with pytest.raises(TypeError, match="amount_cents"):
        calls.budgets(amount_cents=0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list"):
        calls.create_webhook(url="u", events="*")
