"""What a customer has used in the billing period, counted for every price that has steps. Pure.

A count belongs to a price's slot, to a customer and to a mode; a new price of the slot goes on with it. It is kept in
the shard's state until the next period's first event replaces it. Only events that are charged are counted, at their
accepted time. A void does not change a count, since later events have been charged by it.
"""

from functools import lru_cache

from pricer.prices import ParsedPrice
from schemas import state
from schemas.billing_anchors import BillingPeriod
from schemas.commands import MeterEvent
from schemas.price_match import PriceSlot
from schemas.quantities import EVENT, MICRO, all_quantities, parse_quantity
from schemas.state import MonthCount, decode_count
from streams.types import StateView


class MonthCounts:
    """The counts that one meter command reads and adds to, in micro-units by quantity."""

    def __init__(self, shard: StateView, customer_id: str, test: bool, period: BillingPeriod) -> None:
        self._shard, self._customer_id, self._test = shard, customer_id, test
        self._month = int(period.name.replace("-", ""))
        self._counts: dict[bytes, dict[str, int]] = {}

    def used(self, price: ParsedPrice) -> dict[str, int]:
        """Return what was counted in this month for the slot of a price, with the events of this command so far."""
        key = self._key(price)
        found = self._counts.get(key)
        if found is None:
            stored = self._shard.get(key)
            count = None if stored is None else decode_count(stored)
            current = {} if count is None or count.month != self._month else count.used
            found = self._counts[key] = {name: int(text) for name, text in current.items()}
        return found

    def add(self, price: ParsedPrice, event: MeterEvent) -> None:
        """Count an event that was charged by a price with steps."""
        used = self.used(price)
        if price.event_steps:
            used[EVENT] = used.get(EVENT, 0) + MICRO
        if price.steps:
            for name, text in all_quantities(event).items():
                if name in price.steps:
                    used[name] = used.get(name, 0) + parse_quantity(text)

    def changes(self) -> list[tuple[bytes, bytes]]:
        """Return the state to write."""
        return [
            (key, state.encode(MonthCount(self._month, {name: str(micro) for name, micro in used.items()})))
            for key, used in self._counts.items()
            if used
        ]

    def _key(self, price: ParsedPrice) -> bytes:
        ref = price.ref
        slot = PriceSlot(None if ref.is_default else self._customer_id, ref.action_type, ref.model, ref.provider)
        return _key_of(self._customer_id, self._test, slot)


_key_of = lru_cache(maxsize=4096)(state.count_key)
