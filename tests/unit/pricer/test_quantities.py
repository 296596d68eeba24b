"""pricer.prices: quantities, their lines and their bounds, against a Decimal model written apart."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pricer import prices
from schemas import state
from schemas.commands import MeterEvent, Rates
from schemas.money import MoneyError
from schemas.quantities import TOKEN_KINDS, Line, QuantityRate, format_quantity
from schemas.rate_rules import canonical_rates

RATES = Rates(
    "0.5",
    "0.0003",
    "0.25",
    (
        QuantityRate("audio_seconds", "0.6", 60),
        QuantityRate("cache_read", "30", 1_000_000),
        QuantityRate("images", "4"),
        QuantityRate("input", "300", 1_000_000),
        QuantityRate("output", "1500", 1_000_000),
    ),
)


def price(rates: Rates) -> prices.ParsedPrice:
    return prices.parsed_price(state.encode(state.InstalledPrice(1, "chat", canonical_rates(rates), 7)))


def event(tokens: int = 0, input: int | None = None, output: int | None = None, **others: str) -> MeterEvent:
    """A successful event; ``others``: quantities besides input and output."""
    return MeterEvent("a", "chat", tokens, input, output, "success", quantities=others)


def test_a_price_list_as_providers_print_it() -> None:
    """Per million tokens, per image, per minute of audio: each a line, and all of them the total."""
    cost = prices.amounts(price(RATES), event(31_540, 1_200, 340, cache_read="30000", images="2", audio_seconds="12.5"))
    assert cost[5] == (
        Line("input", "1200", "300", 1_000_000, "0.36"),
        Line("output", "340", "1500", 1_000_000, "0.51"),
        Line("cache_read", "30000", "30", 1_000_000, "0.9"),
        Line("images", "2", "4", 1, "8"),
        Line("audio_seconds", "12.5", "0.6", 60, "0.125"),
    )
    assert cost[:5] == ("0.5", "1.77", "0.25", "8.125", "10.645")


def test_a_token_kind_without_a_rate_has_the_token_rate() -> None:
    """Reasoning tokens have no rate here, so their line is of tokens at the token rate."""
    cost = prices.amounts(price(RATES), event(110, 100, 0, reasoning="10"))
    assert cost[5] == (
        Line("tokens", "10", "0.0003", 1, "0.003"),
        Line("input", "100", "300", 1_000_000, "0.03"),
        Line("output", "0", "1500", 1_000_000, "0"),
    )
    assert cost[1] == "0.033"


def test_tokens_without_kinds_are_charged_as_ever() -> None:
    """A price with rates of kinds charges plain tokens at the token rate, without lines."""
    assert prices.amounts(price(RATES), event(1000)) == ("0.5", "0.3", "0.25", "0", "1.05", ())
    plain = Rates("0.5", "0.0003", "0.25")
    split = prices.amounts(price(plain), event(30, 10, 0, cache_read="20"))
    assert split == prices.amounts(price(plain), event(30))


def test_an_unknown_quantity_is_refused_or_ignored() -> None:
    """The price decides; the refusal names the quantity and the action."""
    with pytest.raises(prices.NotPriced, match=r"quantities\.pages must have a rate in the price of action 'chat'"):
        prices.amounts(price(RATES), event(pages="1"))
    lenient = price(Rates("1", "0", "0", (QuantityRate("images", "2"),), ignore_unknown=True))
    assert prices.amounts(lenient, event(pages="1", images="3"))[4] == "7"


def test_a_line_that_needs_more_than_12_decimals_is_refused() -> None:
    """Rev refuses rather than rounds."""
    fine = price(Rates("0", "0", "0", (QuantityRate("seconds", "0.0000001"),)))
    assert prices.amounts(fine, event(seconds="0.00001"))[4] == "0.000000000001"
    with pytest.raises(prices.NotPriced, match=r"quantities\.seconds must cost at most 12 decimals of a cent"):
        prices.amounts(fine, event(seconds="0.000001"))


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (QuantityRate("Images", "1"), r"rates\.Images must have a name of 1 to 64 characters: a-z"),
        (QuantityRate("x" * 65, "1"), "must have a name of 1 to 64"),
        (QuantityRate("tokens", "1"), r"rates\.tokens has a reserved name"),
        (QuantityRate("images", "-1"), r"rates\.images must be from 0"),
        (QuantityRate("images", "1000000001"), r"rates\.images must be from 0 to 1000000000 cents"),
        (QuantityRate("images", "1e3"), r"rates\.images"),
        (QuantityRate("images", "1", 0), r"rates\.images\.per must be from 1"),
        (QuantityRate("images", "1", 10**9 + 1), r"rates\.images\.per must be from 1 to 1000000000"),
        (
            QuantityRate("images", "1", 3),
            r"rates\.images must have at most 12 decimals for one unit, unlike 1 cents per 3",
        ),
        (
            QuantityRate("input", "0.00001", 10**8),
            r"rates\.input must have at most 12 decimals for one unit, unlike 0\.00001 cents",
        ),
    ],
)
def test_a_rate_that_cannot_be_held_exactly_names_itself(rate: QuantityRate, words: str) -> None:
    """Name, bounds, and the division of a rate for many units."""
    with pytest.raises(MoneyError, match=words):
        canonical_rates(Rates("0", "0", "0", (rate,)))


def test_rates_are_sorted_and_named_once() -> None:
    """Equal lists of rates are one price, whatever their order; a name given twice is refused."""
    turned = canonical_rates(Rates("0.5", "0.0003", "0.25", RATES.quantities[::-1]))
    assert turned == RATES
    with pytest.raises(MoneyError, match="once"):
        canonical_rates(Rates("0", "0", "0", (QuantityRate("images", "1"), QuantityRate("images", "1"))))
    many = tuple(QuantityRate(f"q{i}", "1") for i in range(65))
    with pytest.raises(MoneyError, match="at most 64"):
        canonical_rates(Rates("0", "0", "0", many))


names = st.sampled_from([*TOKEN_KINDS, "images", "audio_seconds", "rows"])
per = st.sampled_from([1, 1000, 10**6])
unit_rates = st.dictionaries(names, st.tuples(st.integers(0, 10**15), per), max_size=6)
counts = st.dictionaries(names, st.integers(0, 10**12), max_size=6)


@given(unit_rates, counts, st.integers(0, 10**9), st.booleans())
def test_the_cost_is_the_decimal_models(
    rated: dict[str, tuple[int, int]], counted: dict[str, int], token: int, ignore: bool
) -> None:
    """Σ quantity * rate / per, whole tokens at their kind's rate or the token rate, to the last decimal."""
    counted = {name: micro - micro % 10**6 if name in TOKEN_KINDS else micro for name, micro in counted.items()}
    with localcontext(prec=80):
        amounts = {name: Decimal(micro).scaleb(-6) for name, micro in counted.items()}
        unit = {name: Decimal(pico).scaleb(-12) for name, (pico, _) in rated.items()}
        each = {
            name: amount * unit[name] if name in unit else amount * Decimal(token).scaleb(-12)
            for name, amount in amounts.items()
            if name in unit or name in TOKEN_KINDS
        }
        tokens = sum((cents for name, cents in each.items() if name in TOKEN_KINDS), Decimal(0))
        others = sum((cents for name, cents in each.items() if name not in TOKEN_KINDS), Decimal(0))
        total = tokens + others
        assume(all(unit[name] * count <= 10**9 for name, (_, count) in rated.items()))
    rates = Rates(
        "0",
        f"{Decimal(token).scaleb(-12):f}",
        "0",
        tuple(QuantityRate(name, f"{unit[name] * count:f}", count) for name, (_, count) in rated.items()),
        ignore,
    )
    kinds = {name: micro // 10**6 for name, micro in counted.items() if name in TOKEN_KINDS}
    sent = MeterEvent(
        "a",
        "chat",
        sum(kinds.values()),
        kinds.get("input"),
        kinds.get("output"),
        quantities={name: format_quantity(micro) for name, micro in counted.items() if name not in ("input", "output")},
    )
    unknown = [name for name in counted if name not in rated and name not in TOKEN_KINDS]
    deep = [name for name, cents in each.items() if cents != cents.quantize(Decimal("1e-12"), context=WIDE)]
    if (unknown and not ignore) or deep or total > 10**12:
        with pytest.raises(prices.NotPriced):
            prices.amounts(price(rates), sent)
        return
    _, token_text, _, quantity, cost, lines = prices.amounts(price(rates), sent)
    assert (Decimal(token_text), Decimal(quantity), Decimal(cost)) == (tokens, others, total)
    if lines:
        with localcontext(prec=80):
            assert sum(Decimal(line.cents) for line in lines) == total
            assert all(Decimal(line.quantity) * Decimal(line.rate) == Decimal(line.cents) * line.per for line in lines)


with localcontext(prec=80) as WIDE:
    pass
