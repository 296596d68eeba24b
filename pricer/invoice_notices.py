"""Notices of invoices: each becomes an entry once, for the customer's webhooks. Pure; it decides no money."""

from schemas import entries, state
from schemas.commands import InvoiceNotice
from schemas.entries import Entry, EntryRecord
from streams.types import Decision, InputRecord, StateView

COLLECTOR = "collector"
"""Who makes the entries."""


def apply(command: InvoiceNotice, record: InputRecord, shard: StateView) -> Decision:
    """Decide one notice. The collector sends a shard's notices in the order of their numbers, and may repeat some."""
    last = shard.get(state.NOTICES)
    if last is not None and command.number <= int(last):
        return Decision()
    entry = Entry("config", type=command.type, actor=COLLECTOR, detail=command.detail)
    written = EntryRecord(command.customer_id, record.offset, record.at, [entry])
    return Decision(entries=entries.encode(written), changes=((state.NOTICES, b"%d" % command.number),))
