"""From what the pricer answered to the JSON of /v1/meter: pure, exact, and the same for the
same receipt whenever it is rendered.
"""

from functools import lru_cache
from itertools import repeat

from msgspec import Raw

from ingest import times
from ingest.answers import (
    NULL,
    AcceptedAnswer,
    AcceptedBatch,
    AcceptedResult,
    AppliedPrice,
    BatchAnswer,
    BatchResult,
    Breakdown,
    DollarBreakdown,
    EventAnswer,
    MeterAnswer,
    PriceAnswer,
    encode,
)
from schemas.commands import MeterEvent
from schemas.entries import PriceRef
from schemas.ids import event_id, outcome_id
from schemas.money import dollars_exact, format_cents, parse_cents
from schemas.replies import BatchCharged, Receipt

CURRENCY = "usd"


def metered(customer_id: str, event: MeterEvent, receipt: Receipt) -> bytes:
    """201 of an event that was charged, now or when its key was first used."""
    return encode(priced(customer_id, event, receipt))


def priced(customer_id: str, event: MeterEvent, receipt: Receipt) -> MeterAnswer:
    """What is answered for a charged event, before it is bytes."""
    base, token, bonus, total = _cents(receipt.base), _cents(receipt.token), _cents(receipt.bonus), receipt.total
    return MeterAnswer(
        receipt.event_id,
        PriceAnswer(_cents(total), Breakdown(base, token, bonus), _applied(receipt.price)),
        _dollars(total),
        DollarBreakdown(_dollars(receipt.base), _dollars(receipt.token), _dollars(receipt.bonus)),
        CURRENCY,
        receipt.outcome_id,
        _event(customer_id, event),
        times.show(receipt.recorded_at),
    )


def accepted(customer_id: str, event: MeterEvent, id: int, at: int) -> bytes:
    """202 of an event that is durable and not priced yet; ``at``: its append time, ms."""
    opened = outcome_id(id) if event.outcome == "pending" else None
    shown = _event(customer_id, event)
    return encode(AcceptedAnswer(id, None, None, None, CURRENCY, opened, shown, times.show(at), "accepted"))


def batch_metered(partition: int, offset: int, charged: BatchCharged) -> bytes:
    """201 of a batch whose command stands at (partition, offset)."""
    first, totals, replayed = event_id(partition, offset), charged.totals, charged.replayed
    if replayed or charged.outcomes:
        opened = set(charged.outcomes)
        results = [
            BatchResult(
                id := replayed.get(index, first + index),
                _cents(total),
                outcome_id(id) if index in opened else None,
                index in replayed,
            )
            for index, total in enumerate(totals)
        ]
    else:
        results = list(map(BatchResult, range(first, first + len(totals)), map(_cents, totals)))
    return encode(BatchAnswer(results, _cents(format_cents(sum(map(_pico, totals)))), CURRENCY))


def batch_accepted(partition: int, offset: int, events: list[MeterEvent]) -> bytes:
    """202 of a batch that is durable and not priced yet."""
    first = event_id(partition, offset)
    results = [
        AcceptedResult(id, NULL, status, outcome_id(id) if event.outcome == "pending" else None)
        for id, event, status in zip(range(first, first + len(events)), events, repeat("accepted"), strict=False)
    ]
    return encode(AcceptedBatch(results, None, CURRENCY, "accepted"))


def _event(customer_id: str, event: MeterEvent) -> EventAnswer:
    return EventAnswer(
        customer_id,
        event.agent_id,
        event.action,
        event.tokens,
        event.tokens_input,
        event.tokens_output,
        event.outcome,
    )


@lru_cache(maxsize=4096)
def _applied(price: PriceRef) -> AppliedPrice:
    rates = price.rates
    return AppliedPrice(
        price.action_type, _cents(rates.base), _cents(rates.token), _cents(rates.bonus), price.is_default
    )


@lru_cache(maxsize=65536)
def _cents(text: str) -> Raw:
    """Canonical decimal text as a JSON number; it is parsed so that nothing else passes."""
    return Raw(format_cents(_pico(text)).encode())


@lru_cache(maxsize=65536)
def _dollars(text: str) -> Raw:
    return Raw(dollars_exact(_pico(text)).encode())


@lru_cache(maxsize=65536)
def _pico(text: str) -> int:
    return parse_cents(text)
