"""The price in force for an event, and the amount it yields. Integer pico-cents, no float.

``price = base + tokens * rate + (outcome == success) * bonus``. Apart from arithmetic, this module only reads the
shard's state; it uses no configuration and no clock.
"""

from functools import lru_cache
from typing import NamedTuple

from schemas.commands import PriceRef, Rates
from schemas.limits import MAX_TOKENS
from schemas.money import MAX_EVENT, MAX_RATE, MoneyError, format_cents, parse_cents
from schemas.state import decode_price, price_key
from streams.types import StateView

ANY = "*"
"""The action of a price row for every action without a row of its own."""
CHARGE_ACTION = "outcome_charge"
"""The action under which a registered outcome's charge is shown. It cannot be metered."""


Amounts = tuple[str, str, str, str]
"""The cost of one event, as decimal text in cents: base, token and bonus, and their sum."""


class ParsedPrice(NamedTuple):
    """A price in force, with its rates both in pico-cents and as text."""

    ref: PriceRef
    base: int
    token: int
    bonus: int
    base_text: str
    bonus_text: str


class AmountTooLarge(ValueError):
    """An event would cost more than one ledger entry may hold (10^12 cents)."""


@lru_cache(maxsize=4096)
def parsed_price(installed: bytes) -> ParsedPrice:
    """Return the price of an encoded schemas.state.InstalledPrice; the result is cached and shared."""
    price = decode_price(installed)
    rates = price.rates
    return ParsedPrice(
        PriceRef(price.id, price.action_type, rates, price.offset, price.is_default),
        parse_cents(rates.base),
        parse_cents(rates.token),
        parse_cents(rates.bonus),
        rates.base,
        rates.bonus,
    )


def in_force(state: StateView, customer_id: str, action: str) -> ParsedPrice | None:
    """Return the price now in force for an action: the customer's own, the customer's ``*``, the default, the default
    ``*``; None if there is none."""
    for customer, row in ((customer_id, action), (customer_id, ANY), (None, action), (None, ANY)):
        installed = state.get(price_key(customer, row))
        if installed is not None:
            return parsed_price(installed)
    return None


def amounts(price: ParsedPrice, tokens: int, success: bool) -> Amounts:
    """Return what an event with this many tokens costs; the bonus is charged only on success.

    Raises AmountTooLarge above 10^12 cents, and for a token count outside of 0 to 10^12.
    """
    if not 0 <= tokens <= MAX_TOKENS:
        raise AmountTooLarge(f"tokens must be from 0 to {MAX_TOKENS}")
    token = tokens * price.token
    total = price.base + token
    if success:
        total += price.bonus
    if total > MAX_EVENT:
        raise AmountTooLarge(f"an event may cost at most {format_cents(MAX_EVENT)} cents, this one would cost more")
    bonus_text = price.bonus_text if success else "0"
    return price.base_text, format_cents(token) if token else "0", bonus_text, format_cents(total)


def canonical_rates(rates: Rates) -> Rates:
    """Return the rates in canonical form. Raises MoneyError naming a rate that is not an amount from 0 to 10^9 cents
    with at most 12 decimals."""
    return Rates(
        _canonical("base_rate_cents", rates.base),
        _canonical("token_rate_cents", rates.token),
        _canonical("outcome_bonus_cents", rates.bonus),
    )


def _canonical(name: str, text: str) -> str:
    try:
        pico = parse_cents(text)
    except MoneyError as error:
        raise MoneyError(f"{name}: {error}") from None
    if not 0 <= pico <= MAX_RATE:
        raise MoneyError(f"{name} must be from 0 to {format_cents(MAX_RATE)} cents")
    return format_cents(pico)
