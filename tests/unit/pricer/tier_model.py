"""What a customer with steps is charged, in Decimal and by a walk over single parts; written apart from the pricer."""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

Steps = list[tuple[Decimal | None, Decimal]]
"""Each: the month's count up to which a rate holds (None: no end), and cents for one unit."""


class Part(NamedTuple):
    """A part of a quantity at one rate."""

    name: str
    quantity: Decimal
    rate: Decimal


class TierModel:
    """The months of every customer and mode, for one price row."""

    def __init__(self, tiers: dict[str, Steps], token: Decimal) -> None:
        self._tiers, self._token = tiers, token
        self._used: dict[tuple[str, bool, str, str], Decimal] = defaultdict(Decimal)

    def charge(
        self, at: int, customer: str, test: bool, quantities: dict[str, Decimal], plain: int
    ) -> tuple[Decimal, list[Part]]:
        """Return the cost of an event and its parts, and count it. ``plain``: tokens that are of no kind."""
        month = f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m}"
        parts = []
        for name, quantity in quantities.items():
            key = customer, test, month, name
            parts += [Part(name, *one) for one in self._walk(self._tiers[name], self._used[key], quantity)]
            self._used[key] += quantity
        cost = sum((part.quantity * part.rate for part in parts), plain * self._token)
        if "event" in self._tiers:
            key = customer, test, month, "event"
            ((_, base),) = self._walk(self._tiers["event"], self._used[key], Decimal(1))
            self._used[key] += 1
            cost += base
        return cost, parts

    @staticmethod
    def _walk(steps: Steps, used: Decimal, quantity: Decimal) -> list[tuple[Decimal, Decimal]]:
        """Cut what lies between two counts at the ends of the steps."""
        begin, end = used, used + quantity
        found = []
        low = Decimal(0)
        for up_to, rate in steps:
            high = end if up_to is None else min(up_to, end)
            if high > max(low, begin):
                found.append((high - max(low, begin), rate))
            low = low if up_to is None else up_to
        if found:
            return found
        return [(Decimal(0), next(rate for up_to, rate in steps if up_to is None or begin < up_to))]
