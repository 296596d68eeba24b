"""Prices of one shard, set by numbered records of its log; the last record of a slot holds."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tools.verify.row_values import Row
from tools.verify.tier_model import Tiered, tiered, tiers_shown

Slot = tuple[str | None, str, str, str]
"""Customer (None: everybody), action (``*``: any), model and provider (empty: any)."""
Rated = tuple[str, Decimal, int]
"""Quantity, cents, and the units that they are for."""


class TermsModel(NamedTuple):
    """What a price holds for a customer's month: graduated steps, volume steps, minimum and cap in cents."""

    tiers: Tiered = ()
    volume: Tiered = ()
    minimum: Decimal | None = None
    cap: Decimal | None = None


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
    start: int = 0
    """Accepted time (ms) from which it holds."""
    tiers: Tiered = ()
    """Graduated steps."""
    volume: Tiered = ()
    """Volume steps."""
    minimum: Decimal | None = None
    """Cents of a customer's month, as ``cap``."""
    cap: Decimal | None = None

    @property
    def is_monthly(self) -> bool:
        """True if a month has a cap or is settled at its close."""
        return bool(self.volume) or self.minimum is not None or self.cap is not None

    @property
    def slot(self) -> Slot:
        return self.customer, self.action, self.model, self.provider


class PriceModels:
    """Prices by slot, each with the time from which it holds. ``inherited``: those set before the log begins, read from
    the ledger."""

    def __init__(self, inherited: Iterable[PriceModel] = ()) -> None:
        self._slots: dict[Slot, list[PriceModel]] = {}
        for price_model in sorted(inherited, key=lambda one: one.start):
            self._slots.setdefault(price_model.slot, []).append(price_model)
        self.number = 0
        """Number of the last record taken; a record whose number is not higher is a repeat."""
        self._owing = {slot: versions for slot, versions in self._slots.items() if slot[0] is not None}
        """Prices of customers' own rows, of which months without events may owe the minimum."""
        self._histories: dict[Slot, list[tuple[int, PriceModel | None]]] = {
            slot: [(0, None), *((one.start, one) for one in versions)] for slot, versions in self._owing.items()
        }
        """Those that were in force, each from an accepted time on."""

    def install(self, command: Mapping[str, Any], offset: int, at: int) -> bool:
        """Take a price record accepted ``at``, which states all prices of its slot. Return False if it is a repeat."""
        if command["number"] <= self.number:
            return False
        self.number = command["number"]
        slot = slot_of(command)
        before = {price_model.id: price_model.offset for price_model in self._slots.pop(slot, [])}
        if command.get("active", True):
            stated = [command, *command.get("later", ())]
            self._slots[slot] = [_stated(slot, one, before.get(one["id"], offset)) for one in stated]
        if slot[0] is not None:
            owing = self._owing[slot] = [] if command.get("test", False) else self._slots.get(slot, [])
            past = [one for one in self._histories.get(slot, [(0, None)]) if one[0] < at]
            now = [(at, max((one for one in owing if one.start <= at), key=lambda one: one.start, default=None))]
            self._histories[slot] = [*past, *now, *((one.start, one) for one in owing if one.start > at)]
        return True

    def owes(self, slot: Slot) -> bool:
        """True if a price of a row, in force or scheduled, has a minimum that a month without events may owe."""
        return any(one.minimum is not None for one in self._owing.get(slot, []))

    def held(self, slot: Slot, start: int, end: int) -> "list[PriceModel | None]":
        """Return what a customer's row had in force in [start, end), one after the other; None: no price."""
        history = self._histories.get(slot, [(0, None)])
        begun = [price_model for at, price_model in history if at <= start]
        return [*begun[-1:], *(price_model for at, price_model in history if start < at < end)]

    def of(self, at: int, customer: str, action: str, model: str, provider: str) -> PriceModel | None:
        """Return the price in force at an accepted time: of all rows that fit, the one that names the customer; of
        those, the one that names the action; then the model; then the provider."""
        fits = [
            [price_model for price_model in versions if price_model.start <= at]
            for slot, versions in self._slots.items()
            if slot[0] in (customer, None)
            and slot[1] in (action, "*")
            and slot[2] in (model, "")
            and slot[3] in (provider, "")
        ]
        return max((started[-1] for started in fits if started), key=_named, default=None)


def _stated(slot: Slot, stated: Mapping[str, Any], offset: int) -> PriceModel:
    rates = stated["rates"]
    return PriceModel(
        id=stated["id"],
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
        start=stated.get("effective_at") or 0,
        **terms_in(rates)._asdict(),
    )


def terms_in(rates: Mapping[str, Any]) -> TermsModel:
    """Return the terms for a month in a command's rates."""
    is_volume = rates.get("tier_mode", "graduated") == "volume"
    minimum, cap = (None if rates.get(name) is None else Decimal(rates[name]) for name in ("minimum", "cap"))
    steps = tiered(rates)
    return TermsModel(() if is_volume else steps, steps if is_volume else (), minimum, cap)


def terms_shown(shown: Mapping[str, Any]) -> TermsModel:
    """Return the terms for a month in a price as the API shows it."""
    steps = tiers_shown(shown.get("tiers"))
    is_volume = shown.get("tier_mode") == "volume"
    minimum, cap = (
        None if shown.get(name) is None else Decimal(str(shown[name]).removeprefix("\0"))
        for name in ("minimum_cents", "cap_cents")
    )
    return TermsModel(() if is_volume else steps, steps if is_volume else (), minimum, cap)


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
