"""What a preview says that events cost, against the pricer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.admin.prices import _effective_row
from ingest.config_view import ConfigView
from ingest.responses import EffectivePrices, encode
from pricer import prices as pricer
from schemas import state
from schemas.commands import MeterEvent, Rates
from schemas.config import Price
from schemas.price_match import PriceSlot
from schemas.quantities import TOKEN_KINDS, QuantityRate, parse_quantity
from schemas.rate_rules import canonical_rates
from tools.importer.event_maker import ImportEvent, Prepared
from tools.importer.pricing import EventSums, NoEstimate, PricedAlike, Prices, PricingResponse, alike

NAMES = ("cache_read", "images", "pages", "reasoning", "seconds")


class Row(NamedTuple):
    """A price in force."""

    slot: PriceSlot
    rates: Rates


slots = st.builds(
    PriceSlot,
    st.sampled_from([None, "acme", "globex"]),
    st.sampled_from(["*", "chat", "draw"]),
    st.sampled_from([None, "m", "n"]),
    st.sampled_from([None, "p", "q"]),
)
rate = st.sampled_from(["0", "0.000001", "0.0003", "4", "1000000000"])
quantity_rates = st.builds(
    lambda names, rates, pers: tuple(map(QuantityRate, names, rates, pers)),
    st.lists(st.sampled_from([*NAMES, "input", "output"]), unique=True).map(sorted),
    st.lists(rate, min_size=7, max_size=7),
    st.lists(st.sampled_from([1, 1000, 1_000_000]), min_size=7, max_size=7),
)


@st.composite
def price_lists(draw: Any) -> list[Row]:
    """Prices of which no two are the same: base rates differ, as the list cannot tell equal rows apart."""
    found = draw(st.lists(slots, unique=True, max_size=12))
    return [
        Row(slot, Rates(str(number), draw(rate), draw(rate), draw(quantity_rates), draw(st.booleans())))
        for number, slot in enumerate(found, 1)
    ]


counts = st.none() | st.integers(0, 10**6)
quantities = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["0", "1", "3", "0.5", "12.000001", "999999999"]))


@st.composite
def events(draw: Any) -> Prepared:
    """An event as an import makes it."""
    others = dict(sorted(draw(quantities).items()))
    others = {name: text.partition(".")[0] if name in TOKEN_KINDS else text for name, text in others.items()}
    first, second = draw(counts), draw(counts)
    kinds = [count for count in (first, second) if count is not None]
    kinds += [int(text) for name, text in others.items() if name in TOKEN_KINDS]
    tokens = None if kinds else draw(counts | st.just(10**12))
    event = ImportEvent(
        agent_id="a",
        action=draw(st.sampled_from(["chat", "draw", "else"])),
        tokens=tokens,
        tokens_input=first,
        tokens_output=second,
        quantities=others or None,
        outcome=draw(st.sampled_from([None, "success", "failure"])),
        model=draw(st.sampled_from([None, "m", "n", "o"])),
        provider=draw(st.sampled_from([None, "p", "q", "r"])),
    )
    return Prepared(1, 1, event, total=sum(kinds) if kinds else tokens or 0)


def estimate(rows: Sequence[Row]) -> Prices:
    """The prices of acme as the gateway lists them."""
    view = ConfigView()
    for id, (slot, rates) in enumerate(rows):
        price = Price(
            id=id,
            number=id,
            action_type=slot.action,
            rates=canonical_rates(rates),
            created_at=0,
            customer_id=slot.customer_id,
            model=slot.model,
            provider=slot.provider,
        )
        view.apply(f"price/{id}".encode(), msgspec.json.encode(price), id)
    listed = [_effective_row(slot, price) for slot, price in view.prices_of("acme", 0)]
    return Prices(msgspec.json.decode(encode(EffectivePrices("acme", listed)), type=PricingResponse))


def charge(rows: Sequence[Row], made: Prepared) -> str | None:
    """What the pricer charges acme for the event, in cents; None if it refuses it."""
    installed = {}
    for id, (slot, rates) in enumerate(rows):
        price = state.InstalledPrice(id, slot.action, canonical_rates(rates), id)
        installed[state.price_key(slot)] = state.encode(price)
    event = made.event
    price = pricer.in_force(installed, 0, "acme", event.action or "", event.model, event.provider)  # type: ignore[arg-type]
    split = event.tokens_input is not None or event.tokens_output is not None
    metered = MeterEvent(
        agent_id="a",
        action=event.action or "",
        tokens=made.total,
        tokens_input=event.tokens_input or 0 if split else None,
        tokens_output=event.tokens_output or 0 if split else None,
        outcome=event.outcome,  # type: ignore[arg-type]
        quantities=event.quantities or {},
    )
    try:
        return None if price is None else pricer.amounts(price, metered)[4]
    except pricer.NotPriced:
        return None


@given(price_lists(), st.lists(events(), min_size=1, max_size=6))
def test_an_estimate_is_what_the_pricer_charges(rows: list[Row], made: list[Prepared]) -> None:
    """For each event alone; and for all of them by their sums, unless the pricer refuses one of a sum."""
    known = estimate(rows)
    sums: dict[PricedAlike, EventSums] = {}
    cost: dict[PricedAlike, list[int | None]] = {}
    for one in made:
        wanted = charge(rows, one)
        pico = None if wanted is None else pricer.parse_cents(wanted)
        try:
            assert known.of_event(one) == pico
        except NoEstimate:
            assert pico is None
        sums.setdefault(alike(one.event), EventSums()).add(one)
        cost.setdefault(alike(one.event), []).append(pico)
    for key, parts in cost.items():
        whole = sum(part or 0 for part in parts)
        try:
            total = known.total(key, sums[key])
        except NoEstimate:
            assert None in parts
        else:
            assert total == whole or (None in parts and total > pricer.MAX_EVENT)


def priced(rows: Sequence[Row], **fields: Any) -> int:
    """Cents of a `draw` by acme, which must be whole."""
    made = Prepared(1, 1, ImportEvent(action="draw", **fields), total=0)
    cents, part = divmod(estimate(rows).of_event(made), 10**12)
    assert not part
    return cents


def test_a_row_that_the_customer_replaces_is_none_of_his() -> None:
    """The list shows the default's `draw` at the price of the customer's `*`, which comes after that for the model."""
    rows = [
        Row(PriceSlot(None, "draw"), Rates("1", "0", "0")),
        Row(PriceSlot("acme", "*"), Rates("2", "0", "0")),
        Row(PriceSlot("acme", "*", "m"), Rates("3", "0", "0")),
    ]
    assert (priced(rows), priced(rows, model="m"), priced(rows, model="n")) == (2, 3, 2)


@pytest.mark.parametrize("quantities", [("0.000001", "0.000001"), ("0.5", "0.000001", "0.499999")])
def test_one_inexact_line_among_others_is_noticed(quantities: tuple[str, ...]) -> None:
    """Though the sum of them is exact: the pricer refuses the event alone."""
    known = estimate([Row(PriceSlot(None, "draw"), Rates("0", "0", "0", (QuantityRate("seconds", "0.0000005"),)))])
    sums = EventSums()
    for text in quantities:
        sums.add(Prepared(1, 1, ImportEvent(action="draw", quantities={"seconds": text})))
    assert sum(map(parse_quantity, quantities)) * 500_000 % 10**6 == 0
    with pytest.raises(NoEstimate, match=r"quantities\.seconds times its rate needs more than 12 decimals"):
        known.total(alike(ImportEvent(action="draw", quantities={"seconds": "1"})), sums)
