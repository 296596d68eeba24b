"""An entry of the ledger as the event, the price and the amounts that it was made of. Pure."""

import msgspec

from schemas.commands import EventOutcome, MeterEvent, OnExpiry, PriceRef, Rates
from schemas.funding import Draw
from schemas.labels import labels_of_row
from schemas.money import format_cents, parse_cents
from schemas.quantities import Line, QuantityRate, format_quantity, parse_quantity
from schemas.raw_json import EMPTY
from warehouse.rows import EntryRow, EventRow


def canonical(text: str) -> str:
    """Return the canonical text of an amount as ClickHouse writes it."""
    return format_cents(parse_cents(text))


def event_of_row(row: EntryRow | EventRow) -> MeterEvent:
    """Return the meter event of an entry, without what only its entry has."""
    return MeterEvent(
        agent_id=row.agent_id,
        action=row.action,
        tokens=row.tokens,
        tokens_input=row.tokens_input,
        tokens_output=row.tokens_output,
        outcome=msgspec.convert(row.outcome or None, EventOutcome | None),
        expires_at=row.expires_at,
        on_expiry=msgspec.convert(row.on_expiry or None, OnExpiry | None) if isinstance(row, EntryRow) else None,
        metadata=msgspec.Raw(row.metadata.encode()) if row.metadata else EMPTY,
        idempotency_key=row.idempotency_key or None,
        event_time=row.event_time,
        quantities={name: _quantity(text) for name, text in row.quantities.items()},
        **labels_of_row(row),
    )


def price_of_row(row: EntryRow | EventRow) -> PriceRef | None:
    """Return the price record that an entry was priced with; None without one."""
    if not row.price_id:
        return None
    rates = Rates(
        base=canonical(row.price_base),
        token=canonical(row.price_token),
        bonus=canonical(row.price_bonus),
        quantities=tuple(QuantityRate(one.name, canonical(one.rate), one.per) for one in row.price_rates),
        ignore_unknown=row.price_ignore_unknown,
    )
    return PriceRef(
        id=row.price_id,
        action_type=row.price_action,
        rates=rates,
        offset=row.price_offset,
        is_default=row.price_is_default,
        model=row.price_model or None,
        provider=row.price_provider or None,
    )


def lines_of_row(row: EntryRow | EventRow) -> tuple[Line, ...]:
    """Return the lines of an entry."""
    return tuple(
        Line(one.component, _quantity(one.quantity), canonical(one.rate), one.per, canonical(one.cents))
        for one in row.lines
    )


def draws_of_row(row: EntryRow) -> tuple[Draw, ...]:
    """Return what an entry draws out of each grant."""
    return tuple(Draw(one.grant, canonical(one.cents)) for one in row.draws)


def _quantity(text: str) -> str:
    return format_quantity(parse_quantity(text))
