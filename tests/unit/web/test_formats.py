"""Money, numbers, changes and times on pages: exact, and never in doubt about the unit."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import PICO, format_cents
from web import formats

CASES = [
    (0, "$0.00", "$0.00", "0 cents"),
    (PICO, "$0.01", "$0.01", "1 cent"),
    (1_470_000_000_000, "$0.01", "$0.0147", "1.47 cents"),
    (340_000_000_000, "<$0.01", "$0.0034", "0.34 cents"),
    (-340_000_000_000, "−<$0.01", "−$0.0034", "-0.34 cents"),
    (50 * 10**10, "$0.01", "$0.005", "0.5 cents"),
    (123_456_789 * PICO, "$1,234,567.89", "$1,234,567.89", "123456789 cents"),
    (-250 * PICO, "−$2.50", "−$2.50", "-250 cents"),
]


@pytest.mark.parametrize(("pico", "rounded", "full", "cents"), CASES)
def test_money_is_dollars_with_its_cents_in_words(pico: int, rounded: str, full: str, cents: str) -> None:
    assert (formats.dollars(pico), formats.dollars_in_full(pico), formats.cents(pico)) == (rounded, full, cents)
    shown = str(formats.money(pico))
    assert shown.startswith(f'<data class="money" value="{format_cents(pico)}" title="{cents}">')


@given(st.integers(-(10**26), 10**26))
def test_no_digit_is_lost(pico: int) -> None:
    """What a page shows in full is the amount, and what it rounds is the amount rounded half up once."""
    plain = formats.dollars_in_full(pico).replace("−", "-").replace("$", "").replace(",", "")
    exact = Decimal(pico).scaleb(-14)
    assert Decimal(plain) == exact
    rounded = formats.dollars(pico)
    if "<" not in rounded:
        text = rounded.replace("−", "-").replace("$", "").replace(",", "")
        assert Decimal(text) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    else:
        assert 0 < abs(exact) < Decimal("0.005")


def test_counts_are_grouped_or_shortened() -> None:
    assert [formats.grouped(number) for number in (0, 1234, -1234567)] == ["0", "1,234", "−1,234,567"]
    numbers = [0, 999, 1000, 1999, 12_345, 999_999, 1_250_000, 34 * 10**6, 5 * 10**9, 10**16]
    assert [formats.short(number) for number in numbers] == [
        *("0", "999", "1k", "1.9k", "12k", "999k", "1.2M", "34M", "5B", "10,000T")
    ]


def test_a_change_names_its_direction() -> None:
    """And is silent where there is nothing to compare with."""
    assert formats.change(112, 100) == ("+12.0 %", "up")
    assert formats.change(875, 1000) == ("−12.5 %", "down")
    assert formats.change(100_001, 100_000) == ("0.0 %", "flat")
    assert formats.change(3000, 100) == ("+2,900 %", "up")
    assert formats.change(5, 0) == formats.change(5, -3) == ("", "")


def test_a_share_is_rounded_half_up() -> None:
    assert [formats.percent(part, 16) for part in (0, 1, 2, 16)] == ["0.0 %", "6.3 %", "12.5 %", "100.0 %"]
    assert formats.percent(0, 0) == "–"


def test_a_moment_has_utc_on_hover() -> None:
    assert str(formats.moment(1_777_204_800_123)) == (
        '<time datetime="2026-04-26T12:00:00.123Z" title="2026-04-26 12:00:00 UTC">26 Apr 12:00 UTC</time>'
    )
