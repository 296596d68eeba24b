"""Exact money. The internal unit is the pico-cent: an integer of 10^-12 cent.

On every wire (topics, ClickHouse, HTTP) money is a plain decimal number of cents with at
most 12 decimals, no exponent and no trailing zeros: ``1.47``. This module uses no floats.
"""

import re
from decimal import Decimal

DECIMALS = 12
PICO: int = 10**DECIMALS
"""Pico-cents in a cent."""

MAX_RATE: int = 10**9 * PICO
"""Largest rate or price, in pico-cents: 10^9 cents."""

MAX_EVENT: int = 10**12 * PICO
"""Largest amount of one ledger entry, in pico-cents: 10^12 cents."""


RATE_WANTED = "must be a number of cents from 0 to 1000000000 with at most 12 decimals"
"""What a rate must be, for error messages."""
AMOUNT_WANTED = "must be a number of cents from 0 to 1000000000000 with at most 12 decimals"
"""What an amount must be, such as a budget's limit, for error messages."""
MAX_RATE_TEXT = 100
"""Maximum characters of a rate; 10^9 with 12 decimals has 23."""
_RATE = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,9})?", re.ASCII)


class MoneyError(ValueError):
    """An amount that Rev cannot hold exactly, or that is out of bounds."""


def format_cents(pico: int) -> str:
    """Return the canonical decimal text in cents of an amount in pico-cents.

    >>> format_cents(1_470_000_000_000)
    '1.47'
    """
    if pico < 0:
        return "-" + format_cents(-pico)
    digits = str(pico).zfill(DECIMALS + 1)  # twice as fast as divmod, and every event needs it twice
    return f"{digits[:-DECIMALS]}.{digits[-DECIMALS:]}".rstrip("0").rstrip(".")


def parse_cents(text: str) -> int:
    """Return the pico-cents of canonical decimal text in cents, as :func:`format_cents` wrote it.

    Raises MoneyError for anything else, including signs other than a leading minus.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, dot, part = digits.partition(".")
    if not (whole.isascii() and whole.isdigit()):
        raise MoneyError(f"{text!r} is not an amount in cents")
    if dot and not (part.isascii() and part.isdigit() and len(part) <= DECIMALS):
        raise MoneyError(f"{text!r} is not an amount in cents with at most 12 decimals")
    return sign * (int(whole) * PICO + (int(part.ljust(DECIMALS, "0")) if dot else 0))


def rate_from_text(text: str) -> str:
    """Return canonical cents of a rate as a person or program typed it, a number in JSON's notation.

    Raises MoneyError as :func:`rate_from_decimal` does, and for what is no number.
    """
    if len(text) > MAX_RATE_TEXT or not _RATE.fullmatch(text):
        raise MoneyError(RATE_WANTED)
    return format_cents(rate_from_decimal(Decimal(text)))


def amount_from_text(text: str) -> str:
    """Return canonical cents of an amount up to that of one entry, as :func:`rate_from_text` does for a rate."""
    if len(text) > MAX_RATE_TEXT or not _RATE.fullmatch(text):
        raise MoneyError(AMOUNT_WANTED)
    return format_cents(rate_from_decimal(Decimal(text), MAX_EVENT // PICO))


def rate_from_decimal(value: Decimal, most: int = MAX_RATE // PICO) -> int:
    """Return the pico-cents of a rate or price that a person or program typed.

    Raises MoneyError when it is not finite, negative, above ``most`` cents, or would need more
    than 12 decimals (Rev refuses rather than rounds).
    """
    if not value.is_finite():
        raise MoneyError("must be a finite number")
    if value < 0:
        raise MoneyError("must not be negative")
    if value > most:
        raise MoneyError(f"must be at most {most} cents")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + DECIMALS
    number: int = int("".join(map(str, digits)))
    if shift >= 0:
        # the bound on value bounds the shift of any non-zero number
        scale: int = 10**shift if number else 0
        return number * scale
    divisor: int = 10 ** min(-shift, len(digits) + 1)
    pico, rest = divmod(number, divisor)
    if rest:
        raise MoneyError("must have at most 12 decimals")
    return pico


def dollars_rounded(pico: int) -> str:
    """Return an amount in pico-cents as dollars with two decimals, rounded half up (away from zero)."""
    if pico < 0:
        return "-" + dollars_rounded(-pico)
    dollars, cents = divmod((pico + PICO // 2) // PICO, 100)
    return f"{dollars}.{cents:02d}"


def dollars_exact(pico: int) -> str:
    """Return an amount in pico-cents as exact dollars (no exponent, no trailing zeros)."""
    if pico < 0:
        return "-" + dollars_exact(-pico)
    whole, part = divmod(pico, 100 * PICO)
    return f"{whole}.{part:014d}".rstrip("0") if part else str(whole)
