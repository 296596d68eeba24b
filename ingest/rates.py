"""Conversion of rates as a person or program typed them, a JSON number or decimal text, to exact cents.

Pure; uses no floats.
"""

import re
from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

from ingest.bodies import PriceBody
from ingest.problems import Invalid
from schemas.commands import Rates
from schemas.money import MoneyError, format_cents, rate_from_decimal

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,9})?", re.ASCII)
MAX_TEXT = 100
"""Maximum characters of a rate; 10^9 with 12 decimals has 23."""
WANTED = "must be a number of cents from 0 to 1000000000 with at most 12 decimals"


def rates_of(body: PriceBody) -> Rates:
    """Return the three rates of a price; absent ones are 0. Raises Invalid naming the field."""
    return Rates(
        rate("base_rate_cents", body.base_rate_cents),
        rate("token_rate_cents", body.token_rate_cents),
        rate("outcome_bonus_cents", body.outcome_bonus_cents),
    )


def rate(name: str, raw: msgspec.Raw | UnsetType) -> str:
    """Return a rate's JSON text as canonical cents; "0" when it is absent or null. Raises Invalid."""
    if raw is UNSET:
        return "0"
    text = bytes(raw).decode("utf-8", "replace")
    if text == "null":
        return "0"
    if text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    if len(text) > MAX_TEXT or not _NUMBER.fullmatch(text):
        raise Invalid(f"{name} {WANTED}")
    try:
        return format_cents(rate_from_decimal(Decimal(text)))
    except MoneyError as error:
        raise Invalid(f"{name} {error}") from None
