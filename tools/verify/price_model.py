"""Prices of one shard, set by numbered records of its log; the last one of a slot holds."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tools.verify.row_values import Row

Slot = tuple[str | None, str, str, str]
"""Customer (None: everybody), action (``*``: any), model and provider (empty: any)."""
Rated = tuple[str, Decimal, int]
"""Quantity, cents, and the units that they are for."""


class PriceModel(NamedTuple):
    """Price in force, in cents, and the offset of the record that set it."""

    id: int
    customer: str | None
    action: str
    base: Decimal
    token: Decimal
    bonus: Decimal
    offset: int
    model: str = ""
    provider: str = ""
    rates: tuple[Rated, ...] = ()
    ignore_unknown: bool = False

    @property
    def slot(self) -> Slot:
        return self.customer, self.action, self.model, self.provider


class PriceModels:
    """Prices in force. ``inherited``: those set before the log begins, read from the ledger."""

    def __init__(self, inherited: Iterable[PriceModel] = ()) -> None:
        self._slots: dict[Slot, PriceModel] = {price_model.slot: price_model for price_model in inherited}
        self.number = 0
        """Number of the last record taken; a record whose number is not higher is a repeat."""

    def install(self, command: Mapping[str, Any], offset: int) -> bool:
        """Take a price record. Return False if it is a repeat."""
        if command["number"] <= self.number:
            return False
        self.number = command["number"]
        slot = slot_of(command)
        if command.get("active", True):
            rates = command["rates"]
            self._slots[slot] = PriceModel(
                id=command["id"],
                customer=slot[0],
                action=slot[1],
                base=Decimal(rates["base"]),
                token=Decimal(rates["token"]),
                bonus=Decimal(rates["bonus"]),
                offset=offset,
                model=slot[2],
                provider=slot[3],
                rates=rated(rates),
                ignore_unknown=rates.get("ignore_unknown", False),
            )
        else:
            self._slots.pop(slot, None)
        return True

    def of(self, customer: str, action: str, model: str, provider: str) -> PriceModel | None:
        """Return the price in force: of all rows that fit, the one that names the customer; of those, the one that
        names the action; then the model; then the provider."""
        fits = [
            price_model
            for slot, price_model in self._slots.items()
            if slot[0] in (customer, None)
            and slot[1] in (action, "*")
            and slot[2] in (model, "")
            and slot[3] in (provider, "")
        ]
        return max(fits, key=_named, default=None)


def slot_of(command: Mapping[str, Any]) -> Slot:
    """Return the slot that a command with a price is for."""
    model, provider = command.get("model") or "", command.get("provider") or ""
    return command.get("customer_id"), command["action_type"], model, provider


def rated(rates: Mapping[str, Any]) -> tuple[Rated, ...]:
    """Return the rates of quantities in a command's rates."""
    return tuple((name, Decimal(rate), per) for name, rate, per in rates.get("quantities", ()))


def _named(price_model: PriceModel) -> tuple[bool, bool, bool, bool]:
    customer, action, model, provider = price_model.slot
    return customer is not None, action != "*", model != "", provider != ""


def price_of(row: Row) -> PriceModel:
    """Return the price that a row of an event was charged at."""
    customer = None if row["price_is_default"] else row["customer_id"]
    return PriceModel(
        id=row["price_id"],
        customer=customer,
        action=row["price_action"],
        base=row["price_base"],
        token=row["price_token"],
        bonus=row["price_bonus"],
        offset=row["price_offset"],
        model=row["price_model"],
        provider=row["price_provider"],
        rates=row["price_rates"],
        ignore_unknown=row["price_ignore_unknown"],
    )
