"""Amounts of invoices as pages show them, each in its invoice's currency. Pure and exact; no floats.

The unit is the pico of the currency's minor unit: pico-cents of USD and EUR, 10^-12 yen of JPY.
"""

import re

from markupsafe import Markup

from schemas.billing import MINOR_DIGITS
from schemas.money import DECIMALS, PICO, format_cents
from web import formats
from web.formats import MINUS
from web.views.dollars import FormProblem

MAX_PAYMENT = 10**15
"""Minor units of one payment, as the API takes them."""
_TYPED = re.compile(r"(\d[\d,]*)(?:\.(\d+))?", re.ASCII)


def exact(pico: int, currency: str) -> str:
    """Return an exact amount with at least the currency's digits.

    >>> exact(1_220_000_000_000, "usd"), exact(-5 * 10**11, "jpy"), exact(400 * 10**12, "eur")
    ('$0.0122', '−0.5 JPY', '4.00 EUR')
    """
    if pico < 0:
        return MINUS + exact(-pico, currency)
    digits = MINOR_DIGITS[currency]
    places = DECIMALS + digits
    whole, part = divmod(pico, 10**places)
    decimals = f"{part:0{places}d}".rstrip("0").ljust(digits, "0")
    number = f"{whole:,}.{decimals}" if decimals else f"{whole:,}"
    return f"${number}" if currency == "usd" else f"{number} {currency.upper()}"


def in_minor_units(pico: int, currency: str) -> str:
    """Return an exact amount in words: ``1.47 cents`` of USD, ``147 minor units of EUR``."""
    return formats.cents(pico) if currency == "usd" else f"{format_cents(pico)} minor units of {currency.upper()}"


def amount_in(pico: int, currency: str) -> Markup:
    """Return an exact amount, with the minor units on hover."""
    return Markup('<data class="money" value="{}" title="{}">{}</data>').format(
        format_cents(pico), in_minor_units(pico, currency), exact(pico, currency)
    )


def minor_of(field: str, text: str, currency: str) -> int:
    """Return the minor units of an amount that a person typed: ``1,234.50`` of USD. Raises FormProblem."""
    digits = MINOR_DIGITS[currency]
    found = _TYPED.fullmatch(text.strip().removeprefix("$").strip())
    decimals = (found[2] or "").rstrip("0") if found else ""
    if found is None or len(decimals) > digits:
        like = f"{1125 // 10**digits}.{1125 % 10**digits:0{digits}d}" if digits else "1125"
        raise FormProblem(f"{field} must be an amount of {currency.upper()}, such as {like}")
    minor: int = int(found[1].replace(",", "")) * 10**digits + int(decimals.ljust(digits, "0") or "0")
    if not 1 <= minor <= MAX_PAYMENT:
        raise FormProblem(f"{field} must be more than 0 and at most {exact(MAX_PAYMENT * PICO, currency)}")
    return minor
