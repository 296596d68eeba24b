"""The form of a price: what a person types, in dollars, to exact pico-cents and back. Pure; no floats.

A rate may be typed with what it is for: ``$2.50 per million``. The rate of tokens is per million unless it says so;
that of a token kind must say for how many; that of any other quantity is for one unit.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.money import DECIMALS, MAX_RATE, PICO, format_cents
from schemas.price_match import ANY, PriceSlot
from schemas.quantities import COMPONENTS, MAX_PER, MAX_RATES, NAME, TOKEN_KINDS
from web.formats import dollars_in_full
from web.views.price_rows import MILLION, PriceRow, UnitPrice

Fields = Mapping[str, str]
LEAST_ROWS = 3
"""Rows of quantities that an empty form has."""
MORE_ROWS = 3
MAX_DECIMALS = DECIMALS + 2
"""Decimals of a dollar."""
_RATE = re.compile(r"\$?\s*(\d[\d,]*)?(?:\.(\d+))?\s*(?:(?:per|/)\s*(.+))?", re.IGNORECASE | re.ASCII)
_COUNT = re.compile(r"(\d[\d,]*)\s*([kmb]|thousand|million|billion)?", re.ASCII)
_SIZES = {"": 1, "k": 10**3, "thousand": 10**3, "m": MILLION, "million": MILLION, "b": 10**9, "billion": 10**9}
_ONE = ("unit", "one", "each")


class FormProblem(ValueError):
    """A field that cannot be a price. The message names the field."""


class TypedRate(NamedTuple):
    """An amount in pico-cents, and for how many units; None if that was not typed."""

    pico: int
    per: int | None


def new_row(fields: Fields) -> PriceRow:
    """Return the row that a form describes, not yet in force (id 0). Raises FormProblem."""
    action = fields.get("action_type", "").strip()
    if not action:
        raise FormProblem("Action is required; * is for any action")
    slot = PriceSlot(_text(fields, "customer_id"), action, _text(fields, "model"), _text(fields, "provider"))
    return PriceRow(
        id=0,
        slot=slot,
        base=_plain(fields, "base", "Dollars per event"),
        token=_token(fields),
        bonus=_plain(fields, "bonus", "Dollars on success"),
        rates=_rates(fields),
        ignore_unknown="ignore_unknown" in fields,
        is_active=False,
        created_at=0,
        ended_at=None,
    )


def fields_of(row: PriceRow) -> dict[str, str]:
    """Return a form that describes a row."""
    fields = {
        "customer_id": row.slot.customer_id or "",
        "action_type": row.slot.action,
        "model": row.slot.model or "",
        "provider": row.slot.provider or "",
        "base": _typed(row.base),
        "token": _typed(row.token_million),
        "bonus": _typed(row.bonus),
    }
    for number, one in enumerate(row.rates, 1):
        fields |= {f"quantity_{number}": one.name, f"rate_{number}": one.words}
    return fields | ({"ignore_unknown": "1"} if row.ignore_unknown else {})


def body_of(row: PriceRow) -> dict[str, Any]:
    """Return the body of POST /api/admin/pricing: decimal text in cents."""
    slot = row.slot
    named = {"customer_id": slot.customer_id, "model": slot.model, "provider": slot.provider}
    return {
        "action_type": slot.action,
        "base_rate_cents": format_cents(row.base),
        "token_rate_cents": format_cents(row.token),
        "outcome_bonus_cents": format_cents(row.bonus),
        "rates": {one.name: {"rate": format_cents(one.pico), "per": one.per} for one in row.rates},
        "ignore_unknown": row.ignore_unknown,
        **{name: text for name, text in named.items() if text is not None},
    }


def rows_of(fields: Fields, more: int = 0) -> int:
    """Return how many rows of quantities a form has: those that are filled in, and empty ones."""
    filled = [number for number in range(1, MAX_RATES + 1) if fields.get(f"quantity_{number}")]
    return min(MAX_RATES, max(LEAST_ROWS, max(filled, default=0) + 1) + more)


def typed_rate(field: str, text: str) -> TypedRate:
    """Return a rate as it was typed: ``2.5``, ``$2.50 per million``, ``$1 per 1,000``. Raises FormProblem."""
    found = _RATE.fullmatch(text.strip())
    if found is None or (found[1] is None and found[2] is None):
        raise FormProblem(f"{field} must be dollars, such as 0.005 or $2.50 per million")
    part = (found[2] or "").rstrip("0")
    if len(part) > MAX_DECIMALS:
        raise FormProblem(f"{field} must have at most {MAX_DECIMALS} decimals of a dollar")
    pico = int((found[1] or "0").replace(",", "")) * 100 * PICO + int(part.ljust(MAX_DECIMALS, "0"))
    if pico > MAX_RATE:
        raise FormProblem(f"{field} must be at most {dollars_in_full(MAX_RATE)}")
    return TypedRate(pico, None if found[3] is None else _count(field, found[3].strip().lower()))


def _count(field: str, text: str) -> int:
    text = text.removesuffix(" tokens").removesuffix(" units")
    if text in _ONE:
        return 1
    found = _COUNT.fullmatch(f"1 {text}" if text in _SIZES else text)
    number = int(found[1].replace(",", "")) * _SIZES[found[2] or ""] if found else 0
    if not 1 <= number <= MAX_PER:
        raise FormProblem(f"{field} must be per 1 to {MAX_PER:,} units, such as per million")
    return number


def _plain(fields: Fields, name: str, label: str) -> int:
    text = fields.get(name, "").strip()
    if not text:
        return 0
    rate = typed_rate(label, text)
    if rate.per is not None:
        raise FormProblem(f"{label} must be an amount without units")
    return rate.pico


def _token(fields: Fields) -> int:
    label, text = "Dollars per million tokens", fields.get("token", "").strip()
    return _each(label, typed_rate(label, text), MILLION) if text else 0


def _each(field: str, rate: TypedRate, default: int) -> int:
    """Return the pico-cents for one unit, which must be whole."""
    pico, rest = divmod(rate.pico, rate.per or default)
    if rest:
        raise FormProblem(f"{field} must have at most 12 decimals of a cent for one unit")
    return pico


def _rates(fields: Fields) -> tuple[UnitPrice, ...]:
    found: dict[str, UnitPrice] = {}
    for number in range(1, MAX_RATES + 1):
        name, text = (fields.get(f"{part}_{number}", "").strip() for part in ("quantity", "rate"))
        if not name and not text:
            continue
        if not NAME.fullmatch(name) or name in COMPONENTS:
            raise FormProblem(f"Quantity {number} must have a name of a-z, 0-9, _ and . that is not reserved")
        if name in found:
            raise FormProblem(f"Quantity {name} must have one rate")
        rate = typed_rate(f"Rate of {name}", text)
        if rate.per is None and name in TOKEN_KINDS:
            raise FormProblem(f"Rate of {name} must say for how many tokens, such as $2.50 per million")
        _each(f"Rate of {name}", rate, 1)
        found[name] = UnitPrice(name, rate.pico, rate.per or 1)
    return tuple(found[name] for name in sorted(found))


def _text(fields: Fields, name: str) -> str | None:
    text = fields.get(name, "").strip()
    return None if text in ("", ANY) else text


def _typed(pico: int) -> str:
    return dollars_in_full(pico).removeprefix("$").replace(",", "") if pico else ""
