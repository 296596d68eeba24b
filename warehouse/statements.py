"""A statement: what a customer owes for a time, line by line, from rows of the ledger. Pure, exact; uses no floats.

The lines are computed from the parts of the entries, the sums from their totals; a statement exists only if both agree.
"""

from typing import NamedTuple

from schemas.money import format_cents, parse_cents
from warehouse.statement_rows import StatementLineRow, StatementQuery, StatementRows

MAX_LINES = 10_000
"""Maximum lines of a statement."""
MAX_VOIDS = 1000
"""Voids that get a line each; more of them are summed by action, model, provider and import."""


class Unbalanced(Exception):
    """The lines of a statement do not add up to the totals of its entries."""


class TooManyLines(Exception):
    """A statement has more than MAX_LINES lines."""


class Statement(NamedTuple):
    """``subtotal``: pico-cents of events, charges and adjustments. ``voided``: of voids, at most 0.

    ``credit``: what prepaid credit paid, less what voids gave back to it. ``due``: what is left.
    """

    query: StatementQuery
    lines: list[StatementLineRow]
    subtotal: int
    voided: int
    credit: int = 0

    @property
    def due(self) -> int:
        return self.subtotal + self.voided - self.credit


def statement(query: StatementQuery, rows: StatementRows) -> Statement:
    """Return the statement of these rows. Raises Unbalanced or TooManyLines."""
    if len(rows.lines) > MAX_LINES:
        raise TooManyLines
    sums = {row.kind: parse_cents(row.cents) for row in rows.sums}
    found = dict.fromkeys(sums, 0)
    for line in rows.lines:
        found[line.kind] = found.get(line.kind, 0) + parse_cents(line.cents)
    if found != sums:
        said = {kind: f"{format_cents(found[kind])} in lines, {format_cents(sums.get(kind, 0))}" for kind in found}
        raise Unbalanced(f"customer {query.customer!r} from {query.time.start} as of {query.as_of}: {said}")
    voided = sums.pop("void", 0)
    credit = sum(parse_cents(row.credit) for row in rows.sums)
    return Statement(query, rows.lines, sum(sums.values()), voided, credit)
