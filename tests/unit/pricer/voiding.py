"""The void of an event as the gateway makes it from the ledger."""

import msgspec

from schemas import entries
from schemas.commands import Void
from schemas.ids import event_id
from streams.types import Decision


def void_command(decision: Decision, index: int = 0) -> Void:
    """The command that voids one event of a decision in partition 0."""
    assert decision.entries is not None
    record = entries.decode(decision.entries)
    entry = record.entries[index]
    assert entry.event is not None
    return Void(
        customer_id=record.customer_id,
        event_id=event_id(0, record.raw_offset, entry.index),
        event=msgspec.structs.replace(entry.event, event_time=entry.event.event_time or record.recorded_at),
        base=entry.base,
        token=entry.token,
        bonus=entry.bonus,
        total=entry.total,
        reason="wrong",
        price=record.prices[entry.price],
        test=record.test,
        recorded_at=record.recorded_at,
        key_id=1,
        quantity=entry.quantity,
        lines=entry.lines,
        credit=entry.credit,
        draws=entry.draws,
    )
