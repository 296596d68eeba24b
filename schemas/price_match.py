"""Which price applies to an event: the order in which the rows of prices are tried. Pure.

A row names a customer or everyone, an action or ``*``, a model or any, a provider or any. The most specific row wins:
the customer counts before the action, the action before the model, the model before the provider.
"""

from functools import lru_cache
from typing import NamedTuple

ANY = "*"
"""The action of a row for every action without a row of its own. As a model or provider, it is the same as none."""


class PriceSlot(NamedTuple):
    """What a price row is for; a shard and a view have at most one row in force for it. None is everyone or any."""

    customer_id: str | None
    action: str
    model: str | None = None
    provider: str | None = None

    @property
    def scoped(self) -> bool:
        """True if the row is for one model or one provider only."""
        return self.model is not None or self.provider is not None


@lru_cache(maxsize=8192)
def candidates(
    customer_id: str, action: str, model: str | None = None, provider: str | None = None
) -> tuple[PriceSlot, ...]:
    """Return the slots that fit an event, the most specific first. Cached, since it is asked for every command."""
    models = (None,) if model is None else (model, None)
    providers = (None,) if provider is None else (provider, None)
    return tuple(
        PriceSlot(customer, row, its_model, its_provider)
        for customer in (customer_id, None)
        for row in (action, ANY)
        for its_model in models
        for its_provider in providers
    )
