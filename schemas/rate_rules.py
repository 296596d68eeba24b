"""The rules that the rates of a price obey, for every service that takes them in. Pure."""

from collections.abc import Collection, Sequence

from schemas.commands import Rates
from schemas.money import MAX_EVENT, MAX_RATE, MoneyError, format_cents, parse_cents
from schemas.quantities import (
    CAP,
    COMPONENTS,
    EVENT,
    MAX_PER,
    MAX_RATES,
    MICRO,
    MINIMUM,
    NAME,
    TOKEN_KINDS,
    QuantityError,
    QuantityRate,
    format_quantity,
    parse_quantity,
)
from schemas.tiers import MAX_STEPS, Step, Tiers


def canonical_rates(rates: Rates) -> Rates:
    """Return the rates in canonical form. Raises MoneyError naming a rate that is not an amount from 0 to 10^9 cents
    with at most 12 decimals, also after its division, or a quantity that cannot have one."""
    if len(rates.quantities) > MAX_RATES:
        raise MoneyError(f"rates must name at most {MAX_RATES} quantities")
    names = [rate.name for rate in rates.quantities]
    if len(set(names)) < len(names):
        raise MoneyError("rates must name each quantity once")
    tiers = tuple(sorted(map(_canonical_tiers, rates.tiers), key=lambda one: one.name))
    _check_tiers(tiers, names, rates)
    minimum, cap = _amount("minimum_cents", rates.minimum), _amount("cap_cents", rates.cap)
    _check_month(rates, {*names, *(one.name for one in tiers)}, minimum, cap)
    return Rates(
        base=_canonical("base_rate_cents", rates.base),
        token=_canonical("token_rate_cents", rates.token),
        bonus=_canonical("outcome_bonus_cents", rates.bonus),
        quantities=tuple(sorted(map(_canonical_rate, rates.quantities), key=lambda rate: rate.name)),
        ignore_unknown=rates.ignore_unknown,
        tiers=tiers,
        tier_mode=rates.tier_mode,
        minimum=minimum,
        cap=cap,
    )


def _check_month(rates: Rates, named: Collection[str], minimum: str | None, cap: str | None) -> None:
    """Check the terms that hold for a month."""
    if rates.tier_mode == "volume" and not rates.tiers:
        raise MoneyError("tier_mode must not be volume without tiers")
    if rates.tier_mode == "volume" and cap is not None:
        raise MoneyError("cap_cents must not be given together with tier_mode volume")
    if cap is not None and minimum is not None and parse_cents(cap) < parse_cents(minimum):
        raise MoneyError("cap_cents must be at least minimum_cents")
    if (cap is not None and CAP in named) or (minimum is not None and MINIMUM in named):
        name = CAP if cap is not None and CAP in named else MINIMUM
        raise MoneyError(f"{name}_cents must not be given together with a rate for a quantity of the name {name}")


def _amount(name: str, text: str | None) -> str | None:
    """Return the canonical text of an amount of a month."""
    if text is None:
        return None
    try:
        pico = parse_cents(text)
    except MoneyError as error:
        raise MoneyError(f"{name}: {error}") from None
    if not 0 <= pico <= MAX_EVENT:
        raise MoneyError(f"{name} must be from 0 to {format_cents(MAX_EVENT)} cents")
    return format_cents(pico)


def _check_tiers(tiers: Sequence[Tiers], rated: Collection[str], rates: Rates) -> None:
    names = [one.name for one in tiers]
    if len(names) + len(rated) > MAX_RATES:
        raise MoneyError(f"tiers and rates must name at most {MAX_RATES} quantities together")
    if len(set(names)) < len(names):
        raise MoneyError("tiers must name each quantity once")
    for name in names:
        if name in rated:
            raise MoneyError(f"tiers.{name} must not be given together with rates.{name}")
    if EVENT in names and parse_cents(rates.base):
        raise MoneyError("tiers.event must not be given together with base_rate_cents")


def _canonical_tiers(tiers: Tiers) -> Tiers:
    field = f"tiers.{tiers.name}"
    if not NAME.fullmatch(tiers.name):
        raise MoneyError(f"{field[:80]} must have a name of 1 to 64 characters: a-z, 0-9, _ and .")
    if tiers.name in COMPONENTS and tiers.name != EVENT:
        raise MoneyError(f"{field} has a reserved name; choose another one")
    if not 1 <= len(tiers.steps) <= MAX_STEPS:
        raise MoneyError(f"{field} must have 1 to {MAX_STEPS} steps")
    if tiers.steps[-1].up_to is not None:
        raise MoneyError(f"{field} must end with a step whose up_to is null")
    whole = tiers.name == EVENT or tiers.name in TOKEN_KINDS
    below = 0
    steps = []
    for number, step in enumerate(tiers.steps):
        where = f"{field}[{number}]"
        up_to = None if number == len(tiers.steps) - 1 else _up_to(where, step.up_to, below, whole)
        below = below if up_to is None else up_to
        rate = _per_unit(where, step.rate, step.per)
        steps.append(Step(None if up_to is None else format_quantity(up_to), rate, step.per))
    return Tiers(tiers.name, tuple(steps))


def _up_to(where: str, text: str | None, below: int, whole: bool) -> int:
    if text is None:
        raise MoneyError(f"{where}.up_to must be a number, since only the last step has no end")
    try:
        micro = parse_quantity(text)
    except QuantityError as error:
        raise MoneyError(f"{where}.up_to {error}") from None
    if micro <= below:
        raise MoneyError(f"{where}.up_to must be above {format_quantity(below)}")
    if whole and micro % MICRO:
        raise MoneyError(f"{where}.up_to must be an integer")
    return micro


def _per_unit(field: str, rate: str, per: int) -> str:
    """Return a rate in canonical form, which is exact for one unit."""
    if not 1 <= per <= MAX_PER:
        raise MoneyError(f"{field}.per must be from 1 to {MAX_PER}")
    cents = _canonical(field, rate)
    if parse_cents(cents) % per:
        raise MoneyError(f"{field} must have at most 12 decimals for one unit, unlike {cents} cents per {per}")
    return cents


def _canonical_rate(rate: QuantityRate) -> QuantityRate:
    field = f"rates.{rate.name}"
    if not NAME.fullmatch(rate.name):
        raise MoneyError(f"{field[:80]} must have a name of 1 to 64 characters: a-z, 0-9, _ and .")
    if rate.name in COMPONENTS:
        raise MoneyError(f"{field} has a reserved name; choose another one")
    return QuantityRate(rate.name, _per_unit(field, rate.rate, rate.per), rate.per)


def _canonical(name: str, text: str) -> str:
    try:
        pico = parse_cents(text)
    except MoneyError as error:
        raise MoneyError(f"{name}: {error}") from None
    if not 0 <= pico <= MAX_RATE:
        raise MoneyError(f"{name} must be from 0 to {format_cents(MAX_RATE)} cents")
    return format_cents(pico)
