"""The price in force for an event, and the amount it yields. Integer pico-cents, no float.

``price = base + Σ quantity * rate + (outcome == success) * bonus``; tokens without a rate of their kind have the token
rate. A quantity with steps has the rates of the steps that it reaches in its month (schemas.tiers). Apart from
arithmetic, this module only reads the shard's state; it uses no configuration and no clock.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from schemas.commands import MeterEvent, PriceRef
from schemas.limits import MAX_TOKENS
from schemas.money import MAX_EVENT, format_cents, parse_cents
from schemas.price_match import candidates
from schemas.quantities import (
    EVENT,
    MICRO,
    TOKEN_KINDS,
    TOKENS,
    Line,
    QuantityRate,
    all_quantities,
    format_quantity,
    no_rate,
    parse_quantity,
)
from schemas.state import InstalledPrice, decode_price, price_key
from schemas.tiers import Step, Tiers
from streams.types import StateView

CHARGE_ACTION = "outcome_charge"
"""The action under which a registered outcome's charge is shown. It cannot be metered."""


Amounts = tuple[str, str, str, str, str, tuple[Line, ...]]
"""The cost of one event in cents, as decimal text: base, token, bonus and quantity part, their sum, and the lines."""
NOTHING_USED: Mapping[str, int] = MappingProxyType({})


class UnitRate(NamedTuple):
    """A rate of one quantity: pico-cents for a unit, and the rate as it was set."""

    pico: int
    rate: QuantityRate


class ParsedStep(NamedTuple):
    """A step of a quantity: the month's count in micro-units up to which its rate holds, or None."""

    up_to: int | None
    rate: UnitRate


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
    steps: dict[str, tuple[ParsedStep, ...]]
    """The steps of quantities that have no other rate."""
    event_steps: tuple[tuple[int | None, "ParsedPrice"], ...]
    """The price at each step of the count of events, which differs in its base; empty without such steps."""
    itemized: bool
    """True if any quantity has a rate or steps."""
    stepped: bool
    """True if any quantity or the count of events has graduated steps."""
    volume: tuple[Tiers, ...]
    """Volume steps: events are charged at the first ones."""
    cap: int | None
    """The most that a customer's month costs, in pico-cents."""
    minimum: str | None
    """The least that a customer's month costs, in cents."""
    monthly: bool
    """True if a month is to be settled, or has a cap."""


class NotPriced(ValueError):
    """An event that its price cannot charge. The message names the field."""


@lru_cache(maxsize=4096)
def parsed_price(installed: bytes) -> ParsedPrice:
    """Return the price of an encoded schemas.state.InstalledPrice; the result is cached and shared."""
    return _parsed(decode_price(installed))


def _parsed(price: InstalledPrice) -> ParsedPrice:
    volume = price.rates.tiers if price.rates.tier_mode == "volume" else ()
    graduated = () if volume else price.rates.tiers
    steps = {tiers.name: tuple(map(_parsed_step, tiers.steps)) for tiers in graduated}
    events = steps.pop(EVENT, ())
    first = {tiers.name: _parsed_step(tiers.steps[0]).rate for tiers in volume}
    base = first.pop(EVENT, None)
    cap, minimum = price.rates.cap, price.rates.minimum
    rates = replace(price.rates, tiers=(), tier_mode="graduated", minimum=None, cap=None)
    if base is not None:
        rates = replace(rates, base=format_cents(base.pico))
    parsed = ParsedPrice(
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
        quantities={**{rate.name: _unit_rate(rate) for rate in rates.quantities}, **first},
        ignore_unknown=rates.ignore_unknown,
        start=price.effective_at or 0,
        later=tuple(map(_parsed, price.later)),
        dated=price.effective_at is not None or price.later != (),
        steps=steps,
        event_steps=(),
        itemized=bool(rates.quantities or steps or first),
        stepped=graduated != (),
        volume=volume,
        cap=None if cap is None else parse_cents(cap),
        minimum=minimum,
        monthly=volume != () or cap is not None or minimum is not None,
    )
    return parsed._replace(event_steps=tuple((step.up_to, _at_step(parsed, step)) for step in events))


