"""Sums by component from ledger rows in memory, in plain Python, as warehouse/sql/queries/usage_components.sql returns
them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.money import format_cents, parse_cents
from schemas.quantities import format_quantity, parse_quantity
from warehouse.ledger_row import LedgerRow
from warehouse.rows import MAX_COMPONENTS, ComponentSumRow


class _Part(NamedTuple):
    """A part of an entry's amount: micro-units, and pico-cents."""

    component: str
    quantity: int
    cents: int


def component_rows(rows: Iterable[LedgerRow], by_model: bool) -> list[ComponentSumRow]:
    """Return the sums, the largest first."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        sign = -1 if row.kind == "void" else 1
        for part in _parts(row):
            found = sums[part.component, row.model or "" if by_model else ""]
            found[0] += sign * part.quantity
            found[1] += part.cents
            found[2] += 0 if row.kind == "adjustment" else sign
    ordered = sorted(sums.items(), key=lambda pair: (-pair[1][1], pair[0]))
    return [
        ComponentSumRow(component, model, _quantity(quantity), format_cents(cents), entries)
        for (component, model), (quantity, cents, entries) in ordered[:MAX_COMPONENTS]
    ]


def _parts(row: LedgerRow) -> Iterator[_Part]:
    one = parse_quantity("1")
    if row.base_cents:
        yield _Part("event", one, row.base_cents)
    if row.token_cents and not row.lines:
        yield _Part("tokens", row.tokens * one, row.token_cents)
    for line in row.lines:
        yield _Part(line.component, parse_quantity(line.quantity), parse_cents(line.cents))
    if row.bonus_cents:
        is_charge = row.kind == "charge" or row.config_type == "charge"
        yield _Part("outcome" if is_charge else "success", one, row.bonus_cents)


def _quantity(micro: int) -> str:
    return f"-{format_quantity(-micro)}" if micro < 0 else format_quantity(micro)
