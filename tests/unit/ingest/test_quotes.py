"""A quote is what the pricer charges: for any row and event, the same amounts and lines, or both refuse."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest.quotes import NoQuote, quote
from pricer.prices import NotPriced, amounts, parsed_price
from schemas.commands import MeterEvent, Rates
from schemas.config import Price
from schemas.meter_responses import priced
from schemas.quantities import QuantityRate
from schemas.replies import Receipt
from schemas.state import InstalledPrice
from schemas.state import encode as encode_price

KINDS = ("cache_read", "reasoning", "images", "seconds")
RATES = ("0", "1", "0.25", "1000000000", "0.000000000001", "0.0003")
rates = st.sampled_from(RATES)
quantity_rates = st.dictionaries(st.sampled_from(("input", "output", *KINDS)), st.tuples(rates, st.just(1)), max_size=4)
counts = st.integers(0, 10**11)


@st.composite
def events(draw: Any) -> MeterEvent:
    split = draw(st.none() | st.tuples(counts, counts))
    others = {name: str(draw(counts)) for name in draw(st.sets(st.sampled_from(KINDS)))}
    if "seconds" in others:
        others["seconds"] = draw(st.sampled_from(("0.5", "12.000001", "7")))
    tokens = sum(split or ()) + sum(int(others.get(name, 0)) for name in KINDS[:2])
    return MeterEvent(
        agent_id="a",
        action="chat",
        tokens=tokens if split or others else draw(counts),
        tokens_input=split and split[0],
        tokens_output=split and split[1],
        outcome=draw(st.sampled_from((None, "success", "failure", "pending"))),
        quantities=others,
    )


@given(events(), rates, rates, rates, quantity_rates)
def test_a_quote_is_what_the_pricer_charges(
    event: MeterEvent, base: str, token: str, bonus: str, others: dict[str, tuple[str, int]]
) -> None:
    quantities = tuple(QuantityRate(name, rate, per) for name, (rate, per) in sorted(others.items()))
    row = Rates(base, token, bonus, quantities, ignore_unknown=True)
    price = Price(id=7, number=1, action_type="chat", rates=row, created_at=0)
    installed = InstalledPrice(id=7, action_type="chat", rates=row, offset=0, is_default=True)
    parsed = parsed_price(encode_price(installed))
    try:
        base_text, token_text, bonus_text, quantity, total, lines = amounts(parsed, event)
    except NotPriced:
        try:
            quote(price, event)
        except NoQuote:
            return
        raise AssertionError("the pricer refuses what is quoted") from None
    receipt = Receipt(
        event_id=0,
        recorded_at=0,
        price=parsed.ref,
        base=base_text,
        token=token_text,
        bonus=bonus_text,
        quantity=quantity,
        total=total,
        lines=lines,
    )
    assert msgspec.json.encode(quote(price, event)) == msgspec.json.encode(priced("", event, receipt).price)
