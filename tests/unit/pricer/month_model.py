"""What a price row with monthly terms charges, in Decimal, from a plain list of events; written apart from the pricer.

Nothing is counted as it goes: every answer is computed from all events of the month so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

Steps = list[tuple[Decimal | None, Decimal]]
"""Each: the month's count up to which a rate holds (None: no end), and cents for one unit."""
ZERO = Decimal(0)
Owner = tuple[str, bool, str]
"""Customer, test mode and month."""


@dataclass(frozen=True)
class Terms:
    """A price row's terms, in cents."""

    base: Decimal = ZERO
    token: Decimal = ZERO
    bonus: Decimal = ZERO
    rates: dict[str, Decimal] = field(default_factory=dict)
    tiers: dict[str, Steps] = field(default_factory=dict)
    volume: bool = False
    minimum: Decimal | None = None
    cap: Decimal | None = None

    @property
    def monthly(self) -> bool:
        return self.volume or self.minimum is not None or self.cap is not None


@dataclass
class Metered:
    """An event that was charged."""

    owner: Owner
    price: int
    terms: Terms
    quantities: dict[str, Decimal]
    plain: int
    success: bool
    cost: Decimal = ZERO
    voided: bool = False
    counts: bool = False
    """It is of the month that is settled."""


class MonthModel:
    """All events of one price row, and which months are closed."""

    def __init__(self) -> None:
        self.events: list[Metered] = []
        self.closed: set[Owner] = set()

    def add(self, event: Metered) -> None:
        """Add an event. It counts if its price has terms, or another event of the month that counts is there."""
        event.counts = event.terms.monthly or any(True for _ in self._counting(event.owner))
        self.events.append(event)

    def cost(self, event: Metered) -> Decimal:
        """Return what an event costs after all that were added."""
        terms = event.terms
        total = event.plain * terms.token + (terms.bonus if event.success else ZERO)
        own = {"event": Decimal(1), **event.quantities}
        total += terms.base if "event" not in terms.tiers else ZERO
        for name, quantity in own.items():
            if name in terms.tiers:
                steps = terms.tiers[name]
                used = ZERO if terms.volume else self._graduated(event.owner, name)
                total += quantity * steps[0][1] if terms.volume else _walk(steps, used, quantity)
            elif name != "event":
                total += quantity * terms.rates.get(name, terms.token)
        if terms.cap is not None:
            total = min(total, max(terms.cap - self.spent(event.owner), ZERO))
        return total

    def spent(self, owner: Owner) -> Decimal:
        """Return what the month has cost, less what was voided."""
        return sum((one.cost for one in self._counting(owner)), ZERO)

    def open(self) -> list[Owner]:
        """Return the months with an event that counts in them and that are not closed."""
        return sorted({one.owner for one in self.events if list(self._counting(one.owner))} - self.closed)

    def close(self, owner: Owner) -> Decimal:
        """Close a month, and return its adjustment."""
        counting = list(self._counting(owner))
        self.closed.add(owner)
        change = ZERO
        names = {name for one in counting if one.terms.volume for name in one.terms.tiers}
        for name in names:
            its = [one for one in counting if one.terms.volume and name in one.terms.tiers]
            reached = sum((_own(one, name) for one in its), ZERO)
            for one in its:
                steps = one.terms.tiers[name]
                rate = next(rate for up_to, rate in steps if up_to is None or reached <= up_to)
                change += _own(one, name) * (rate - steps[0][1])
        minimum = counting[-1].terms.minimum if counting else None
        if minimum is not None:
            change = max(change, minimum - self.spent(owner))
        return change

    def _counting(self, owner: Owner) -> Iterator[Metered]:
        return (one for one in self.events if one.owner == owner and one.counts and not one.voided)

    def _graduated(self, owner: Owner, name: str) -> Decimal:
        """Return the count of graduated steps, which a void leaves as it is."""
        its = (one for one in self.events if one.owner == owner and name in one.terms.tiers and not one.terms.volume)
        return sum((_own(one, name) for one in its), ZERO)


def _own(event: Metered, name: str) -> Decimal:
    return Decimal(1) if name == "event" else event.quantities.get(name, ZERO)


def _walk(steps: Steps, used: Decimal, quantity: Decimal) -> Decimal:
    """Return the cost of what lies between two counts."""
    cost, low = ZERO, ZERO
    for up_to, rate in steps:
        high = used + quantity if up_to is None else min(up_to, used + quantity)
        cost += max(high - max(low, used), ZERO) * rate
        low = low if up_to is None else up_to
    return cost
