"""A statement as the API shows it, as JSON and as CSV. Pure; the same statement gives the same bytes."""

import csv
import io
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from ingest.responses import encode
from schemas.billing import DEFAULT_CURRENCY
from schemas.money import format_cents
from schemas.objects import Number, iso, number
from schemas.spreadsheets import safe_text
from warehouse.row_events import canonical
from warehouse.statement_rows import Counted, StatementLineRow
from warehouse.statements import Statement

LineKind = Literal["usage", "outcome", "adjustment", "void"]
KINDS: dict[Counted, LineKind] = {
    "event": "usage",
    "charge": "outcome",
    "adjustment": "adjustment",
    "void": "void",
}


class StatementLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A line of a statement.

    A line of usage or outcomes is ``quantity`` units at ``rate_cents`` for every ``per`` of them, by the price
    ``price_id`` (absent for a registered outcome, whose price came with it). An adjustment settles a month of a price:
    its lines change what the usage of the month costs, for no further quantity; or it charges an event that came before
    its price. A void is one entry that takes back
    another, or several together. ``entries``: how many entries of the ledger the line is of.
    """

    kind: LineKind
    late: bool = False
    action: str
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    component: str | UnsetType = UNSET
    quantity: Number | UnsetType = UNSET
    rate_cents: Number | UnsetType = UNSET
    per: int | UnsetType = UNSET
    price_id: int | UnsetType = UNSET
    event_id: int | UnsetType = UNSET
    voided_event_id: int | UnsetType = UNSET
    import_id: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    recorded_at: str | UnsetType = UNSET
    entries: int
    amount_cents: Number


class StatementShown(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """What a customer owes for a month, from the entries that were accepted until ``as_of``.

    ``subtotal_cents`` is the sum of usage, outcomes and adjustments, ``voided_cents`` (at most 0) of voids,
    ``credits_cents`` what prepaid credit paid (absent if none did), ``due_cents`` what is left.
    """

    customer_id: str
    month: str
    start: str
    end: str
    as_of: str
    currency: str
    test: bool
    lines: Sequence[StatementLine]
    subtotal_cents: Number
    voided_cents: Number
    due_cents: Number
    credits_cents: Number | UnsetType = UNSET


COLUMNS = (
    *("customer_id", "month", "as_of", "currency"),
    *(name for name in StatementLine.__struct_fields__ if name != "late"),
)


def shown(month: str, made: Statement, currency: str = DEFAULT_CURRENCY) -> StatementShown:
    """Return a statement as the API shows it."""
    return StatementShown(
        customer_id=made.query.customer,
        month=month,
        start=iso(made.query.time.start),
        end=iso(made.query.time.end),
        as_of=iso(made.query.as_of),
        currency=currency,
        test=made.query.test,
        lines=[line_shown(row) for row in made.lines],
        subtotal_cents=number(format_cents(made.subtotal)),
        voided_cents=number(format_cents(made.voided)),
        due_cents=number(format_cents(made.due)),
        credits_cents=number(format_cents(made.credit)) if made.credit else UNSET,
    )


def line_shown(row: StatementLineRow) -> StatementLine:
    """Return a line as the API shows it."""
    is_void = row.kind == "void"
    return StatementLine(
        kind=KINDS[row.kind],
        late=row.late,
        action=row.action,
        model=row.model or UNSET,
        provider=row.provider or UNSET,
        component=row.component or UNSET,
        quantity=UNSET if is_void else number(_plain(row.quantity)),
        rate_cents=UNSET if is_void else number(canonical(row.rate)),
        per=UNSET if is_void else row.per,
        price_id=row.price or UNSET,
        event_id=row.event_id or UNSET,
        voided_event_id=row.original or UNSET,
        import_id=row.import_id or UNSET,
        reason=row.reason or UNSET,
        recorded_at=iso(row.recorded) if row.recorded else UNSET,
        entries=row.entries,
        amount_cents=number(canonical(row.cents)),
    )


def as_json(statement: StatementShown) -> bytes:
    """Return a statement as JSON."""
    return encode(statement)


def as_csv(statement: StatementShown) -> bytes:
    """Return the lines of a statement as CSV; ``amount_cents`` adds up to what is due before credit."""
    return lines_csv((statement.customer_id, statement.month, statement.as_of, statement.currency), statement.lines)


def lines_csv(head: tuple[str, str, str, str], lines: Sequence[StatementLine]) -> bytes:
    """Return lines as CSV; ``head``: the customer, month, as_of and currency that each begins with."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow([*map(safe_text, head), *(_cell(getattr(line, name)) for name in COLUMNS[len(head) :])])
    return file.getvalue().encode()


def _cell(value: object) -> str:
    if value is UNSET:
        return ""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return safe_text(value) if isinstance(value, str) else str(value)


def _plain(quantity: str) -> str:
    """Return decimal text without trailing zeros."""
    return quantity.rstrip("0").rstrip(".") if "." in quantity else quantity
