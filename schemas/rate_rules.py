"""The rules that the rates of a price obey, for every service that takes them in. Pure."""

from schemas.commands import Rates
from schemas.money import MAX_RATE, MoneyError, format_cents, parse_cents
from schemas.quantities import COMPONENTS, MAX_PER, MAX_RATES, NAME, QuantityRate


def canonical_rates(rates: Rates) -> Rates:
    """Return the rates in canonical form. Raises MoneyError naming a rate that is not an amount from 0 to 10^9 cents
    with at most 12 decimals, also after its division, or a quantity that cannot have one."""
    if len(rates.quantities) > MAX_RATES:
        raise MoneyError(f"rates must name at most {MAX_RATES} quantities")
    names = [rate.name for rate in rates.quantities]
    if len(set(names)) < len(names):
        raise MoneyError("rates must name each quantity once")
    return Rates(
        _canonical("base_rate_cents", rates.base),
        _canonical("token_rate_cents", rates.token),
        _canonical("outcome_bonus_cents", rates.bonus),
        tuple(sorted(map(_canonical_rate, rates.quantities), key=lambda rate: rate.name)),
        rates.ignore_unknown,
    )


def _canonical_rate(rate: QuantityRate) -> QuantityRate:
    field = f"rates.{rate.name}"
    if not NAME.fullmatch(rate.name):
        raise MoneyError(f"{field[:80]} must have a name of 1 to 64 characters: a-z, 0-9, _ and .")
    if rate.name in COMPONENTS:
        raise MoneyError(f"{field} has a reserved name; choose another one")
    if not 1 <= rate.per <= MAX_PER:
        raise MoneyError(f"{field}.per must be from 1 to {MAX_PER}")
    cents = _canonical(field, rate.rate)
    if parse_cents(cents) % rate.per:
        raise MoneyError(f"{field} must have at most 12 decimals for one unit, unlike {cents} cents per {rate.per}")
    return QuantityRate(rate.name, cents, rate.per)


def _canonical(name: str, text: str) -> str:
    try:
        pico = parse_cents(text)
    except MoneyError as error:
        raise MoneyError(f"{name}: {error}") from None
    if not 0 <= pico <= MAX_RATE:
        raise MoneyError(f"{name} must be from 0 to {format_cents(MAX_RATE)} cents")
    return format_cents(pico)
