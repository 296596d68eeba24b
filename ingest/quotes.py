"""What an event would cost at a price row, before it is recorded. Pure, in whole pico-cents.

The pricer alone charges, from its shard's state; this is for explanations. A test holds the two together.
"""

from schemas.commands import MeterEvent, PriceRef
from schemas.config import Price
from schemas.limits import MAX_TOKENS
from schemas.meter_responses import PriceResponse, priced
from schemas.money import MAX_EVENT, format_cents, parse_cents
from schemas.quantities import MICRO, TOKEN_KINDS, TOKENS, Line, all_quantities, parse_quantity
from schemas.replies import Receipt


class NoQuote(ValueError):
    """An event that the row cannot charge. The message names the field."""


def quote(price: Price, event: MeterEvent) -> PriceResponse:
    """Return the price of an event at a row, as the response of POST /v1/meter has it. Raises NoQuote.

    A quantity without a rate counts nothing; whether the row allows that is checked with the event.
    """
    rates = price.rates
    lines, token, quantity, rest = [], 0, 0, event.tokens
    its = {rate.name: rate for rate in rates.quantities}
    for name, text in all_quantities(event).items():
        if (rate := its.get(name)) is None:
            continue
        micro = parse_quantity(text)
        pico, part = divmod(micro * (parse_cents(rate.rate) // rate.per), MICRO)
        if part:
            raise NoQuote(f"quantities.{name} must cost at most 12 decimals of a cent; its rate has too many")
        lines.append(Line(name, text, rate.rate, rate.per, format_cents(pico)))
        if name in TOKEN_KINDS:
            token, rest = token + pico, rest - micro // MICRO
        else:
            quantity += pico
    at_token_rate = rest * parse_cents(rates.token)
    if lines and rest:
        lines.insert(0, Line(TOKENS, str(rest), rates.token, 1, format_cents(at_token_rate)))
    token += at_token_rate
    bonus = rates.bonus if event.outcome == "success" else "0"
    total = parse_cents(rates.base) + token + quantity + parse_cents(bonus)
    if event.tokens > MAX_TOKENS or total > MAX_EVENT:
        raise NoQuote(f"an event may cost at most {format_cents(MAX_EVENT)} cents, this one would cost more")
    receipt = Receipt(
        event_id=0,
        recorded_at=0,
        price=_reference(price),
        base=rates.base,
        token=format_cents(token),
        bonus=bonus,
        quantity=format_cents(quantity),
        total=format_cents(total),
        lines=tuple(lines),
    )
    return priced("", event, receipt).price


def _reference(price: Price) -> PriceRef:
    return PriceRef(
        id=price.id,
        action_type=price.action_type,
        rates=price.rates,
        offset=0,
        is_default=price.customer_id is None,
        model=price.model,
        provider=price.provider,
    )
