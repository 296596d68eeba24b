"""Numbers and times in the JSON of the API, exact. Pure; no floats.

:class:`web.gateway_api.GatewayApi` returns JSON numbers as int or Decimal.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.money import parse_cents

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parsed(text: str) -> Any:
    """Return JSON text as Python values, its numbers exact. Raises ValueError."""
    return json.loads(text, parse_float=Decimal)


def pico_of(cents: int | Decimal) -> int:
    """Return the pico-cents of a JSON number of cents. Raises MoneyError for one that Rev would not write."""
    return parse_cents(format(Decimal(cents), "f"))


def ms_of(time: str) -> int:
    """Return ms since the epoch of an ISO 8601 time with an offset."""
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(milliseconds=1)


def ms_or_none(time: str | None) -> int | None:
    """Return ms since the epoch; None for no time."""
    return None if time is None else ms_of(time)
