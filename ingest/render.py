"""Rendering of the responses to batches and to accepted events that have no price yet. Pure and exact.

The response for a single charged event is rendered in schemas.meter_responses, since not only the
gateway shows it.
"""

from itertools import repeat

from msgspec.structs import replace

from ingest.responses import AcceptedBatch, AcceptedResponse, AcceptedResult, BatchResponse, BatchResult, encode
from schemas.commands import MeterEvent
from schemas.funding import due
from schemas.ids import event_id, outcome_id
from schemas.meter_responses import CURRENCY, cents, pico, subject
from schemas.money import format_cents
from schemas.objects import iso
from schemas.raw_json import NULL
from schemas.replies import BatchChargedReply


def accepted(customer_id: str, event: MeterEvent, id: int, at: int, test: bool) -> bytes:
    """Return the 202 body of an event that is durable and not priced yet; ``at``: its append time, ms."""
    opened = outcome_id(id) if event.outcome == "pending" else None
    shown = subject(customer_id, event)
    return encode(
        AcceptedResponse(
            event_id=id,
            price=None,
            price_charged=None,
            price_breakdown=None,
            currency=CURRENCY,
            outcome_id=opened,
            event=shown,
            created_at=iso(at),
            status="accepted",
            test=test,
        )
    )


def batch_metered(partition: int, offset: int, charged: BatchChargedReply, test: bool) -> bytes:
    """Return the 201 body of a batch whose command is at (partition, offset)."""
    first, totals, replayed = event_id(partition, offset), charged.totals, charged.replayed
    if replayed or charged.outcomes or charged.exceeded or charged.credits:
        opened, voided = set(charged.outcomes), set(charged.voided)
        results = [
            _result(
                BatchResult(
                    id := replayed.get(index, first + index),
                    cents(total),
                    outcome_id(id) if index in opened else None,
                    index in replayed,
                    "voided" if index in voided else None,
                    charged.exceeded.get(index, ()),
                ),
                total,
                charged.credits.get(index),
            )
            for index, total in enumerate(totals)
        ]
    else:
        results = list(map(BatchResult, range(first, first + len(totals)), map(cents, totals)))
    new = [total for index, total in enumerate(totals) if index not in replayed] if replayed else totals
    return encode(BatchResponse(results, cents(format_cents(sum(map(pico, new)))), CURRENCY, test))


def _result(shown: BatchResult, total: str, credit: str | None) -> BatchResult:
    """Return a result with what credit paid of it, for a customer with a grant."""
    if credit is None:
        return shown
    return replace(shown, credit_cents=cents(credit), due_cents=cents(due(total, credit)))


def batch_accepted(partition: int, offset: int, events: list[MeterEvent], test: bool) -> bytes:
    """Return the 202 body of a batch that is durable and not priced yet."""
    first = event_id(partition, offset)
    results = [
        AcceptedResult(id, NULL, status, outcome_id(id) if event.outcome == "pending" else None)
        for id, event, status in zip(range(first, first + len(events)), events, repeat("accepted"), strict=False)
    ]
    return encode(AcceptedBatch(results, None, CURRENCY, "accepted", test))
