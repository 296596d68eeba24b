"""The explanation of a price: its terms add up to the total, and are what the API shows."""

import json
from decimal import Decimal, localcontext
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.reads.eventviews import shown
from pricer import prices
from schemas import state
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.money import format_cents, parse_cents
from schemas.quantities import TOKEN_KINDS, QuantityRate, format_quantity
from schemas.rate_rules import canonical_rates
from tests.unit.web.activity import priced_entry
from warehouse.activity_rows import FullEntryRow
from warehouse.rows import EventRow
from web.views.price_terms import explain

RATES = Rates(
    "0.5",
    "0.0003",
    "0.25",
    (
        QuantityRate("audio_seconds", "0.6", 60),
        QuantityRate("images", "4"),
        QuantityRate("input", "250", 1_000_000),
    ),
)


PARTS = ("base", "token", "bonus", "quantity", "total", "lines")


def priced(rates: Rates, event: MeterEvent) -> FullEntryRow:
    """The entry of an event at these rates, by the pricer's own rule."""
    rates = canonical_rates(rates)
    installed = state.InstalledPrice(1, "chat", rates, 7)
    cost = prices.amounts(prices.parsed_price(state.encode(installed)), event)
    price = PriceRef(id=1, action_type="chat", rates=rates, offset=7, is_default=True)
    return priced_entry(event, price, **dict(zip(PARTS, cost, strict=True)))


def voided(row: FullEntryRow) -> FullEntryRow:
    """The void of an entry, as pricer.voids writes it: every amount negative."""
    amounts = {name: format_cents(-parse_cents(getattr(row, name))) for name in
               ("base", "token", "bonus", "quantity", "total")}  # fmt: skip
    lines = [replace(line, cents=format_cents(-parse_cents(line.cents))) for line in row.lines]
    return replace(row, kind="void", original=row.event_id, lines=lines, **amounts)


rate = st.one_of(st.just(0), st.integers(0, 10**14)).map(format_cents)
count = st.integers(0, 10**7)


@given(
    rates=st.tuples(rate, rate, rate, st.dictionaries(st.sampled_from(["images", "input", "cache_read", "seconds"]),
                    st.tuples(st.integers(0, 10**8), st.sampled_from([1, 60, 1000, 1_000_000])))),
    tokens=st.fixed_dictionaries({}, optional=dict.fromkeys(TOKEN_KINDS, count)),
    others=st.dictionaries(st.sampled_from(["images", "seconds"]), st.integers(0, 10**9).map(format_quantity)),
    outcome=st.sampled_from([None, "success", "failure", "pending"]),
)  # fmt: skip
def test_the_terms_add_up_and_are_what_the_api_shows(rates: Any, tokens: Any, others: Any, outcome: Any) -> None:
    """Whatever was counted, with and without rates, also for zero prices, pending outcomes and voids."""
    base, token, bonus, by_quantity = rates
    its = tuple(QuantityRate(name, format_cents(unit * per), per) for name, (unit, per) in by_quantity.items())
    named = {name: str(value) for name, value in tokens.items() if name not in ("input", "output")}
    event = MeterEvent(
        "a", "chat", sum(tokens.values()), tokens.get("input"), tokens.get("output"), outcome,
        quantities={**named, **others},
    )  # fmt: skip
    try:
        row = priced(Rates(base, token, bonus, its, ignore_unknown=True), event)
    except prices.NotPriced:
        assume(False)
    found = explain(row)
    assert found.is_exact and sum(term.cents for term in found.terms) == parse_cents(row.total)
    assert found.awaited == (parse_cents(row.price_bonus) if outcome == "pending" else 0)
    back = explain(voided(row))
    assert back.is_exact and [term.cents for term in back.terms] == [-term.cents for term in found.terms]
    _equals_the_api(row, found.terms)


def _equals_the_api(row: FullEntryRow, terms: Any) -> None:
    """GET /v1/events/{event_id} shows the same parts."""
    event = EventRow(**{name: getattr(row, name) for name in EventRow.__struct_fields__})
    api = json.loads(msgspec.json.encode(shown(event, False)), parse_float=Decimal)["price"]
    cents = {term.component: Decimal(format_cents(term.cents)) for term in terms}
    parts = api["breakdown"]
    assert cents.pop("event") == parts["base_rate_cents"]
    assert cents.pop("success", 0) == parts["outcome_bonus_cents"]
    with localcontext(prec=60):
        assert sum(cents.values()) == parts["token_charge_cents"] + parts.get("quantity_charge_cents", 0)
    assert Decimal(format_cents(sum(term.cents for term in terms))) == api["total_cents"]
    if "lines" in api:
        assert {line["component"]: line["cents"] for line in api["lines"]} == cents


def test_a_rate_is_shown_as_it_was_set() -> None:
    event = MeterEvent(
        "a", "chat", 1_300_000, 1_200_000, 100_000, "success", quantities={"images": "2", "audio_seconds": "12.5"}
    )
    found = explain(priced(RATES, event))
    assert [(term.label, term.quantity, term.rate, format_cents(term.cents)) for term in found.terms] == [
        ("Base", "1", "0.5 ¢ per event", "0.5"),
        ("Tokens", "100,000", "0.0003 ¢ per token", "30"),
        ("input", "1,200,000", "250 ¢ per 1,000,000", "300"),
        ("images", "2", "4 ¢ per 1", "8"),
        ("audio_seconds", "12.5", "0.6 ¢ per 60", "0.125"),
        ("Bonus for success", "1", "0.25 ¢ on success", "0.25"),
    ]


@pytest.mark.parametrize(("kind", "config_type"), [("charge", ""), ("void", "charge")])
def test_the_charge_of_an_outcome_is_one_term(kind: Any, config_type: str) -> None:
    """It was priced by the event that opened it, whose base and rates are not charged again."""
    row = priced(RATES, MeterEvent("a", "chat", 0, outcome="pending"))
    amount = "-0.25" if kind == "void" else "0.25"
    row = replace(row, kind=kind, config_type=config_type, outcome="", base="0", token="0", bonus=amount, total=amount)
    found = explain(row)
    assert found.is_exact and [(term.component, term.rate) for term in found.terms] == [("outcome", "0.25 ¢")]


def test_a_quantity_without_a_rate_is_named() -> None:
    row = priced(replace(RATES, ignore_unknown=True), MeterEvent("a", "chat", quantities={"pages": "3"}))
    assert explain(row).uncharged == [("pages", "3")]


def test_terms_that_do_not_add_up_are_not_called_exact() -> None:
    row = replace(priced(RATES, MeterEvent("a", "chat")), total="1")
    assert not explain(row).is_exact
