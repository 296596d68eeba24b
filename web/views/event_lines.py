"""Events as the lines of a table. Pure; money in pico-cents, times in ms."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from schemas.money import parse_cents
from warehouse.rows import EventRow


class EventLine(NamedTuple):
    """``status``: priced, rejected or voided. ``price``: None of a rejected event. ``at``: accepted time."""

    id: int
    customer: str
    customer_id: str
    agent: str
    action: str
    tokens: int
    outcome: str
    status: str
    price: int | None
    at: int
    test: bool


def event_lines(rows: Sequence[EventRow], names: Mapping[str, str], voided: Collection[int] = ()) -> list[EventLine]:
    """Return the lines of these events. ``names``: of customers; ``voided``: ids of events that were voided."""
    return [_line(row, names, row.event_id in voided) for row in rows]


def _line(row: EventRow, names: Mapping[str, str], is_voided: bool) -> EventLine:
    return EventLine(
        id=row.event_id,
        customer=names.get(row.customer_id, row.customer_id),
        customer_id=row.customer_id,
        agent=row.agent_id,
        action=row.action,
        tokens=row.tokens,
        outcome=row.outcome,
        status=status_of(row.kind, is_voided),
        price=parse_cents(row.total) if row.kind == "event" else None,
        at=row.recorded_at,
        test=row.test,
    )


def status_of(kind: str, is_voided: bool) -> str:
    """Return how an event stands: priced, rejected or voided."""
    return "rejected" if kind == "rejected" else "voided" if is_voided else "priced"
