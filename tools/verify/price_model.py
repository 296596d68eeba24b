"""The prices of one shard: numbered records of its log, the last one of a customer and action."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Slot = tuple[str | None, str]
"""Customer (None: everybody) and action (``*``: any)."""


class PriceModel(NamedTuple):
    """A price in force, in cents, and the offset of the record that set it."""

    id: int
    customer: str | None
    action: str
    base: Decimal
    token: Decimal
    bonus: Decimal
    offset: int


class PriceModels:
    """Which price holds. ``inherited``: those set before the log begins, read from the ledger."""

    def __init__(self, inherited: Iterable[PriceModel] = ()) -> None:
        self._slots: dict[Slot, PriceModel] = {(t.customer, t.action): t for t in inherited}
        self.number = 0
        """Of the last record taken; one that is not above it is a repeat."""

    def install(self, command: Mapping[str, Any], offset: int) -> bool:
        """Take a price record; False when it is a repeat."""
        if command["number"] <= self.number:
            return False
        self.number = command["number"]
        slot = (command.get("customer_id"), command["action_type"])
        if command.get("active", True):
            rates = command["rates"]
            parts = (Decimal(rates["base"]), Decimal(rates["token"]), Decimal(rates["bonus"]))
            self._slots[slot] = PriceModel(command["id"], *slot, *parts, offset)
        else:
            self._slots.pop(slot, None)
        return True

    def of(self, customer: str, action: str) -> PriceModel | None:
        """Customer and action, customer and any, everybody and action, everybody and any."""
        for slot in ((customer, action), (customer, "*"), (None, action), (None, "*")):
            if slot in self._slots:
                return self._slots[slot]
        return None
