"""schemas.money: exact decimal text both ways, and refusal instead of rounding."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import money

WIDEST = money.MAX_EVENT * 1000
picos = st.integers(-WIDEST, WIDEST)


def exact(pico: int) -> Decimal:
    """The independent model: the amount in cents as a Decimal of any width."""
    with localcontext(prec=60):
        return Decimal(pico) / Decimal(10) ** 12


@given(picos)
def test_text_of_an_amount_is_its_exact_value_in_plain_decimal(pico: int) -> None:
    """format_cents writes the exact amount without exponent and without trailing zeros."""
    text = money.format_cents(pico)
    assert Decimal(text) == exact(pico)
    assert "e" not in text.lower()
    assert "." not in text or text[-1] not in "0."
    assert text != "-0"


@given(picos)
def test_parse_reads_back_what_format_wrote(pico: int) -> None:
    """An amount survives its text."""
    assert money.parse_cents(money.format_cents(pico)) == pico


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (1_470_000_000_000, "1.47"),
        (10 * money.PICO, "10"),
        (100 * money.PICO + 10, "100.00000000001"),
        (money.MAX_EVENT, "1000000000000"),
        (money.MAX_EVENT - 1, "999999999999.999999999999"),
    ],
)
def test_known_amounts(pico: int, text: str) -> None:
    """The canonical text of amounts at and near the bounds."""
    assert money.format_cents(pico) == text
    assert money.parse_cents(text) == pico


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1.", ".5", "+1", "--1", "1e3", "1,5", " 1", "1 ", "١", "1.0000000000001", "NaN"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Anything but plain decimal text with at most 12 decimals raises MoneyError."""
    with pytest.raises(money.MoneyError):
        money.parse_cents(text)


@given(st.integers(0, 10**9), st.integers(0, 10**12 - 1), st.integers(0, 6))
def test_a_typed_rate_is_taken_exactly(whole: int, part: int, zeros: int) -> None:
    """Up to 12 decimals and any number of trailing zeros are the exact rate."""
    value = Decimal(f"{whole}.{part:012d}" + "0" * zeros)
    if value > 10**9:
        with pytest.raises(money.MoneyError, match="at most 1000000000"):
            money.rate_from_decimal(value)
    else:
        assert money.rate_from_decimal(value) == whole * money.PICO + part


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("1E+9", money.MAX_RATE),
        ("0E+999999", 0),
        ("5E-12", 5),
        ("-0", 0),
        ("0e-999999", 0),
        ("1.000000000000000", money.PICO),
    ],
)
def test_rates_with_an_exponent_are_their_value(text: str, pico: int) -> None:
    """The spelling of a number does not matter, and no exponent costs time or memory."""
    assert money.rate_from_decimal(Decimal(text)) == pico


@pytest.mark.parametrize(
    "text", ["-1", "NaN", "Infinity", "-Infinity", "1E+10", "1000000000.000000000001", "1E-13", "1e-999999", "1e999999"]
)
def test_a_rate_that_cannot_be_held_is_refused(text: str) -> None:
    """Rev refuses what is negative, not finite, too large or too fine; it never rounds."""
    with pytest.raises(money.MoneyError):
        money.rate_from_decimal(Decimal(text))


@given(picos)
def test_dollars_are_rounded_half_up_once(pico: int) -> None:
    """Two decimals, half away from zero, whatever the size."""
    with localcontext(prec=60):
        expected = (exact(pico) / 100).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    text = money.dollars_rounded(pico)
    assert Decimal(text) == expected
    assert len(text.partition(".")[2]) == 2


def test_the_references_dollars() -> None:
    """3200.50 cents are 32.01 dollars, as the reference shows them."""
    assert money.dollars_rounded(money.parse_cents("3200.5")) == "32.01"


@given(picos)
def test_exact_dollars_lose_nothing(pico: int) -> None:
    """dollars_exact times 100 is the amount again."""
    with localcontext(prec=60):
        assert Decimal(money.dollars_exact(pico)) * 100 == exact(pico)
