"""Times as clients send them (text, or a number of seconds, ms, µs or ns) as ISO 8601 text. Pure, without floats."""

import re
from decimal import Decimal

from ingest.problems import Invalid
from schemas.objects import iso

_NUMBER = re.compile(r"\d{1,20}(\.\d{1,9})?", re.ASCII)


def iso_text(name: str, value: str | int) -> str:
    """Return a time as ISO 8601 text; text that is no number is returned as it is, to be checked with the event.

    A number below 10^11 is seconds, below 10^14 ms, below 10^17 µs, else ns: each unit covers the years 1973 to 5138.
    Fractions of a ms are cut off. Raises Invalid naming the field.
    """
    text = str(value).strip()
    if _NUMBER.fullmatch(text):
        return iso(_milliseconds(Decimal(text)))
    if isinstance(value, int):
        raise Invalid(f"{name} must be a time from 1970 on")
    return text


def _milliseconds(number: Decimal) -> int:
    if number < 10**11:
        return int(number * 1000)
    if number < 10**14:
        return int(number)
    return int(number) // (1000 if number < 10**17 else 1_000_000)
