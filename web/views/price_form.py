"""The form of a price: what a person types, in dollars, to exact pico-cents and back. Pure; no floats.

A rate may be typed with what it is for: ``$2.50 per million``. The rate of tokens is per million unless it says so;
that of a token kind must say for how many; that of any other quantity is for one unit.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.money import MAX_RATE, format_cents
from schemas.objects import iso
from schemas.price_match import ANY, PriceSlot
from schemas.quantities import COMPONENTS, EVENT, MAX_PER, MAX_RATES, NAME, TOKEN_KINDS
from web.exact_json import ms_of
from web.formats import dollars_in_full
from web.views import dollars
from web.views.dollars import FormProblem
from web.views.price_rows import MILLION, PriceRow, PriceStep, SteppedPrice, UnitPrice

Fields = Mapping[str, str]
LEAST_ROWS = 3
"""Rows of quantities that an empty form has."""
MORE_ROWS = 3
MAX_STEPPED = 8
"""Quantities that may have steps in one form."""
GRADUATED, VOLUME = "graduated", "volume"
TIER_MODES = {GRADUATED: "Each step has its own rate", VOLUME: "The whole month has the rate of the step it reaches"}
LIKE = "0.005 or $2.50 per million"
_RATE = re.compile(r"(.*?)\s*(?:(?:per|/)\s*(.+))?", re.IGNORECASE | re.ASCII)
_STEP = re.compile(r"(?:up to\s+(\d[\d,]*(?:\.\d+)?)|then)\s*:?\s*(.+)", re.IGNORECASE | re.ASCII)
_COUNT = re.compile(r"(\d[\d,]*)\s*([kmb]|thousand|million|billion)?", re.ASCII)
_SIZES = {"": 1, "k": 10**3, "thousand": 10**3, "m": MILLION, "million": MILLION, "b": 10**9, "billion": 10**9}
_ONE = ("unit", "one", "each")


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
        tiers=_tiers(fields),
        effective_at=_start(fields),
        minimum=_bound(fields, "minimum", "At least, a month"),
        cap=_bound(fields, "cap", "At most, a month"),
        is_volume=fields.get("tier_mode") == VOLUME,
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
        "tier_mode": VOLUME if row.is_volume else GRADUATED,
        "minimum": "" if row.minimum is None else _typed(row.minimum) or "0",
        "cap": "" if row.cap is None else _typed(row.cap) or "0",
    }
    for number, one in enumerate(row.rates, 1):
        fields |= {f"quantity_{number}": one.name, f"rate_{number}": one.words}
    for number, stepped in enumerate(row.tiers, 1):
        fields |= {f"stepped_{number}": stepped.name, f"steps_{number}": "\n".join(one.words for one in stepped.steps)}
    return fields | ({"ignore_unknown": "1"} if row.ignore_unknown else {})


def body_of(row: PriceRow) -> dict[str, Any]:
    """Return the body of POST /api/admin/pricing: decimal text in cents."""
    slot = row.slot
    named: dict[str, Any] = {"customer_id": slot.customer_id, "model": slot.model, "provider": slot.provider}
    named["effective_at"] = None if row.effective_at is None else iso(row.effective_at)
    named["tiers"] = {one.name: [_step_body(step) for step in one.steps] for one in row.tiers} or None
    named["tier_mode"] = VOLUME if row.is_volume else None
    named["minimum_cents"] = None if row.minimum is None else format_cents(row.minimum)
    named["cap_cents"] = None if row.cap is None else format_cents(row.cap)
    return {
        "action_type": slot.action,
        "base_rate_cents": format_cents(row.base),
        "token_rate_cents": format_cents(row.token),
        "outcome_bonus_cents": format_cents(row.bonus),
        "rates": {one.name: {"rate": format_cents(one.pico), "per": one.per} for one in row.rates},
        "ignore_unknown": row.ignore_unknown,
        **{name: value for name, value in named.items() if value is not None},
    }


def _step_body(step: PriceStep) -> dict[str, Any]:
    return {"up_to": step.up_to, "rate": format_cents(step.pico), "per": step.per}


def rows_of(fields: Fields, more: int = 0) -> int:
    """Return how many rows of quantities a form has: those that are filled in, and empty ones."""
    filled = [number for number in range(1, MAX_RATES + 1) if fields.get(f"quantity_{number}")]
    return min(MAX_RATES, max(LEAST_ROWS, max(filled, default=0) + 1) + more)


def stepped_of(fields: Fields) -> int:
    """Return how many quantities with steps a form has room for: those that are filled in, and one."""
    filled = [number for number in range(1, MAX_STEPPED + 1) if fields.get(f"stepped_{number}")]
    return min(MAX_STEPPED, max(filled, default=0) + 1)


def typed_rate(field: str, text: str) -> TypedRate:
    """Return a rate as it was typed: ``2.5``, ``$2.50 per million``, ``$1 per 1,000``. Raises FormProblem."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise FormProblem(f"{field} must be dollars, such as {LIKE}")
    pico = dollars.pico_of(field, found[1], MAX_RATE, LIKE)
    return TypedRate(pico, None if found[2] is None else _count(field, found[2].strip().lower()))


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


def _bound(fields: Fields, name: str, label: str) -> int | None:
    text = fields.get(name, "").strip()
    return dollars.pico_of(label, text) if text else None


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


def _tiers(fields: Fields) -> tuple[SteppedPrice, ...]:
    found: dict[str, SteppedPrice] = {}
    for number in range(1, MAX_STEPPED + 1):
        name, text = (fields.get(f"{part}_{number}", "").strip() for part in ("stepped", "steps"))
        if not name and not text:
            continue
        if not NAME.fullmatch(name) or (name in COMPONENTS and name != EVENT):
            raise FormProblem(f"Quantity in steps {number} must be event, or a name of a-z, 0-9, _ and .")
        if name in found:
            raise FormProblem(f"Steps of {name} must be in one field")
        steps = [_step(f"Steps of {name}", line.strip(), name) for line in text.splitlines() if line.strip()]
        if not steps or [step.up_to is None for step in steps] != [False] * (len(steps) - 1) + [True]:
            raise FormProblem(f"Steps of {name} must end with a line such as then: $0.01, and have only one of them")
        found[name] = SteppedPrice(name, tuple(steps))
    return tuple(found[name] for name in sorted(found))


def _step(field: str, line: str, name: str) -> PriceStep:
    found = _STEP.fullmatch(line)
    if found is None:
        raise FormProblem(f"{field} must be lines such as up to 1,000: $0.05, and then: $0.01")
    rate = typed_rate(field, found[2])
    if rate.per is None and name in TOKEN_KINDS:
        raise FormProblem(f"{field} must say for how many tokens, such as $2.50 per million")
    _each(field, rate, 1)
    return PriceStep(found[1] and found[1].replace(",", ""), rate.pico, rate.per or 1)


def _start(fields: Fields) -> int | None:
    """Return when a price is to come into force (ms); None for at once."""
    text = fields.get("effective_at", "").strip()
    if not text:
        return None
    try:
        return ms_of(datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).isoformat())
    except ValueError:
        raise FormProblem("In force from must be a time, such as 2026-12-01T00:00") from None


def _text(fields: Fields, name: str) -> str | None:
    text = fields.get(name, "").strip()
    return None if text in ("", ANY) else text


def _typed(pico: int) -> str:
    return dollars_in_full(pico).removeprefix("$").replace(",", "") if pico else ""
