"""The changed prices of a replay, from JSON: rows as POST /api/admin/pricing takes them. Pure and exact.

Numbers of the JSON are int or Decimal.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from schemas.commands import Rates
from schemas.limits import MAX_NAME
from schemas.money import (
    RATE_WANTED,
    MoneyError,
    format_cents,
    parse_cents,
    rate_from_decimal,
    rate_from_text,
)
from schemas.price_match import ANY, PriceSlot
from schemas.quantities import (
    COMPONENTS,
    MAX_PER,
    MAX_RATES,
    NAME,
    QuantityError,
    QuantityRate,
    format_quantity,
    parse_quantity,
)
from schemas.rate_rules import canonical_rates
from schemas.tiers import Step, Tiers
from warehouse.replay import MAX_CHANGES, ChangedPrice
from web.web_refusals import invalid

RATES = ("base_rate_cents", "token_rate_cents", "outcome_bonus_cents")
NAMES = ("action_type", "model", "provider", "customer_id")
SETTLED = ("minimum_cents", "cap_cents")
"""What depends on the cost of a customer's whole month, as volume steps do on its usage; a replay has neither."""
FIELDS = (*NAMES, *RATES, "rates", "tiers", "tier_mode", "ignore_unknown")
GRADUATED, VOLUME = "graduated", "volume"


