"""Commands about a customer's billing anchor, and the billing period of an accepted time.

Pure. They go to the customer's shard, so that the log alone decides which period an event is in. See
docs/decisions/0053.
"""

import msgspec

from schemas import billing_anchors, entries, state
from schemas.billing_anchors import MAX_DAY, Anchors, BillingPeriod, anchors_key
from schemas.commands import ReadBillingAnchor, SetBillingAnchor
from schemas.entries import Entry, EntryRecord
from schemas.replies import OutcomeReply, RefusedReply
from streams.types import Decision, InputRecord, StateView

UPDATED = "billing_anchor.updated"
INVALID = "invalid_request"


def apply(command: SetBillingAnchor | ReadBillingAnchor, record: InputRecord, shard: StateView) -> Decision:
    """Decide one command. Setting what is set already changes nothing."""
    before = anchors_of(shard, command.customer_id)
    if isinstance(command, ReadBillingAnchor):
        return Decision(reply=OutcomeReply(_shown(command.customer_id, before, record.at)))
    if not 1 <= command.day <= MAX_DAY:
        error = f"billing_anchor must be from 1 to {MAX_DAY}"
        return Decision(entries=rejection(command, record, error), reply=RefusedReply(400, INVALID, error))
    after = billing_anchors.with_anchor(before, command.day, record.at)
    shown = _shown(command.customer_id, after, record.at)
    if after == before:
        return Decision(reply=OutcomeReply(shown))
    entry = Entry("config", type=UPDATED, actor=command.actor, detail=shown)
    changes = [(anchors_key(command.customer_id), billing_anchors.encode(after))]
    marks = shard.get(state.PRICE_SCOPED)
    if marks is None or state.ANCHORED not in marks:
        changes.append((state.PRICE_SCOPED, state.with_mark(marks, state.ANCHORED)))
    return Decision(
        entries=entries.encode(EntryRecord(command.customer_id, record.offset, record.at, [entry])),
        changes=tuple(changes),
        reply=OutcomeReply(shown),
    )


def rejection(command: SetBillingAnchor | ReadBillingAnchor, record: InputRecord, reason: str) -> bytes | None:
    """Return the entry record of a refused command; None for a read, which asks for nothing."""
    if isinstance(command, ReadBillingAnchor):
        return None
    entry = Entry("rejected", reason=reason, type="billing_anchor.set", actor=command.actor)
    return entries.encode(EntryRecord(command.customer_id, record.offset, record.at, [entry]))


def anchors_of(shard: StateView, customer_id: str) -> Anchors:
    """Return all anchors of a customer."""
    stored = shard.get(anchors_key(customer_id))
    return () if stored is None else billing_anchors.decode(stored)


def period_of(shard: StateView, customer_id: str, at: int) -> BillingPeriod:
    """Return the billing period of a customer that an accepted time is in."""
    return billing_anchors.period_at(anchors_of(shard, customer_id), at)


def _shown(customer_id: str, anchors: Anchors, at: int) -> msgspec.Raw:
    return msgspec.Raw(billing_anchors.encode(billing_anchors.anchor_shown(customer_id, anchors, at)))
