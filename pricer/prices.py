"""The price in force for an event, and the amount it yields. Integer pico-cents, no float.

``price = base + Σ quantity * rate + (outcome == success) * bonus``; tokens without a rate of their kind have the token
rate. Apart from arithmetic, this module only reads the shard's state; it uses no configuration and no clock.
"""

from functools import lru_cache
from typing import NamedTuple

from schemas.commands import MeterEvent, PriceRef
from schemas.limits import MAX_TOKENS
from schemas.money import MAX_EVENT, format_cents, parse_cents
from schemas.price_match import candidates
from schemas.quantities import (
    MICRO,
    TOKEN_KINDS,
    TOKENS,
    Line,
    QuantityRate,
    all_quantities,
    no_rate,
    parse_quantity,
)
from schemas.state import InstalledPrice, decode_price, price_key
from streams.types import StateView

CHARGE_ACTION = "outcome_charge"
"""The action under which a registered outcome's charge is shown. It cannot be metered."""


Amounts = tuple[str, str, str, str, str, tuple[Line, ...]]
"""The cost of one event in cents, as decimal text: base, token, bonus and quantity part, their sum, and the lines."""


class UnitRate(NamedTuple):
    """A rate of one quantity: pico-cents for a unit, and the rate as it was set."""

    pico: int
    rate: QuantityRate


class ParsedPrice(NamedTuple):
    """A price in force, with its rates both in pico-cents and as text."""

    ref: PriceRef
    base: int
    token: int
    bonus: int
    base_text: str
    token_text: str
    bonus_text: str
    quantities: dict[str, UnitRate]
    ignore_unknown: bool
    start: int
    """The accepted time from which it is in force; 0 if it is already."""
    later: tuple["ParsedPrice", ...]
    """The prices that follow it, by start."""
    dated: bool
    """True if the accepted time decides which of all these applies."""


class NotPriced(ValueError):
    """An event that its price cannot charge. The message names the field."""


@lru_cache(maxsize=4096)
def parsed_price(installed: bytes) -> ParsedPrice:
    """Return the price of an encoded schemas.state.InstalledPrice; the result is cached and shared."""
    return _parsed(decode_price(installed))


def _parsed(price: InstalledPrice) -> ParsedPrice:
    rates = price.rates
    return ParsedPrice(
        ref=PriceRef(
            id=price.id,
            action_type=price.action_type,
            rates=rates,
            offset=price.offset,
            is_default=price.is_default,
            model=price.model,
            provider=price.provider,
        ),
        base=parse_cents(rates.base),
        token=parse_cents(rates.token),
        bonus=parse_cents(rates.bonus),
        base_text=rates.base,
        token_text=rates.token,
        bonus_text=rates.bonus,
        quantities={rate.name: UnitRate(parse_cents(rate.rate) // rate.per, rate) for rate in rates.quantities},
        ignore_unknown=rates.ignore_unknown,
        start=price.effective_at or 0,
        later=tuple(map(_parsed, price.later)),
        dated=price.effective_at is not None or price.later != (),
    )


def in_force(
    state: StateView, at: int, customer_id: str, action: str, model: str | None = None, provider: str | None = None
) -> ParsedPrice | None:
    """Return the price in force for an event at its accepted time, in the order of schemas.price_match; None if there
    is none."""
    for key in _keys(customer_id, action, model, provider):
        installed = state.get(key)
        if installed is not None:
            price = parsed_price(installed)
            if not price.dated:
                return price
            started = _started(price, at)
            if started is not None:
                return started
    return None


def _started(first: ParsedPrice, at: int) -> ParsedPrice | None:
    """Return the last of a slot's prices that has started."""
    return next((price for price in reversed((first, *first.later)) if price.start <= at), None)


@lru_cache(maxsize=8192)
def _keys(customer_id: str, action: str, model: str | None, provider: str | None) -> tuple[bytes, ...]:
    return tuple(map(price_key, candidates(customer_id, action, model, provider)))


def amounts(price: ParsedPrice, event: MeterEvent) -> Amounts:
    """Return what an event costs; the bonus is charged only on success.

    Raises NotPriced above 10^12 cents, for a token count outside of 0 to 10^12, for a quantity without a rate, and
    where a line would need more than 12 decimals.
    """
    tokens, success = event.tokens, event.outcome == "success"
    if not 0 <= tokens <= MAX_TOKENS:
        raise NotPriced(f"tokens must be from 0 to {MAX_TOKENS}")
    if price.quantities or event.quantities:
        return _itemized(price, event, success)
    token = tokens * price.token
    total = price.base + token
    if success:
        total += price.bonus
    _check_total(total)
    bonus_text = price.bonus_text if success else "0"
    return price.base_text, format_cents(token) if token else "0", bonus_text, "0", format_cents(total), ()


def _itemized(price: ParsedPrice, event: MeterEvent, success: bool) -> Amounts:
    lines = []
    token = quantity = 0
    rest = event.tokens  # less those with a rate of their kind
    for name, text in all_quantities(event).items():
        its = price.quantities.get(name)
        is_token = name in TOKEN_KINDS
        if its is None:
            if not is_token and not price.ignore_unknown:
                raise NotPriced(no_rate(name, event.action))
            continue
        micro = parse_quantity(text)
        pico, part = divmod(micro * its.pico, MICRO)
        if part:
            raise NotPriced(f"quantities.{name} must cost at most 12 decimals of a cent; its rate has too many")
        lines.append(Line(name, text, its.rate.rate, its.rate.per, format_cents(pico)))
        if is_token:
            token += pico
            rest -= micro // MICRO
        else:
            quantity += pico
    if lines and rest:
        at_token_rate = rest * price.token
        lines.insert(0, Line(TOKENS, str(rest), price.token_text, 1, format_cents(at_token_rate)))
    token += rest * price.token
    total = price.base + token + quantity
    if success:
        total += price.bonus
    _check_total(total)
    bonus_text = price.bonus_text if success else "0"
    return price.base_text, format_cents(token), bonus_text, format_cents(quantity), format_cents(total), tuple(lines)


def _check_total(total: int) -> None:
    if total > MAX_EVENT:
        raise NotPriced(f"an event may cost at most {format_cents(MAX_EVENT)} cents, this one would cost more")