def decoded(text: str) -> Any:
    """Return the value of JSON text, its numbers exact. Raises Refusal."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise invalid("the body must be JSON") from error


def changes_of(given: Any) -> list[ChangedPrice]:
    """Return the changes of a list of rows. Raises Refusal naming the field."""
    if not isinstance(given, list):
        raise invalid("changes must be a list of price rows")
    if len(given) > MAX_CHANGES:
        raise invalid(f"changes must be at most {MAX_CHANGES} rows")
    changes = [change_of(row, f"changes[{number}]") for number, row in enumerate(given)]
    slots = [change.slot for change in changes]
    for number, slot in enumerate(slots):
        if slot in slots[:number]:
            raise invalid(f"changes[{number}] is for the same customer, action, model and provider as an earlier row")
    return changes


def change_of(row: Any, where: str) -> ChangedPrice:
    """Return one row. Raises Refusal naming the field, which begins with ``where``."""
    if not isinstance(row, dict):
        raise invalid(f"{where} must be an object")
    settled = next((name for name in SETTLED if name in row), None)
    if settled is not None:
        raise invalid(f"{where}.{settled} must be absent: a replay does not settle months")
    unknown = next((name for name in row if name not in FIELDS), None)
    if unknown is not None:
        raise invalid(f"{where}.{unknown[:80]} is unknown; known here: {', '.join(FIELDS)}")
    action, model, provider, customer = (_name(row, name, where) for name in NAMES)
    if action is None:
        raise invalid(f"{where}.action_type is required")
    slot = PriceSlot(customer, action, None if model == ANY else model, None if provider == ANY else provider)
    base, token, bonus = (cents_of(row.get(name), f"{where}.{name}") for name in RATES)
    rates = row.get("rates")
    ignored = row.get("ignore_unknown")
    if not isinstance(ignored, bool | None):
        raise invalid(f"{where}.ignore_unknown must be true or false")
    mode = row.get("tier_mode")
    if mode is not None and mode != GRADUATED:
        raise invalid(f"{where}.tier_mode must be {GRADUATED}: a replay does not settle months")
    quantities = quantity_rates({} if rates is None else rates, f"{where}.rates")
    tiers = tiers_of(row.get("tiers"), f"{where}.tiers")
    given = Rates(base, token, bonus, quantities, bool(ignored), tiers)
    return ChangedPrice(slot, checked(given, where) if tiers else given)


def checked(rates: Rates, where: str) -> Rates:
    """Return rates in canonical form, if a price may have them. Raises Refusal."""
    try:
        return canonical_rates(rates)
    except MoneyError as error:
        raise invalid(f"{where}.{error}") from None


def tiers_of(given: Any, where: str) -> tuple[Tiers, ...]:
    """Return the steps of quantities, by name; :func:`checked` looks at their order. Raises Refusal."""
    if given is None:
        return ()
    if not isinstance(given, dict) or not all(isinstance(steps, list) for steps in given.values()):
        raise invalid(f"{where} must be an object with a list of steps for each quantity")
    return tuple(
        Tiers(name, tuple(_step(step, f"{where}.{name[:80]}[{number}]") for number, step in enumerate(given[name])))
        for name in sorted(given)
    )


def _step(given: Any, where: str) -> Step:
    if not isinstance(given, dict) or not {"up_to", "rate"} <= set(given) <= {"up_to", "rate", "per"}:
        raise invalid(f"{where} must have up_to and rate, and may have per")
    up_to = given["up_to"]
    if up_to is not None:
        try:
            if not isinstance(up_to, str | int | Decimal) or isinstance(up_to, bool):
                raise QuantityError("must be a number")
            up_to = format_quantity(parse_quantity(up_to if isinstance(up_to, str) else format(Decimal(up_to), "f")))
        except QuantityError as error:
            raise invalid(f"{where}.up_to {error}") from None
    return Step(up_to, _required(given["rate"], f"{where}.rate"), _per(given.get("per"), where))


def _per(given: Any, where: str) -> int:
    per = 1 if given is None else given
    if type(per) is not int or not 1 <= per <= MAX_PER:
        raise invalid(f"{where}.per must be an integer from 1 to {MAX_PER}")
    return per


def _required(given: Any, where: str) -> str:
    if given is None:
        raise invalid(f"{where} {RATE_WANTED}")
    return cents_of(given, where)


def quantity_rates(given: Any, where: str) -> tuple[QuantityRate, ...]:
    """Return the rates of quantities, by name. Raises Refusal."""
    if not isinstance(given, dict) or len(given) > MAX_RATES:
        raise invalid(f"{where} must be an object of at most {MAX_RATES} quantities")
    return tuple(_quantity_rate(name, given[name], f"{where}.{name[:80]}") for name in sorted(given))


def _quantity_rate(name: str, given: Any, where: str) -> QuantityRate:
    if not NAME.fullmatch(name):
        raise invalid(f"{where} must have a name of 1 to 64 characters: a-z, 0-9, _ and .")
    if name in COMPONENTS:
        raise invalid(f"{where} has a reserved name; choose another one")
    per = 1
    if isinstance(given, dict):
        if not set(given) <= {"rate", "per"} or given.get("rate") is None:
            raise invalid(f"{where} must have a rate, and may have per")
        per, given = _per(given.get("per"), where), given["rate"]
    rate = _required(given, where)
    if parse_cents(rate) % per:
        raise invalid(f"{where} must have at most 12 decimals for one unit, unlike {rate} cents per {per}")
    return QuantityRate(name, rate, per)


def cents_of(given: Any, where: str) -> str:
    """Return a rate as canonical cents; "0" when it is absent. Raises Refusal."""
    if given is None:
        return "0"
    try:
        if isinstance(given, str):
            return rate_from_text(given)
        if isinstance(given, Decimal) or type(given) is int:
            return format_cents(rate_from_decimal(Decimal(given)))
        raise MoneyError(RATE_WANTED)
    except MoneyError as error:
        raise invalid(f"{where} {error}") from None


def row_of(change: ChangedPrice) -> dict[str, Any]:
    """Return the row that POST /api/admin/pricing takes, its rates as decimal text; what is absent is left out."""
    slot, rates = change.slot, change.rates
    named = {"customer_id": slot.customer_id, "model": slot.model, "provider": slot.provider}
    row: dict[str, Any] = {"action_type": slot.action, **{name: text for name, text in named.items() if text}}
    row |= {name: text for name, text in zip(RATES, (rates.base, rates.token, rates.bonus), strict=True) if text != "0"}
    if rates.quantities:
        row["rates"] = {
            one.name: one.rate if one.per == 1 else {"rate": one.rate, "per": one.per} for one in rates.quantities
        }
    if rates.tiers:
        row["tiers"] = {one.name: [_step_row(step) for step in one.steps] for one in rates.tiers}
    return row | ({"ignore_unknown": True} if rates.ignore_unknown else {})


def _step_row(step: Step) -> dict[str, Any]:
    return {"up_to": step.up_to, "rate": step.rate} | ({} if step.per == 1 else {"per": step.per})


def in_force(configs: Sequence[Mapping[str, Any]]) -> dict[PriceSlot, Rates | None]:
    """Return the rates of rows of GET /api/admin/pricing; None for one whose months are settled: no replay has it."""
    found: dict[PriceSlot, Rates | None] = {}
    for config in configs:
        is_volume = config.get("tier_mode") == VOLUME
        row = {name: config.get(name) for name in FIELDS}
        change = change_of(row | ({"tiers": None, "tier_mode": None} if is_volume else {}), "price")
        is_settled = is_volume or any(config.get(name) is not None for name in SETTLED)
        found[change.slot] = None if is_settled else change.rates
    return found


def _name(row: Mapping[str, Any], name: str, where: str) -> str | None:
    text = row.get(name)
    if text is not None and (not isinstance(text, str) or not 1 <= len(text) <= MAX_NAME):
        raise invalid(f"{where}.{name} must be text of 1 to {MAX_NAME} characters")
    return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
