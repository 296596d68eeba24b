"""Prices of one shard, set by numbered records of its log; the last one of a customer and action holds."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Slot = tuple[str | None, str]
"""Customer (None: everybody) and action (``*``: any)."""


class PriceModel(NamedTuple):
    """Price in force, in cents, and the offset of the record that set it."""

    id: int
    customer: str | None
    action: str
    base: Decimal
    token: Decimal
    bonus: Decimal
    offset: int


class PriceModels:
    """Prices in force. ``inherited``: those set before the log begins, read from the ledger."""

    def __init__(self, inherited: Iterable[PriceModel] = ()) -> None:
        self._slots: dict[Slot, PriceModel] = {(t.customer, t.action): t for t in inherited}
        self.number = 0
        """Number of the last record taken; a record whose number is not higher is a repeat."""

    def install(self, command: Mapping[str, Any], offset: int) -> bool:
        """Take a price record. Return False if it is a repeat."""
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
        """Return the price in force: customer and action, customer and any, everybody and action, everybody and any."""
        for slot in ((customer, action), (customer, "*"), (None, action), (None, "*")):
            if slot in self._slots:
                return self._slots[slot]
        return None
