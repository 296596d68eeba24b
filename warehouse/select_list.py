"""The SELECT list of rev.entries for a row of warehouse.rows: one expression for each of its fields. Pure.

Amounts are returned as text, so that no JSON number rounds them, and times in ms.
"""

from functools import cache

import msgspec

_AMOUNTS = {"base": "base_cents", "token": "token_cents", "bonus": "bonus_cents", "total": "total_cents"}
_RATES = ("price_base", "price_token", "price_bonus")
_TIMES = ("expires_at", "event_time", "recorded_at")
EXPRESSIONS: dict[str, str] = {
    **{name: f"toString({column})" for name, column in _AMOUNTS.items()},
    **{name: f"toString(entries.{name})" for name in _RATES},
    **{name: f"toUnixTimestamp64Milli(entries.{name})" for name in _TIMES},
}
"""Expressions of fields that need one. The prefix `entries` names the table, since an alias hides its column."""


@cache
def select_list(row: type[msgspec.Struct]) -> str:
    """Return the fields of a row struct as a SELECT list."""
    return ", ".join(
        f"{EXPRESSIONS[name]} AS {name}" if name in EXPRESSIONS else name for name in row.__struct_fields__
    )
