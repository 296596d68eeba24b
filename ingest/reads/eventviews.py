"""Meter events as the API shows them: the response to POST /v1/meter and the present status. Pure."""

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from ingest.reads import cursors
from ingest.reads.params import EVENTS
from schemas.labels import Labels, labels_of_row
from schemas.meter_responses import (
    CURRENCY,
    DollarBreakdown,
    EventResponse,
    MeterResponse,
    PriceResponse,
    priced,
    subject,
)
from schemas.objects import Json, Number, NumberOrNull, iso
from schemas.raw_json import NULL
from schemas.replies import Receipt
from schemas.unpriced import NO_PRICE
from warehouse.row_events import canonical, event_of_row, lines_of_row, price_of_row
from warehouse.rows import EventRow

Status = Literal["priced", "accepted", "rejected", "voided"]


class EventShown(Labels, frozen=True, omit_defaults=False, kw_only=True):
    """GET /v1/events/{event_id}.

    ``error``: why it was rejected. Of an accepted event only its id is known before it is priced.
    """

    event_id: int
    price: PriceResponse | None = None
    price_charged: NumberOrNull
    price_breakdown: DollarBreakdown | None = None
    currency: str = CURRENCY
    outcome_id: str | None = None
    event: EventResponse | None = None
    created_at: str | None = None
    status: Status
    error: str | None = None
    timestamp: str | None = None
    metadata: Json
    expires_at: str | None = None
    idempotency_key: str | None = None
    import_id: str | None = None
    test: bool = False
    budgets_exceeded: tuple[int, ...] | UnsetType = UNSET
    credit_cents: Number | UnsetType = UNSET
    due_cents: Number | UnsetType = UNSET


class EventList(msgspec.Struct, frozen=True):
    """GET /v1/events, newest first."""

    events: Sequence[EventShown]
    next_cursor: str | None


def accepted(event_id: int, test: bool) -> EventShown:
    """Return a durable event that is not in the ledger yet."""
    return EventShown(event_id=event_id, price_charged=NULL, status="accepted", metadata=NULL, test=test)


def shown(row: EventRow, voided: bool) -> EventShown:
    """Return an event of the ledger."""
    charged = _answer(row) if row.kind == "event" else None
    status: Status = "rejected" if charged is None else "voided" if voided else "priced"
    return EventShown(
        event_id=row.event_id,
        price=charged.price if charged else None,
        price_charged=charged.price_charged if charged else NULL,
        price_breakdown=charged.price_breakdown if charged else None,
        outcome_id=row.outcome_id or None,
        event=charged.event if charged else subject(row.customer_id, event_of_row(row)),
        created_at=iso(row.recorded_at),
        status=status,
        error=row.reason or None if charged is None else None,
        timestamp=iso(row.event_time),
        metadata=msgspec.Raw(row.metadata.encode() or b"null"),
        expires_at=None if row.expires_at is None else iso(row.expires_at),
        idempotency_key=row.idempotency_key or None,
        import_id=row.import_id or None,
        test=row.test,
        budgets_exceeded=charged.budgets_exceeded if charged else UNSET,
        credit_cents=charged.credit_cents if charged else UNSET,
        due_cents=charged.due_cents if charged else UNSET,
        **labels_of_row(row),
    )


def page(rows: Sequence[EventRow], voided: Collection[int], limit: int) -> EventList:
    """Return a page of up to ``limit`` events; ``limit`` + 1 rows mean that there are more."""
    here = rows[:limit]
    more = cursors.encode(EVENTS, here[-1].event_id) if len(rows) > limit else None
    return EventList([shown(row, row.event_id in voided) for row in here], more)


def _answer(row: EventRow) -> MeterResponse:
    """Return the response of POST, rendered by the same function from the same facts."""
    price = price_of_row(row) or NO_PRICE
    receipt = Receipt(
        event_id=row.event_id,
        recorded_at=row.recorded_at,
        price=price,
        base=canonical(row.base),
        token=canonical(row.token),
        bonus=canonical(row.bonus),
        quantity=canonical(row.quantity),
        total=canonical(row.total),
        lines=lines_of_row(row),
        outcome_id=row.outcome_id or None,
        exceeded=tuple(row.budgets_exceeded),
        credit=None if row.credit is None else canonical(row.credit),
    )
    return priced(row.customer_id, event_of_row(row), receipt, row.test)
