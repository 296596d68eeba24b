"""The SELECT list of rev.entries for a row of warehouse.rows: one expression for each of its fields. Pure.

Amounts are returned as text, so that no JSON number rounds them, and times in ms.
"""

from functools import cache

import msgspec

_AMOUNTS = {name: f"{name}_cents" for name in ("base", "token", "bonus", "quantity", "total")}
_RATES = ("price_base", "price_token", "price_bonus", "price_on_success", "price_on_failure")
_TIMES = ("expires_at", "event_time", "recorded_at")
_LINE = "Tuple(component String, quantity String, rate String, per UInt64, cents String)"
EXPRESSIONS: dict[str, str] = {
    **{name: f"toString({column})" for name, column in _AMOUNTS.items()},
    **{name: f"toString(entries.{name})" for name in _RATES},
    "credit": "toString(credit_cents)",
    "quantities": "mapApply((name, quantity) -> (name, toString(quantity)), entries.quantities)",
    "lines": "CAST(arrayMap(l -> (l.1, toString(l.2), toString(l.3), l.4, toString(l.5)), entries.lines), "
    f"'Array({_LINE})')",
    "draws": "CAST(arrayMap(d -> (d.1, toString(d.2)), entries.draws), 'Array(Tuple(grant UInt64, cents String))')",
    "price_rates": "arrayMap(r -> tuple(r.1, toString(r.2), r.3), entries.price_rates)",
    **{name: f"toUnixTimestamp64Milli(entries.{name})" for name in _TIMES},
}
"""Expressions of fields that need one. The prefix `entries` names the table, since an alias hides its column."""


@cache
def select_list(row: type[msgspec.Struct]) -> str:
    """Return the fields of a row struct as a SELECT list."""
    return ", ".join(
        f"{EXPRESSIONS[name]} AS {name}" if name in EXPRESSIONS else name for name in row.__struct_fields__
    )
