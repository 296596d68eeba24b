"""From the caller's values to the JSON that is sent. Pure.

Nothing silently becomes something else: a Decimal is the JSON number with the same digits, a time is
ISO 8601 text in UTC, and what JSON cannot express (NaN, a set, a key that is not text) is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

DEEPEST = 200
"""Depth of nested lists and mappings; Rev accepts less. A value that contains itself ends here."""


def to_json(value: Any, name: str = "the body", depth: int = 0) -> str:
    """Return the JSON of ``value``. Raises TypeError, or ValueError if the type is right; both name the place."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return int.__repr__(value)  # also of an IntEnum
    if isinstance(value, float):
        return _float(name, value)
    if isinstance(value, Decimal):
        return str(finite(name, value))
    if isinstance(value, datetime):
        return json.dumps(instant(value))
    if depth == DEEPEST:
        raise ValueError(f"{name} is nested too deeply, or contains itself")
    if isinstance(value, Mapping):
        return "{" + ",".join(_members(value, name, depth)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(to_json(item, f"{name}[{i}]", depth + 1) for i, item in enumerate(value)) + "]"
    if hasattr(value, "__index__"):  # numpy's integers
        return str(value.__index__())
    raise TypeError(f"{name} is a {type(value).__name__}, which cannot be sent as JSON")


def _members(value: Mapping[Any, Any], name: str, depth: int) -> Iterator[str]:
    for key, item in value.items():
        if not isinstance(key, str):  # 1 and "1" would become one
            raise TypeError(f"{name} has the key {key!r:.40}; keys must be strings")
        inside = key if depth == 0 else f"{name}.{key}"
        yield f"{json.dumps(key)}:{to_json(item, inside, depth + 1)}"


def _float(name: str, value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{name} is {value!r}, which JSON cannot represent")
    return float.__repr__(value)


def finite(name: str, value: Decimal) -> Decimal:
    """Return the Decimal if it is a number. Raises ValueError."""
    if not value.is_finite():
        raise ValueError(f"{name} is {value}, which is not a finite number")
    return value


def instant(value: datetime) -> str:
    """Return a moment as ISO 8601 text in UTC. Raises ValueError for a naive time: only the caller knows its zone."""
    if value.utcoffset() is None:
        raise ValueError(f"{value!r} has no time zone; give it one, such as datetime.timezone.utc")
    return value.astimezone(timezone.utc).isoformat()
