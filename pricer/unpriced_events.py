"""Events that come in before their price: recorded at 0, and charged by one ``adjustment`` each once it is set. Pure.

Only commands that say so record an event without a price (settings: REV_UNPRICED). It is charged as if it were metered
when the notice is decided: by the price in force then, by the steps of that month and under its cap. See
docs/decisions/0052.
"""

from msgspec import Raw
from msgspec.structs import replace

from pricer.credits import CreditTransaction
from pricer.metering import MeterTransaction
from schemas import entries, ids, objects, spending, unpriced
from schemas.commands import ChargeUnpriced, Meter, MeterEvent
from schemas.entries import Entry, EntryRecord
from schemas.funding import due
from schemas.labels import labels_of
from schemas.money import format_cents, parse_cents
from schemas.quantities import TOKENS, Line
from schemas.unpriced import MAX_CHARGED, UnpricedChargeObject, UnpricedEvent, unpriced_key
from streams.types import Decision, InputRecord, StateView


def charge(command: ChargeUnpriced, record: InputRecord, shard: StateView) -> Decision:
    """Charge each event of the notice that still waits and that a price in force can charge. The others wait on; a
    repeat finds nothing. Raises ValueError for a command that no expirer writes."""
    if not 1 <= len(command.event_ids) <= MAX_CHARGED:
        raise ValueError(f"a notice of {len(command.event_ids)} events")
    waiting = _waiting(command, shard)
    charging = MeterTransaction(_as_metered(command, waiting), record, shard, funded=False)
    for index, one in enumerate(waiting.values()):
        charging.add(index, one.event)
    if not charging.entries:
        return Decision()
    event_ids = list(waiting)
    credit = _credit(command, record, shard)
    adjustments = []
    for place, entry in enumerate(charging.entries):
        entry = _paid(entry, credit)
        price_id = charging.prices[entry.price].id
        adjustments.append(_adjustment(entry, place, event_ids[entry.index], price_id, command, record))
    charged = [(unpriced_key(event_ids[entry.index]), None) for entry in charging.entries]
    written = EntryRecord(
        command.customer_id,
        record.offset,
        record.at,
        adjustments,
        charging.prices,
        api_key_id=command.api_key_id,
        test=command.test,
    )
    drawn = () if credit is None else credit.changes()
    return Decision(entries=entries.encode(written), changes=(*charged, *charging.all_changes(), *drawn))


def _waiting(command: ChargeUnpriced, shard: StateView) -> dict[int, UnpricedEvent]:
    """Return the events of the notice that wait for a price, by id."""
    found = {}
    for id in command.event_ids:
        stored = shard.get(unpriced_key(id))
        one = None if stored is None else unpriced.decode(stored)
        if one is not None and (one.customer_id, one.api_key_id, one.test) == (
            command.customer_id,
            command.api_key_id,
            command.test,
        ):
            found[id] = one
    return found


def _as_metered(command: ChargeUnpriced, waiting: dict[int, UnpricedEvent]) -> Meter:
    return Meter(
        customer_id=command.customer_id,
        api_key_id=command.api_key_id,
        events=[one.event for one in waiting.values()],
        idempotency_window=0,  # the events have no keys
        outcome_ttl=0,  # and open no outcomes
        batch=True,
        test=command.test,
    )


def _credit(command: ChargeUnpriced, record: InputRecord, shard: StateView) -> CreditTransaction | None:
    """Return the customer's prepaid credit; None if it never had any."""
    stored = shard.get(spending.index_key(command.customer_id, command.test))
    index = None if stored is None else spending.decode_index(stored)
    if index is None or not index.granted:
        return None
    return CreditTransaction(shard, command.customer_id, command.test, record.at, parse_cents(index.held))


def _paid(entry: Entry, credit: CreditTransaction | None) -> Entry:
    if credit is None:
        return entry
    draws = credit.draw(parse_cents(entry.total))
    return replace(entry, credit=format_cents(sum(parse_cents(draw.cents) for draw in draws)), draws=draws)


def _adjustment(
    entry: Entry, place: int, event_id: int, price_id: int, command: ChargeUnpriced, record: InputRecord
) -> Entry:
    """Return the adjustment that charges an event by the entry that it would have if it were metered now.

    The event's own entry counts it and its tokens; the lines say what is charged of them.
    """
    event = entry.event
    assert event is not None
    shown = UnpricedChargeObject(
        event_id=ids.event_id(record.partition, record.offset, place),
        charged_event_id=event_id,
        customer_id=command.customer_id,
        agent_id=event.agent_id,
        action=event.action,
        model=event.model,
        provider=event.provider,
        price_id=price_id,
        total_cents=objects.number(entry.total),
        created_at=objects.iso(record.at),
        test=command.test,
    )
    if entry.credit is not None:
        left = due(entry.total, entry.credit)
        shown = replace(shown, credit_cents=objects.number(entry.credit), due_cents=objects.number(left))
    return replace(
        entry,
        kind="adjustment",
        index=place,
        event=MeterEvent(event.agent_id, event.action, event_time=event.event_time, **labels_of(event)),
        original=event_id,
        reason=f"event {event_id}",
        lines=entry.lines or _token_line(event, entry),
        detail=Raw(unpriced.encode(shown)),
    )


def _token_line(event: MeterEvent, entry: Entry) -> tuple[Line, ...]:
    """Return the line of tokens that a priced event leaves out if it has no others."""
    if entry.token == "0":
        return ()
    rate = format_cents(parse_cents(entry.token) // event.tokens)
    return (Line(TOKENS, str(event.tokens), rate, 1, entry.token),)
