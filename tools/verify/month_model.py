"""Months of prices with a cap, a minimum or volume steps; written apart from the pricer. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tools.verify.anchor_model import AnchorModels, PeriodModel
from tools.verify.price_model import PriceModel, PriceModels, Slot
from tools.verify.row_values import EXACT, ZERO, Row, add, iso
from tools.verify.tier_model import Step, Tiered

TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
MonthKey = tuple[str, bool, str, Slot]
"""Customer, test mode, name of the billing period and price row."""


class Charges(NamedTuple):
    """What one price has charged in a month, less what was voided. ``volume``: units by quantity with volume steps."""

    price_model: PriceModel
    events: int
    cents: Decimal
    volume: Mapping[str, Decimal]


Months = dict[MonthKey, dict[int, Charges]]
"""By price id, the last used one last."""


class MonthTrial:
    """The months of one shard with the events of one command, which count once ``keep`` is called."""

    def __init__(self, kept: Months) -> None:
        self._kept = kept
        self._here: Months = {}

    def left(self, key: MonthKey, price_model: PriceModel) -> Decimal | None:
        """Return what the price's cap leaves of the month; None without one."""
        if price_model.cap is None:
            return None
        spent = ZERO
        for charges in self._of(key).values():
            spent = add(spent, charges.cents)
        return max(EXACT.subtract(price_model.cap, spent), ZERO)

    def add(self, key: MonthKey, price_model: PriceModel, own: Mapping[str, Decimal], cents: Decimal) -> None:
        """Count an event. ``own``: its quantities, and ``event``."""
        charges = dict(self._of(key))
        before = charges.pop(price_model.id, Charges(price_model, 0, ZERO, {}))
        volume = {name: add(before.volume.get(name, ZERO), own.get(name, ZERO)) for name, _ in price_model.volume}
        charges[price_model.id] = Charges(price_model, before.events + 1, add(before.cents, cents), volume)
        self._here[key] = charges

    def is_open(self, key: MonthKey) -> bool:
        """True if the month counts an event, whatever the terms of its price are."""
        return bool(self._of(key))

    def keep(self) -> None:
        self._kept.update(self._here)

    def _of(self, key: MonthKey) -> dict[int, Charges]:
        return self._here.get(key, self._kept.get(key, {}))


class MonthModels:
    """The months of one partition that are not closed. ``began``: accepted time (ms) of what is older than the log, 0
    if nothing is; months that had begun by then are unknown. ``anchors``: the customers' billing periods."""

    def __init__(self, anchors: AnchorModels, began: int = 0) -> None:
        self._anchors = anchors
        self._began = began
        self._open: Months = {}
        self._of_rows: set[MonthKey] = set()
        """Months that are open since a customer's own row has a minimum, with or without events."""
        self._closed: set[MonthKey] = set()
        """Those of them that are over."""

    def trial(self) -> MonthTrial:
        """Return a trial of one command."""
        return MonthTrial(self._open)

    def is_known(self, period: PeriodModel) -> bool:
        """True if the log holds everything of a period."""
        return not self._began or period.start > self._began

    def closing(self, command: Mapping[str, Any]) -> PeriodModel | None:
        """Return the period that a notice is of; None if the customer has no such period."""
        name = command["month"]
        first = datetime.fromisoformat(f"{name if len(name) > 7 else name + '-01'}T00:00:00+00:00")
        period = self._anchors.period(command["customer_id"], int(first.timestamp()) * 1000)
        return period if period.name == name else None

    def void(self, command: Mapping[str, Any]) -> None:
        """Take a voided event out of its month, if that is still open and the event was counted."""
        price = command.get("price")
        if price is None or command.get("charge", False):
            return
        customer = command["customer_id"]
        slot = (
            None if price.get("is_default", False) else customer,
            price["action_type"],
            price.get("model") or "",
            price.get("provider") or "",
        )
        period = self._anchors.period(customer, command.get("recorded_at", 0))
        key = (customer, command.get("test", False), period.name, slot)
        charges = self._open.get(key)
        if charges is None or price["id"] not in charges:
            return
        before = charges[price["id"]]
        own = quantities_in(command["event"])
        left = before._replace(
            events=before.events - 1,
            cents=EXACT.subtract(before.cents, Decimal(command["total"])),
            volume={name: EXACT.subtract(units, own.get(name, ZERO)) for name, units in before.volume.items()},
        )
        rest = {id: left if id == price["id"] else one for id, one in charges.items()}
        self._open[key] = {id: one for id, one in rest.items() if one.events}
        if not self._open[key]:
            del self._open[key]

    def changed(self, slot: Slot, at: int) -> None:
        """Open the month in which a customer's own row changes that has a minimum, or had one."""
        assert slot[0] is not None
        self._of_rows.add((slot[0], False, self._anchors.period(slot[0], at).name, slot))

    def follow(self, key: MonthKey, end: int, price_models: PriceModels) -> None:
        """Open the month after one that closed, if the row has a minimum."""
        customer, test, _, slot = key
        if slot[0] is None or test:
            return
        self._of_rows.discard(key)
        self._closed.add(key)
        after = (customer, test, self._anchors.period(customer, end).name, slot)
        if price_models.owes(slot) and after not in self._closed:
            self._of_rows.add(after)

    def close(self, at: int, period: PeriodModel, command: Mapping[str, Any], price_models: PriceModels) -> Row | None:
        """Return the columns of the adjustment that a notice accepted ``at`` leaves; None if it leaves none."""
        end, key = period.end, key_of(command)
        slot = key[-1]
        if at < end or (key not in self._open and key not in self._of_rows):
            return None
        charges = list(self._open.pop(key, {}).values())
        last = charges[-1].price_model if charges else None
        held = price_models.held(slot, period.start, end) if key in self._of_rows else [None]
        if last is None and all(one is not None and one.minimum is not None for one in held):
            last = held[-1]
        self.follow(key, end, price_models)
        if last is None:
            return None
        lines = _volume_lines(charges)
        volume = token = spent = ZERO
        for name, _, _, _, cents in lines:
            volume = add(volume, cents)
            token = add(token, cents) if name in TOKENS else token
        for one in charges:
            spent = add(spent, one.cents)
        short = ZERO
        if last.minimum is not None:
            short = max(EXACT.subtract(last.minimum, add(spent, volume)), ZERO)
        if short:
            lines.append(("minimum", Decimal(1), short, 1, short))
        total = add(volume, short)
        if not total:
            return None
        return {
            "kind": "adjustment",
            "action": command["action"],
            "model": command.get("model") or "",
            "provider": command.get("provider") or "",
            "event_time": end - 1,
            "token_cents": token,
            "quantity_cents": EXACT.subtract(total, token),
            "total_cents": total,
            "lines": tuple(lines),
            "reason": command["month"],
            "price": last,
            "detail": {
                "customer_id": command["customer_id"],
                "month": command["month"],
                "action": command["action"],
                "price_id": last.id,
                "volume_cents": volume,
                "minimum_cents": short,
                "total_cents": total,
                "created_at": iso(at),
                "test": command.get("test", False),
                **_dates(period),
            },
        }