def _unit_rate(rate: QuantityRate) -> UnitRate:
    return UnitRate(parse_cents(rate.rate) // rate.per, rate)


def _parsed_step(step: Step) -> ParsedStep:
    up_to = None if step.up_to is None else parse_quantity(step.up_to)
    return ParsedStep(up_to, _unit_rate(QuantityRate("", step.rate, step.per)))


def _at_step(price: ParsedPrice, step: ParsedStep) -> ParsedPrice:
    base = format_cents(step.rate.pico)
    ref = replace(price.ref, rates=replace(price.ref.rates, base=base))
    return price._replace(ref=ref, base=step.rate.pico, base_text=base)


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


def plain_ref(price: ParsedPrice) -> PriceRef:
    """Return the reference to a price without the base of a step that some event was on."""
    ref = price.ref
    return replace(ref, rates=replace(ref.rates, base="0")) if price.event_steps else ref


def at_count(price: ParsedPrice, used: Mapping[str, int]) -> ParsedPrice:
    """Return a price at the step that the next event of the month is on; ``used``: the month's count."""
    count = used.get(EVENT, 0)
    return next((stepped for up_to, stepped in price.event_steps if up_to is None or count < up_to), price)


def amounts(price: ParsedPrice, event: MeterEvent, used: Mapping[str, int] = NOTHING_USED) -> Amounts:
    """Return what an event costs; the bonus is charged only on success. ``used``: what the month has counted, for
    quantities with steps.

    Raises NotPriced above 10^12 cents, for a token count outside of 0 to 10^12, for a quantity without a rate, and
    where a line would need more than 12 decimals.
    """
    tokens, success = event.tokens, event.outcome == "success"
    if not 0 <= tokens <= MAX_TOKENS:
        raise NotPriced(f"tokens must be from 0 to {MAX_TOKENS}")
    if price.itemized or event.quantities:
        return _itemized(price, event, success, used)
    token = tokens * price.token
    total = price.base + token
    if success:
        total += price.bonus
    _check_total(total)
    bonus_text = price.bonus_text if success else "0"
    return price.base_text, format_cents(token) if token else "0", bonus_text, "0", format_cents(total), ()


def _itemized(price: ParsedPrice, event: MeterEvent, success: bool, used: Mapping[str, int]) -> Amounts:
    lines = []
    token = quantity = 0
    rest = event.tokens  # less those with a rate of their kind
    for name, text in all_quantities(event).items():
        its = price.quantities.get(name)
        is_token = name in TOKEN_KINDS
        steps = price.steps.get(name) if its is None else None
        if its is None and steps is None:
            if not is_token and not price.ignore_unknown:
                raise NotPriced(no_rate(name, event.action))
            continue
        micro = parse_quantity(text)
        parts = [(micro, its)] if its is not None else _split(steps or (), used.get(name, 0), micro)
        for units, rate in parts:
            pico, part = divmod(units * rate.pico, MICRO)
            if part:
                raise NotPriced(f"quantities.{name} must cost at most 12 decimals of a cent; its rate has too many")
            shown = text if units == micro else format_quantity(units)
            lines.append(Line(name, shown, rate.rate.rate, rate.rate.per, format_cents(pico)))
            if is_token:
                token += pico
            else:
                quantity += pico
        if price.volume:
            _check_volume(price.volume, name, micro)
        if is_token:
            rest -= micro // MICRO
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


def _check_volume(volume: Iterable[Tiers], name: str, micro: int) -> None:
    """Check that a quantity costs whole pico-cents at every step, so that the month's close is exact. Raises
    NotPriced."""
    for tiers in volume:
        if tiers.name == name and any(micro * _parsed_step(step).rate.pico % MICRO for step in tiers.steps):
            raise NotPriced(f"quantities.{name} must cost at most 12 decimals of a cent at every step of its price")


def _split(steps: Iterable[ParsedStep], used: int, micro: int) -> list[tuple[int, UnitRate]]:
    """Return the parts of a quantity on each step that it reaches; ``used`` and the parts are micro-units."""
    parts = []
    for up_to, rate in steps:
        if up_to is not None and used >= up_to:
            continue
        units = micro if up_to is None else min(micro, up_to - used)
        parts.append((units, rate))
        used += units
        micro -= units
        if not micro:
            break
    return parts


def _check_total(total: int) -> None:
    if total > MAX_EVENT:
        raise NotPriced(f"an event may cost at most {format_cents(MAX_EVENT)} cents, this one would cost more")
