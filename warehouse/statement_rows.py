"""The query and the rows of statements and of invoices' lines. Money and quantities are decimal text, times ms UTC."""

from typing import Literal, NamedTuple

import msgspec

from warehouse.time_range import TimeRange

Counted = Literal["event", "charge", "adjustment", "void"]
"""Kinds of entries that change what a customer owes."""


class StatementQuery(NamedTuple):
    """The entries of a customer and mode whose event time is in ``time`` and that were accepted until ``as_of``.

    ``late_after``: entries from before ``time`` count too if they were accepted after it; None: none do.
    ``first``: when invoicing began; what happened and was accepted before is on no invoice.
    """

    customer: str
    test: bool
    time: TimeRange
    as_of: int
    late_after: int | None = None
    first: int = 0


class StatementLineRow(msgspec.Struct, frozen=True, gc=False):
    """Charges with the same action, model, provider and rate, or voids.

    ``quantity`` units at ``rate`` cents for every ``per`` of them cost ``cents``. Of a void ``component`` is empty and
    the last five fields are set; of voids that are summed only ``import_id`` is.
    """

    kind: Counted
    late: bool
    action: str
    model: str
    provider: str
    price: int
    component: str
    quantity: str
    rate: str
    per: int
    entries: int
    cents: str
    event_id: int = 0
    original: int = 0
    reason: str = ""
    import_id: str = ""
    recorded: int = 0


class StatementSumRow(msgspec.Struct, frozen=True, gc=False):
    """The number and the sum of the entries of one kind; ``credit``: what prepaid credit paid of it."""

    kind: Counted
    entries: int
    cents: str
    credit: str = "0"


class StatementRows(NamedTuple):
    lines: list[StatementLineRow]
    sums: list[StatementSumRow]
