"""Usage by customer, hour and meter, as it was at two accepted times."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol

import msgspec

from schemas.meters import MeterRule


class MeterRow(msgspec.Struct, frozen=True, gc=False):
    """The usage of a customer in the hour that begins at ``hour`` (ms), by the ``rule``-th rule, as decimal text."""

    customer: str
    hour: int
    rule: int
    before: str
    after: str


class MeterReads(Protocol):
    """The reads of meters. Each may raise ReadsUnavailable."""

    async def meter_totals(
        self, rules: Sequence[MeterRule], since: int, as_of: int, start: int, end: int
    ) -> list[MeterRow]:
        """Return the usage of hours from ``start`` to ``end`` in which something was accepted after ``since`` until
        ``as_of``: what there was until each of the two. In the order of customer, hour and rule."""
        ...

    async def is_settled(self, as_of: int) -> bool:
        """Return whether the ledger has every entry that was accepted until ``as_of``, ms in the past."""
        ...


def whole(units: str) -> int:
    """Return decimal text as whole units, rounded half up, away from 0.

    >>> whole("2.5"), whole("-0.4")
    (3, 0)
    """
    return int(Decimal(units).quantize(Decimal(1), ROUND_HALF_UP))
