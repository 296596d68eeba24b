"""Computes what events would cost at the prices in force now. Pure, exact: integers of pico-cents."""

from typing import NamedTuple

import msgspec

from schemas.money import parse_cents


class PricingConfig(msgspec.Struct):
    """Row of GET /v1/pricing; the rates are JSON numbers of cents."""

    action_type: str
    base_rate_cents: msgspec.Raw
    token_rate_cents: msgspec.Raw
    outcome_bonus_cents: msgspec.Raw


class PricingResponse(msgspec.Struct):
    """Response of GET /v1/pricing."""

    customer_id: str
    configs: list[PricingConfig]


class Rate(NamedTuple):
    """Pico-cents: for an event, for a token, on success."""

    base: int
    token: int
    bonus: int


class Prices:
    """Prices of one customer."""

    def __init__(self, pricing: PricingResponse) -> None:
        self._rates = {config.action_type: _rate(config) for config in pricing.configs}

    def names(self, action: str) -> bool:
        """True if the action has a price of its own, not only that of ``*``."""
        return action in self._rates

    def total(self, action: str, events: int, tokens: int, successes: int) -> int | None:
        """Return the cost of this many events of an action in pico-cents; None if it has no price."""
        rate = self._rates.get(action) or self._rates.get("*")
        return None if rate is None else events * rate.base + tokens * rate.token + successes * rate.bonus


def _rate(config: PricingConfig) -> Rate:
    fields = (config.base_rate_cents, config.token_rate_cents, config.outcome_bonus_cents)
    return Rate(*(parse_cents(bytes(field).decode()) for field in fields))
