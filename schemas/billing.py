"""How a customer is billed: currency, tax, terms and address. Values of rev.invoices, by customer. Pure; no floats."""

import re

import msgspec

from schemas.billing_periods import CALENDAR, Schedule

DEFAULT_CURRENCY = "usd"
_DIGITS = {
    0: "BIF CLP DJF GNF JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: "AED ARS AUD BGN BRL CAD CHF CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR MXN MYR NOK NZD PEN PHP PLN RON SAR "
    "SEK SGD THB TRY TWD UAH USD ZAR",
    3: "BHD JOD KWD OMR TND",
}
MINOR_DIGITS = {code: digits for digits, codes in _DIGITS.items() for code in codes.lower().split()}
"""ISO 4217: the digits of a currency's minor unit. An amount in cents is in minor units: yen of JPY, fils of KWD."""
MAX_TERMS = 365
"""Days."""
DEFAULT_TERMS = 30
MAX_THRESHOLD = 10**12
"""Minor units."""
MAX_TAX = 10_000
"""Hundredths of a percent: 100 %."""
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?", re.ASCII)


class BillTo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom an invoice is for; ``country``: two letters, ISO 3166. An invoice keeps what it was when it was final."""

    name: str = ""
    email: str = ""
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    tax_id: str = ""


class Billing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a customer is billed. ``tax``: hundredths of a percent of an invoice's total. ``terms``: days until due.
    ``threshold``: a period ends early once an invoice of it would be of more than so many minor units; 0: never."""

    currency: str = DEFAULT_CURRENCY
    tax: int = 0
    tax_reason: str = ""
    terms: int = DEFAULT_TERMS
    bill_to: BillTo = BillTo()
    schedule: Schedule = CALENDAR
    threshold: int = 0


def tax_of(total: int, rate: int) -> int:
    """Return the tax of a total at hundredths of a percent, rounded half up once, in minor units.

    >>> tax_of(1125, 1900), tax_of(50, 100)
    (214, 1)
    """
    return (total * rate + MAX_TAX // 2) // MAX_TAX


def percent(rate: int) -> str:
    """Return a rate in hundredths of a percent as decimal text: ``19``, ``8.25``."""
    whole, part = divmod(rate, 100)
    return f"{whole}.{part:02d}".rstrip("0") if part else str(whole)


def parse_percent(text: str) -> int:
    """Return hundredths of a percent of decimal text from 0 to 100. Raises ValueError."""
    match = _PERCENT.fullmatch(text)
    rate = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else MAX_TAX + 1
    if rate > MAX_TAX:
        raise ValueError("must be a percentage from 0 to 100 with at most 2 decimals")
    return rate


def major(minor: int, currency: str) -> str:
    """Return an amount in minor units as people read it: ``1,234.50`` of USD, ``1,235`` of JPY, ``1.235`` of KWD.

    >>> major(123450, "usd"), major(-1235, "jpy"), major(1235, "kwd")
    ('1,234.50', '-1,235', '1.235')
    """
    digits = MINOR_DIGITS[currency]
    whole, part = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole:,}.{part:0{digits}d}" if digits else f"{sign}{whole:,}"
