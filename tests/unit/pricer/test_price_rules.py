"""pricer.prices: which price applies and what it comes to, against a Decimal model."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricer import prices
from schemas import state
from schemas.commands import MeterEvent, Rates
from schemas.limits import MAX_TOKENS
from schemas.money import MAX_RATE, MoneyError, format_cents, parse_cents
from schemas.price_match import PriceSlot
from schemas.prices import DEFAULTS
from schemas.rate_rules import canonical_rates
from streams.state import Checkpoint, MemoryStore

rate = st.one_of(st.integers(0, MAX_RATE), st.integers(0, 10**14), st.just(0), st.just(MAX_RATE))


def price(base: int, token: int, bonus: int) -> prices.ParsedPrice:
    """A tariff of rates in pico-cents."""
    rates = Rates(format_cents(base), format_cents(token), format_cents(bonus))
    return prices.parsed_price(state.encode(state.InstalledPrice(1, "chat", rates, 7)))


def event(tokens: int, success: bool = False) -> MeterEvent:
    """An event with this many tokens."""
    return MeterEvent("agent", "chat", tokens, outcome="success" if success else None)


@given(rate, rate, rate, st.integers(0, MAX_TOKENS), st.booleans())
def test_a_price_is_the_decimal_models(base: int, token: int, bonus: int, tokens: int, success: bool) -> None:
    """base + tokens * rate + bonus on success, exactly, or a refusal above 10^12 cents."""
    with localcontext(prec=60):
        cents = [Decimal(pico).scaleb(-12) for pico in (base, token, bonus)]
        parts = (cents[0], cents[1] * tokens, cents[2] if success else Decimal(0))
        total = sum(parts)
        if total > 10**12:
            with pytest.raises(prices.NotPriced):
                prices.amounts(price(base, token, bonus), event(tokens, success))
            return
        got = prices.amounts(price(base, token, bonus), event(tokens, success))
        assert tuple(map(Decimal, got[:5])) == (*parts, 0, total)
        assert got[5] == ()


def test_the_largest_event_is_charged_and_one_pico_cent_more_is_refused() -> None:
    """The bound of 10^12 cents is inclusive."""
    at_bound = price(0, 10**12, 0)
    cost = ("0", "1000000000000", "0", "0", "1000000000000", ())
    assert prices.amounts(at_bound, event(10**12, True)) == cost
    with pytest.raises(prices.NotPriced, match="at most 1000000000000 cents"):
        prices.amounts(price(1, 10**12, 0), event(10**12))


@pytest.mark.parametrize("tokens", [-1, MAX_TOKENS + 1])
def test_a_token_count_out_of_bounds_is_never_priced(tokens: int) -> None:
    """Not even if a gateway lets it through, since it could make a price negative."""
    with pytest.raises(prices.NotPriced, match="tokens"):
        prices.amounts(price(1, 1, 1), event(tokens))


REFERENCE = [
    ("completion", 2400, True, ("0.5", "0.72", "0.25", "1.47")),
    ("completion", 2400, False, ("0.5", "0.72", "0", "1.22")),
    ("lead.qualified", 3450, True, ("1", "0.0345", "500", "501.0345")),
    ("chat", 1000, True, ("0.1", "0.1", "0.05", "0.25")),
    ("tool_call", 500, True, ("1", "0.1", "0.5", "1.6")),
    ("embedding", 8000, True, ("0.05", "0.4", "0", "0.45")),
    ("image_gen", 0, True, ("5", "0", "1", "6")),
    ("search", 0, True, ("0.25", "0", "0.1", "0.35")),
    ("email.sent", 120, True, ("1", "0", "500", "501")),
    ("ticket.classified", 900, True, ("5", "0", "0", "5")),
    ("research.complete", 10000, True, ("0", "3", "0", "3")),
]


@pytest.mark.parametrize(("action", "tokens", "success", "expected"), REFERENCE)
def test_default_prices_charge_what_the_reference_says(
    action: str, tokens: int, success: bool, expected: tuple[str, ...]
) -> None:
    """Every default price, and the amounts that the reference's documents print."""
    rates = {seed.action_type: seed.rates for seed in DEFAULTS}[action]
    installed = prices.parsed_price(state.encode(state.InstalledPrice(1, action, rates, 0, True)))
    assert prices.amounts(installed, event(tokens, success)) == (*expected[:3], "0", expected[3], ())


def test_every_default_price_is_in_the_table() -> None:
    """No default price goes untested, and each is written in its one spelling."""
    assert {row[0] for row in REFERENCE} == {seed.action_type for seed in DEFAULTS}
    assert all(canonical_rates(seed.rates) == seed.rates for seed in DEFAULTS)


ROWS: list[tuple[str | None, str]] = [("acme", "chat"), ("acme", "*"), (None, "chat"), (None, "*")]


@pytest.mark.parametrize("present", range(16))
def test_the_most_special_price_applies(present: int) -> None:
    """customer+action, customer+*, default+action, default+*: the first that exists, or none;
    a price of another customer or action never does.
    """
    shard, changes = MemoryStore(), {}
    noise: list[tuple[str | None, str]] = [("other", "chat"), ("other", "*"), ("acme", "search"), (None, "search")]
    rows = [row for i, row in enumerate(ROWS) if present >> i & 1]
    for id, (customer, action) in enumerate(rows + noise, 1):
        installed = state.InstalledPrice(id, action, Rates("1", "0", "0"), id, customer is None)
        changes[state.price_key(PriceSlot(customer, action))] = state.encode(installed)
    shard.write(changes, [], Checkpoint("e", 0, 0, 0))
    found = prices.in_force(shard, 0, "acme", "chat")
    if not rows:
        assert found is None
    else:
        assert found is not None
        assert (found.ref.id, found.ref.action_type) == (1, rows[0][1])
        assert found.ref.is_default == (rows[0][0] is None)


def test_names_with_slashes_share_no_price() -> None:
    """Customer ``a/b`` with action ``c`` is not customer ``a`` with action ``b/c``."""
    assert state.price_key(PriceSlot("a/b", "c")) != state.price_key(PriceSlot("a", "b/c"))


@given(rate)
def test_rates_are_kept_in_their_one_spelling(pico: int) -> None:
    """Leading and trailing zeros of a rate do not enter the log."""
    text = format_cents(pico)
    padded = "00" + (text if len(text.partition(".")[2]) == 12 else text + ("0" if "." in text else ".0"))
    assert canonical_rates(Rates(padded, text, padded)) == Rates(text, text, text)
    assert parse_cents(padded) == pico


@pytest.mark.parametrize("text", ["-1", "1000000000.000000000001", "1e3", "", "0.0000000000001"])
def test_a_rate_out_of_bounds_names_itself(text: str) -> None:
    """Rates are from 0 to 10^9 cents with at most 12 decimals."""
    with pytest.raises(MoneyError, match="token_rate_cents"):
        canonical_rates(Rates("1", text, "1"))
