"""Minimums that a customer's own price row owes in months without events. Pure.

A row of a customer's own with a minimum opens every month in which it is in force, whether or not there are events; so
its month has state from which the expirer knows its end. Without events the minimum is owed if the row had one from the
first moment of the month to the last: a row that comes or goes in mid-month owes nothing then. What it had when is
written into the month with each change of the row, so that a change after its end says nothing of it. Live mode only,
and not for a customer who was flagged test when the row was set. See docs/decisions/0045.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from pricer import anchor_commands
from pricer.prices import ParsedPrice, parsed_price, plain_ref
from schemas import open_months, state
from schemas.billing_anchors import BillingPeriod
from schemas.open_months import MinimumSpan, OpenMonth, end_of, month_key, slot_of
from schemas.price_match import PriceSlot
from streams.types import StateView

Change = tuple[bytes, bytes | None]


def opened(slot: PriceSlot, before: bytes | None, after: bytes | None, at: int, shard: StateView) -> tuple[Change, ...]:
    """Return the state of the month in which a customer's own row changes, accepted ``at``. ``before`` and ``after``:
    values of the slot's key."""
    assert slot.customer_id is not None
    period = anchor_commands.period_of(shard, slot.customer_id, at)
    key = month_key(slot.customer_id, False, period.name, slot)
    stored = shard.get(key)
    month = new_month(slot.customer_id, False, slot, period) if stored is None else open_months.decode(stored)
    if not month.spans and not _has_minimum(before) and not _has_minimum(after):
        return ()
    held = month.spans or tuple(_spans(before, period.start, period.end))
    spans = (*(span for span in held if span.start < at), *_spans(after, at, period.end))
    return ((key, open_months.encode(replace(month, spans=spans))),)


def following(month: OpenMonth, shard: StateView) -> tuple[Change, ...]:
    """Return the state of the month after one that closes; nothing if its row has no minimum."""
    slot = slot_of(month)
    if not month.own or month.test:
        return ()
    installed = shard.get(state.price_key(slot))
    if not _has_minimum(installed):
        return ()
    period = anchor_commands.period_of(shard, month.customer_id, end_of(month))
    key = month_key(month.customer_id, False, period.name, slot)
    stored = shard.get(key)
    after = new_month(month.customer_id, False, slot, period) if stored is None else open_months.decode(stored)
    if after.spans:
        return ()
    spans = tuple(_spans(installed, period.start, period.end))
    return ((key, open_months.encode(replace(after, spans=spans))),)


def without_events(month: OpenMonth) -> MinimumSpan | None:
    """Return the minimum that a month without events owes, and its price; None if it owes none."""
    if not month.spans or any(span.minimum is None for span in month.spans):
        return None
    return month.spans[-1]


def new_month(customer_id: str, test: bool, slot: PriceSlot, period: BillingPeriod) -> OpenMonth:
    """Return a month of a price row of which nothing is known yet."""
    return OpenMonth(
        customer_id=customer_id,
        month=period.name,
        action=slot.action,
        own=slot.customer_id is not None,
        model=slot.model,
        provider=slot.provider,
        test=test,
        end=None if period.is_month else period.end,
    )


def _has_minimum(installed: bytes | None) -> bool:
    """True if a price of a slot has a minimum that months without events may owe."""
    if installed is None or state.decode_price(installed).test:
        return False
    price = parsed_price(installed)
    return any(one.minimum is not None for one in (price, *price.later))


def _spans(installed: bytes | None, start: int, end: int) -> Iterator[MinimumSpan]:
    """Yield the minimums of a slot in [start, end), each from when it holds."""
    if installed is None or state.decode_price(installed).test:
        yield MinimumSpan(start)
        return
    price = parsed_price(installed)
    versions = [one for one in (price, *price.later) if one.start < end]
    started = [one for one in versions if one.start <= start]
    yield _span(started[-1] if started else None, start)
    for one in versions[len(started) :]:
        yield _span(one, one.start)


def _span(price: ParsedPrice | None, start: int) -> MinimumSpan:
    if price is None or price.minimum is None:
        return MinimumSpan(start)
    return MinimumSpan(start, plain_ref(price), price.minimum)
