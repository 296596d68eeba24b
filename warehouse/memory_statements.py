"""The rows of a statement from ledger rows in memory, in plain Python, as warehouse/sql/queries returns them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from schemas.money import format_cents, parse_cents
from schemas.quantities import format_quantity, parse_quantity
from warehouse.ledger_row import LedgerRow
from warehouse.statement_rows import Counted, StatementLineRow, StatementQuery, StatementRows, StatementSumRow
from warehouse.statements import MAX_LINES, MAX_VOIDS

KINDS: tuple[Counted, ...] = ("event", "charge", "adjustment", "void")


class _Part(NamedTuple):
    """A part of an entry's amount: micro-units, and pico-cents."""

    component: str
    quantity: int
    rate: int
    per: int
    cents: int


class _Void(NamedTuple):
    event_id: int = 0
    original: int = 0
    reason: str = ""
    import_id: str = ""
    recorded: int = 0


class _Key(NamedTuple):
    """What the entries of a line have in common, in the order of the lines."""

    late: bool
    kind: int
    action: str
    model: str
    provider: str
    price: int
    component: str
    rate: int
    per: int
    void: _Void


ONE = parse_quantity("1")


def statement_rows(rows: Sequence[LedgerRow], query: StatementQuery) -> StatementRows:
    """Return what :meth:`warehouse.queries.Reads.statement` returns of these rows."""
    wanted = scope(rows, query)
    sums = [
        StatementSumRow(
            kind,
            len(found),
            format_cents(sum(row.total_cents for row in found)),
            format_cents(sum(row.credit_cents or 0 for row in found)),
        )
        for kind in sorted(KINDS)
        if (found := [row for row in wanted if row.kind == kind])
    ]
    each = sum(row.kind == "void" for row in wanted) <= MAX_VOIDS
    groups: dict[_Key, list[_Part]] = defaultdict(list)
    for row in wanted:
        for part in parts_of(row):
            groups[_key(row, part, query.time.start, each)].append(part)
    lines = [_line(key, groups[key]) for key in sorted(groups)]
    return StatementRows(lines[: MAX_LINES + 1], sums)


def scope(rows: Sequence[LedgerRow], query: StatementQuery) -> list[LedgerRow]:
    """Return the rows that the query is for."""
    late_after = query.as_of if query.late_after is None else query.late_after
    start, end = query.time

    def is_invoiced(row: LedgerRow) -> bool:
        return row.recorded_at <= late_after and (row.event_time >= query.first or row.recorded_at > query.first)

    mine = [row for row in rows if row.customer_id == query.customer]
    invoiced = {row.event_id for row in mine if row.kind in ("event", "charge") and is_invoiced(row)}
    return [
        row
        for row in mine
        if row.kind in KINDS
        and row.test == query.test
        and row.event_time < end
        and row.recorded_at <= query.as_of
        and (row.event_time >= start or row.recorded_at > late_after)
        and not (row.kind == "void" and row.event_time < start and row.original in invoiced)
    ]


def parts_of(row: LedgerRow) -> list[_Part]:
    """Return the parts of an entry's amount."""
    if row.kind == "void":
        return [_Part("", 0, 0, 1, row.total_cents)]
    found = [_Part("event", ONE, row.price_base, 1, row.base_cents)] if row.base_cents else []
    if row.token_cents and not row.lines:
        found.append(_Part("tokens", row.tokens * ONE, row.price_token, 1, row.token_cents))
    for line in row.lines:
        rate, cents = parse_cents(line.rate), parse_cents(line.cents)
        found.append(_Part(line.component, parse_quantity(line.quantity), rate, line.per, cents))
    if row.bonus_cents:
        component = "outcome" if row.kind == "charge" else "success"
        found.append(_Part(component, ONE, row.bonus_cents, 1, row.bonus_cents))
    return found


def _key(row: LedgerRow, part: _Part, start: int, each: bool) -> _Key:
    is_void = row.kind == "void"
    void = _Void(import_id=row.import_id) if is_void else _Void()
    if is_void and each:
        void = _Void(row.event_id, row.original or 0, row.reason, row.import_id, row.recorded_at)
    return _Key(
        late=row.event_time < start,
        kind=KINDS.index(row.kind),
        action=row.action,
        model=row.model or "",
        provider=row.provider or "",
        price=0 if is_void else row.price_id,
        component=part.component,
        rate=part.rate,
        per=part.per,
        void=void,
    )


def _line(key: _Key, parts: list[_Part]) -> StatementLineRow:
    return StatementLineRow(
        kind=KINDS[key.kind],
        late=key.late,
        action=key.action,
        model=key.model,
        provider=key.provider,
        price=key.price,
        component=key.component,
        quantity=format_quantity(sum(part.quantity for part in parts)),
        rate=format_cents(key.rate),
        per=key.per,
        entries=len(parts),
        cents=format_cents(sum(part.cents for part in parts)),
        event_id=key.void.event_id,
        original=key.void.original,
        reason=key.void.reason,
        import_id=key.void.import_id,
        recorded=key.void.recorded,
    )
