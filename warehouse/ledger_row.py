"""Ledger rows in memory, and their creation from a record of rev.entries.

It does in plain Python what warehouse/sql does, for tests of code that reads the ledger.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from schemas.commands import MeterEvent, PriceRef
from schemas.entries import Entry, EntryKind, EntryRecord
from schemas.funding import Draw
from schemas.ids import event_id
from schemas.labels import RowLabels, row_labels_of
from schemas.money import parse_cents
from schemas.outcome_terms import LEDGER_TERMS, Kind
from schemas.quantities import Line, QuantityRate

TERM_VALUES: dict[Kind, tuple[Any, Callable[[str | None], Any]]] = {
    "price": (int, lambda text: parse_cents(text or "0")),
    "text": (str, lambda text: text or ""),
}
"""For each kind of term that has a column: the type of its value, and the value from an entry's text."""
if TYPE_CHECKING:

    class _TermsRow(RowLabels, frozen=True):
        price_on_success: int
        """The one that rules about open outcomes read (warehouse.memory)."""

else:
    _TermsRow = msgspec.defstruct(
        "_TermsRow",
        [(term.name, TERM_VALUES[term.kind][0], TERM_VALUES[term.kind][1](None)) for term in LEDGER_TERMS],
        bases=(RowLabels,),
        frozen=True,
        kw_only=True,
        module=__name__,
    )


class LedgerRow(_TermsRow, frozen=True):
    """A row of rev.entries. Money in pico-cents, times in ms; fields are named like the columns."""

    kind: EntryKind
    event_id: int
    customer_id: str = ""
    api_key_id: int = 0
    agent_id: str = ""
    action: str = ""
    tokens_input: int | None = None
    tokens_output: int | None = None
    tokens: int = 0
    quantities: dict[str, str] = msgspec.field(default_factory=dict)
    outcome: str = ""
    base_cents: int = 0
    token_cents: int = 0
    bonus_cents: int = 0
    quantity_cents: int = 0
    total_cents: int = 0
    lines: tuple[Line, ...] = ()
    credit_cents: int | None = None
    draws: tuple[Draw, ...] = ()
    budgets_exceeded: tuple[int, ...] = ()
    price_id: int = 0
    price_action: str = ""
    price_model: str = ""
    price_provider: str = ""
    price_base: int = 0
    price_token: int = 0
    price_bonus: int = 0
    price_rates: tuple[QuantityRate, ...] = ()
    price_ignore_unknown: bool = False
    price_is_default: bool = False
    price_offset: int = 0
    outcome_id: str = ""
    on_expiry: str = ""
    verdict: str = ""
    idempotency_key: str = ""
    body_hash: str = ""
    test: bool = False
    metadata: str = ""
    expires_at: int | None = None
    event_time: int = 0
    recorded_at: int = 0
    reason: str = ""
    original: int | None = None
    config_type: str = ""
    actor: str = ""
    detail: str = ""
    entries_offset: int = 0
    import_id: str = ""


def rows_of(record: EntryRecord, partition: int, entries_offset: int) -> list[LedgerRow]:
    """Return the rows of one record of rev.entries."""
    return [replace(_row(record, entry, partition), entries_offset=entries_offset) for entry in record.entries]


def _row(record: EntryRecord, entry: Entry, partition: int) -> LedgerRow:
    event = entry.event or MeterEvent("", "")
    at = record.recorded_at
    row = LedgerRow(
        kind=entry.kind,
        event_id=event_id(partition, record.raw_offset, entry.index),
        customer_id=record.customer_id,
        api_key_id=record.api_key_id,
        agent_id=event.agent_id,
        action=event.action,
        outcome=event.outcome or "",
        on_expiry=event.on_expiry or "",
        idempotency_key=event.idempotency_key or "",
        tokens=event.tokens,
        tokens_input=event.tokens_input,
        tokens_output=event.tokens_output,
        quantities=event.quantities,
        metadata=bytes(event.metadata).decode(),
        base_cents=parse_cents(entry.base),
        token_cents=parse_cents(entry.token),
        bonus_cents=parse_cents(entry.bonus),
        quantity_cents=parse_cents(entry.quantity),
        lines=entry.lines,
        credit_cents=None if entry.credit is None else parse_cents(entry.credit),
        draws=entry.draws,
        budgets_exceeded=entry.exceeded,
        total_cents=parse_cents(entry.total),
        outcome_id=entry.outcome_id or "",
        verdict=entry.verdict or "",
        body_hash=entry.body_hash or "",
        test=record.test,
        expires_at=event.expires_at if entry.expires_at is None else entry.expires_at,
        event_time=at if event.event_time is None else event.event_time,
        recorded_at=at,
        reason=entry.reason or "",
        original=entry.original,
        config_type=entry.type or "",
        actor=entry.actor or "",
        detail=bytes(entry.detail).decode(),
        import_id=record.import_id or "",
        **row_labels_of(event),
        **{term.name: TERM_VALUES[term.kind][1](getattr(entry, term.name)) for term in LEDGER_TERMS},
    )
    return row if entry.price < 0 else _priced(row, record.prices[entry.price])


def _priced(row: LedgerRow, price: PriceRef) -> LedgerRow:
    return replace(
        row,
        price_id=price.id,
        price_action=price.action_type,
        price_base=parse_cents(price.rates.base),
        price_token=parse_cents(price.rates.token),
        price_bonus=parse_cents(price.rates.bonus),
        price_rates=price.rates.quantities,
        price_ignore_unknown=price.rates.ignore_unknown,
        price_model=price.model or "",
        price_provider=price.provider or "",
        price_is_default=price.is_default,
        price_offset=price.offset,
    )