def key_of(command: Mapping[str, Any]) -> MonthKey:
    """Return the month that a notice is of."""
    customer = command["customer_id"]
    own = customer if command.get("own", False) else None
    slot = (own, command["action"], command.get("model") or "", command.get("provider") or "")
    return customer, command.get("test", False), command["month"], slot


def quantities_in(event: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return every quantity of a command's event, and ``event``."""
    own = {"event": Decimal(1), **{name: Decimal(text) for name, text in event.get("quantities", {}).items()}}
    return own | {kind: Decimal(event[f"tokens_{kind}"]) for kind in ("input", "output") if f"tokens_{kind}" in event}


def are_terms(rates: Mapping[str, Any], named: set[str], tiers: Tiered) -> bool:
    """True if a price may have the monthly terms in a command's rates. ``named``: its quantities with rates."""
    volume = rates.get("tier_mode", "graduated") == "volume"
    minimum, cap = (None if rates.get(name) is None else Decimal(rates[name]) for name in ("minimum", "cap"))
    taken = named | {name for name, _ in tiers}
    bad = [
        volume and not tiers,
        volume and cap is not None,
        cap is not None and minimum is not None and cap < minimum,
        cap is not None and "cap" in taken,
        minimum is not None and "minimum" in taken,
        any(amount is not None and not 0 <= amount <= 10**12 for amount in (minimum, cap)),
    ]
    return not any(bad)


def _volume_lines(charges: list[Charges]) -> list[tuple[str, Decimal, Decimal, int, Decimal]]:
    reached: dict[str, Decimal] = {}
    for one in charges:
        for name, units in one.volume.items():
            reached[name] = add(reached.get(name, ZERO), units)
    lines = []
    for one in charges:
        for name, steps in one.price_model.volume:
            units, (_, first, first_per) = one.volume[name], steps[0]
            _, rate, per = _step_at(steps, reached[name])
            unit = EXACT.subtract(EXACT.divide(rate, Decimal(per)), EXACT.divide(first, Decimal(first_per)))
            cents = EXACT.multiply(units, unit)
            if cents:
                lines.append((name, ZERO, rate, per, cents))
    return lines


def _step_at(steps: tuple[Step, ...], count: Decimal) -> Step:
    return next(step for step in steps if step[0] is None or count <= step[0])


def _dates(period: PeriodModel) -> dict[str, str]:
    """Return the dates that an adjustment shows of a period that is no calendar month."""
    is_month = len(period.name) == len("2026-11")
    return {} if is_month else {"period_start": iso(period.start), "period_end": iso(period.end)}
