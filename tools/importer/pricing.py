"""Computes what events would cost at the prices in force now, as the pricer does. Pure, exact: integer pico-cents."""

from collections.abc import Iterable
from math import gcd
from typing import NamedTuple

import msgspec

from schemas.money import MAX_EVENT, format_cents, parse_cents
from schemas.price_match import ANY, PriceSlot, candidates
from schemas.quantities import INPUT, MICRO, OUTPUT, TOKEN_KINDS, no_rate, parse_quantity
from tools.importer.event_maker import ImportEvent, Prepared


class RateConfig(msgspec.Struct, frozen=True):
    """Cents for every ``per`` units."""

    rate: msgspec.Raw
    per: int


class PricingConfig(msgspec.Struct):
    """Row of GET /v1/pricing; the rates are JSON numbers of cents."""

    action_type: str
    base_rate_cents: msgspec.Raw
    token_rate_cents: msgspec.Raw
    outcome_bonus_cents: msgspec.Raw
    is_custom: bool = False
    model: str | None = None
    provider: str | None = None
    rates: dict[str, RateConfig] = {}
    ignore_unknown: bool = False
    tiers: dict[str, msgspec.Raw] = {}
    cap_cents: msgspec.Raw | None = None


class PricingResponse(msgspec.Struct):
    """Response of GET /v1/pricing."""

    customer_id: str
    configs: list[PricingConfig]


class UnitRates(NamedTuple):
    """Pico-cents: for an event, for a token, on success, and for one unit of each quantity."""

    base: int
    token: int
    bonus: int
    quantities: dict[str, int]
    ignore_unknown: bool
    in_steps: bool
    """What an event costs depends on the month's count, which is not known here."""


class PricedAlike(NamedTuple):
    """What decides which rates an event is charged at. ``split``: it gives input or output tokens; ``quantities``: the
    names of its others."""

    action: str
    success: bool
    model: str | None
    provider: str | None
    split: bool
    quantities: tuple[str, ...]


def alike(event: ImportEvent) -> PricedAlike:
    """Return what events share that are priced with this one."""
    return PricedAlike(
        event.action or "",
        event.outcome == "success",
        event.model,
        event.provider,
        event.tokens_input is not None or event.tokens_output is not None,
        () if event.quantities is None else tuple(event.quantities),
    )


class EventSums:
    """Sums of events that are priced alike. ``input``, ``output``, ``tokens``: tokens; ``quantities``: micro-units by
    name; ``divisors``: the greatest common divisor of these micro-units."""

    def __init__(self) -> None:
        self.events = self.tokens = self.input = self.output = 0
        self.quantities: dict[str, int] = {}
        self.divisors: dict[str, int] = {}

    def add(self, made: Prepared) -> None:
        """Add an event."""
        event = made.event
        self.events += 1
        self.tokens += made.total
        self.input += event.tokens_input or 0
        self.output += event.tokens_output or 0
        if event.quantities is not None:
            for name, text in event.quantities.items():
                micro = parse_quantity(text)
                self.quantities[name] = self.quantities.get(name, 0) + micro
                self.divisors[name] = gcd(self.divisors.get(name, 0), micro)


class NoEstimate(ValueError):
    """Error: events that their price cannot charge, so that the server refuses them."""


class NotCounted(NoEstimate):
    """Error: events that their price charges in steps, so that their cost depends on what the month has counted."""


class Prices:
    """Prices of one customer."""

    def __init__(self, pricing: PricingResponse) -> None:
        self._actions = {config.action_type for config in pricing.configs}
        self._rows: dict[PriceSlot, UnitRates] = {}
        # the general ones first
        for config in sorted(pricing.configs, key=_special):
            owner = pricing.customer_id if config.is_custom else None
            slot, price = PriceSlot(owner, config.action_type, config.model, config.provider), _price(config)
            # The server also lists a default row that a more general row of the customer replaces, at what it costs
            # the customer. That is no row of the customer: a row between the two would come first. The list does not
            # tell such a row from one of the customer's own with the same rates, which nobody needs.
            replaced = None if owner is None else self._first(one for one in _fitting(owner, slot) if one.customer_id)
            if replaced != price:
                self._rows[slot] = price
        self._customer = pricing.customer_id

    def _first(self, slots: Iterable[PriceSlot]) -> UnitRates | None:
        found = (self._rows.get(slot) for slot in slots)
        return next((price for price in found if price is not None), None)

    def names(self, action: str) -> bool:
        """True if the action has a price of its own, not only that of ``*``."""
        return action in self._actions

    def of_event(self, made: Prepared) -> int:
        """Return the cost of one event in pico-cents. Raises NoEstimate."""
        sums = EventSums()
        sums.add(made)
        return self.total(alike(made.event), sums)

    def total(self, events: PricedAlike, sums: EventSums) -> int:
        """Return the cost of events that are priced alike, in pico-cents. Raises NoEstimate if the server refuses any
        of them; of several, it does not notice one whose amount alone is too large."""
        price = self._first(candidates(self._customer, events.action, events.model, events.provider))
        if price is None:
            raise NoEstimate(f"The action {events.action!r} has no price")
        if price.in_steps:
            raise NotCounted(f"The price of action {events.action!r} has steps")
        counted = {INPUT: sums.input * MICRO, OUTPUT: sums.output * MICRO} if events.split else {}
        rest, pico = sums.tokens, sums.events * price.base
        for name, micro in (counted | sums.quantities).items():
            rate = price.quantities.get(name)
            if rate is None:
                if name not in TOKEN_KINDS and not price.ignore_unknown:
                    raise NoEstimate(no_rate(name, events.action))
                continue
            # Each event's micro-units times the rate are whole pico-cents exactly if their common divisor's are.
            if sums.divisors.get(name, MICRO) * rate % MICRO:
                raise NoEstimate(f"quantities.{name} times its rate needs more than 12 decimals of a cent")
            pico += micro * rate // MICRO
            if name in TOKEN_KINDS:
                rest -= micro // MICRO
        pico += rest * price.token + (sums.events * price.bonus if events.success else 0)
        if pico > sums.events * MAX_EVENT:
            raise NoEstimate(f"an event may cost at most {format_cents(MAX_EVENT)} cents, this one would cost more")
        return pico


def _fitting(customer: str, slot: PriceSlot) -> tuple[PriceSlot, ...]:
    return candidates(customer, slot.action, slot.model, slot.provider)


def _special(config: PricingConfig) -> tuple[bool, bool, bool]:
    return config.action_type != ANY, config.model is not None, config.provider is not None


def _price(config: PricingConfig) -> UnitRates:
    return UnitRates(
        base=_pico(config.base_rate_cents),
        token=_pico(config.token_rate_cents),
        bonus=_pico(config.outcome_bonus_cents),
        quantities={name: _pico(rate.rate) // rate.per for name, rate in config.rates.items()},
        ignore_unknown=config.ignore_unknown,
        in_steps=bool(config.tiers) or config.cap_cents is not None,
    )


def _pico(cents: msgspec.Raw) -> int:
    return parse_cents(bytes(cents).decode())
