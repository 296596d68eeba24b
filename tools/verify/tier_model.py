"""Steps of prices and what each customer's month has counted of them; written apart from the pricer. Pure."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tools.verify.anchor_model import PeriodModel
from tools.verify.row_values import EXACT, ZERO, Row, add

Step = tuple[Decimal | None, Decimal, int]
"""The count of the period up to which it holds (None: no end), cents, and the units that they are for."""
Tiered = tuple[tuple[str, tuple[Step, ...]], ...]
"""Steps by quantity; ``event`` counts events."""
Part = tuple[Decimal, Decimal, int]
"""A part of a quantity, cents, and the units that they are for."""
Parts = Mapping[str, list[Part]]
CountKey = tuple[Any, ...]
MAX_STEPS = 32
MAX_CENTS = 10**9
WHOLE = ("event", "input", "output", "cache_read", "cache_write", "reasoning")


def tiered(rates: Mapping[str, Any]) -> Tiered:
    """Return the steps in a command's rates."""
    return tuple((name, tuple(_step(*step) for step in steps)) for name, steps in rates.get("tiers", ()))


def tiers_shown(shown: Mapping[str, Any] | None) -> Tiered:
    """Return the steps in a price as the API shows it."""
    return tuple(
        (name, tuple(_step(step["up_to"], step["rate"], step["per"]) for step in steps))
        for name, steps in sorted((shown or {}).items())
    )


def _step(up_to: Any, rate: Any, per: int = 1) -> Step:
    return None if up_to is None else _number(up_to), _number(rate), per


def _number(value: Any) -> Decimal:
    return Decimal(str(value).removeprefix("\0"))


def are_steps(tiers: Tiered, rated: Iterable[str], base: Decimal) -> bool:
    """True if a price may have these steps beside its rates."""
    names = [name for name, _ in tiers]
    if len(set(names)) < len(names) or set(names) & {*rated, "tokens", "success"} or ("event" in names and base):
        return False
    return all(re.fullmatch("[a-z0-9_.]{1,64}", name) and _rise(name, steps) for name, steps in tiers)


def _rise(name: str, steps: tuple[Step, ...]) -> bool:
    ends = [up_to for up_to, _, _ in steps[:-1]]
    if not 1 <= len(steps) <= MAX_STEPS or steps[-1][0] is not None or None in ends:
        return False
    known = [ZERO, *(up_to for up_to in ends if up_to is not None)]
    if any(high <= low for low, high in pairwise(known)) or known[-1] > 10**12:
        return False
    if name in WHOLE and any(up_to != up_to.to_integral_value() for up_to in known):
        return False
    return all(1 <= per <= 10**9 and 0 <= rate <= MAX_CENTS and not rate.scaleb(12) % per for _, rate, per in steps)


def cut(steps: tuple[Step, ...], used: Decimal, quantity: Decimal) -> list[Part]:
    """Return the parts of a quantity that begins at a count of the month, each on its step."""
    end, low, found = add(used, quantity), ZERO, list[Part]()
    for up_to, rate, per in steps:
        begin, high = max(low, used), end if up_to is None else min(up_to, end)
        holds = up_to is None or used < up_to
        if high > begin or (not quantity and holds and not found):
            found.append((EXACT.subtract(high, begin) if quantity else ZERO, rate, per))
        low = low if up_to is None else up_to
    return found


class MonthModel:
    """Counts of the latest billing period of each key. ``began``: accepted time (ms) of what is older than the log, 0
    if nothing is; the counts of a period that had begun by then are unknown."""

    def __init__(self, began: int = 0) -> None:
        self._began = began
        self._used: dict[CountKey, tuple[int, Decimal]] = {}

    def is_known(self, period: PeriodModel) -> bool:
        """True if the log holds everything of a period."""
        return not self._began or period.start > self._began

    def used(self, key: CountKey, period: PeriodModel, here: Mapping[CountKey, Decimal]) -> Decimal:
        """Return a count of a period, with what a command has added ``here``."""
        start, units = self._used.get(key, (period.start, ZERO))
        return add(units if start == period.start else ZERO, here.get(key, ZERO))

    def add(self, period: PeriodModel, counted: Mapping[CountKey, Decimal]) -> None:
        """Count what a command in a period has charged."""
        if self.is_known(period):
            for key, quantity in counted.items():
                self._used[key] = period.start, add(self.used(key, period, {}), quantity)


def parts_of(row: Row) -> Parts:
    """Return the parts of a row's quantities that its price has no rate for: those are charged in steps."""
    rated = {name for name, _, _ in row["price_rates"]}
    found: dict[str, list[Part]] = {}
    for name, quantity, rate, per, _ in row["lines"]:
        if name not in rated and name != "tokens":
            found.setdefault(name, []).append((quantity, rate, per))
    return found
