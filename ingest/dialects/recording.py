"""Records the events of a mapped body on the path of POST /v1/meter/batch: customers, validation, prices, the log.

A body may hold events of several customers, with a platform key. Each customer's are appended in commands of up to
1,000 events, each of which is charged as a whole or not at all. Everything that can be refused without the log is
refused before the first append. If an append fails after another one succeeded, the whole request fails, and the client
repeats it: what is recorded already has its idempotency key and is not charged again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from ingest.auth import PLATFORM, customer_of, mode_of
from ingest.context import Context
from ingest.dialects.dialect import MappedEvent, Recorded, Refusals
from ingest.meter_commands import bounds, meter_command, note_unpriced, unpriced, waits_for_price
from ingest.new_customers import admit
from ingest.problems import Decided, Forbidden, Invalid, PayloadTooLarge, Problem
from ingest.validation import TimeBounds, decode_event, event_of, failed
from schemas.commands import MeterEvent
from schemas.commands import encode as encode_command
from schemas.config import ApiKey
from schemas.limits import MAX_EVENTS
from schemas.replies import BatchChargedReply, IndexedError

MAX_MAPPED = 10_000
"""Maximum events of one request of a client."""
UNINTERRUPTED = 256
"""Events that are checked before other requests get a turn."""
AT_ONCE = 8
"""Customers of one request whose events are appended at the same time."""
_encode = msgspec.json.Encoder().encode


class PlacedEvent(NamedTuple):
    """A validated event, and its place in the body."""

    place: int
    event: MeterEvent


class CheckedEvents(NamedTuple):
    """Valid events by customer, and the refusals of the others."""

    customers: dict[str, list[PlacedEvent]]
    refused: list[IndexedError]
    forbidden: str | None
    """The first refusal for the reason that the key belongs to another customer."""
    unpriced: Sequence[tuple[str, MeterEvent, str]] = ()
    """Those without a price, whether they are refused or wait for one: customer, event, error."""


async def record(
    context: Context, key: ApiKey, mapped: list[MappedEvent], refusals: Refusals, dialect: str, wait: bool
) -> Recorded:
    """Record the events and return what became of them. ``wait``: await the pricer's decisions.

    Raises Problem: with Refusals.ALL for the first event that is refused, and always when the log does not take the
    events (then the request is to be repeated).
    """
    found = await check(context, key, mapped)
    for customer_id, event, error in found.unpriced:
        note_unpriced(context, key, customer_id, [event], [IndexedError(0, error)], dialect)
    checked = await _admitted(context, key, found)
    if checked.refused and refusals is Refusals.ALL:
        raise _refusal(checked, len(mapped))
    limit = asyncio.Semaphore(AT_ONCE)

    async def of_customer(customer_id: str, events: list[PlacedEvent]) -> Recorded:
        async with limit:
            return await _record_customer(context, key, customer_id, events, refusals, wait)

    parts = await asyncio.gather(*(of_customer(*item) for item in checked.customers.items()), return_exceptions=True)
    raised = [part for part in parts if isinstance(part, BaseException)]
    if raised:
        raise _explained(_worst(raised), len(mapped))
    done = [part for part in parts if isinstance(part, Recorded)]
    refused = [*checked.refused, *(error for part in done for error in part.refused)]
    return Recorded(
        charged=sum(part.charged for part in done),
        replayed=sum(part.replayed for part in done),
        refused=sorted(refused, key=lambda error: error.index),
        now=context.clock(),
        test=all(part.test for part in done) if done else key.test,
    )


async def check(context: Context, key: ApiKey, mapped: list[MappedEvent]) -> CheckedEvents:
    """Return the events that can be appended now, by customer, and the refusals of the others.

    Raises PayloadTooLarge for more than MAX_MAPPED events, and NotRecordedYet when prices are not known for certain.
    """
    if len(mapped) > MAX_MAPPED:
        raise PayloadTooLarge(f"the body must hold at most {MAX_MAPPED} events, not {len(mapped)}")
    limits = bounds(context)
    customers: dict[str, list[PlacedEvent]] = {}
    refused: list[IndexedError] = []
    forbidden: str | None = None
    without_price: list[tuple[str, MeterEvent, str]] = []
    for index, one in enumerate(mapped):
        if index % UNINTERRUPTED == UNINTERRUPTED - 1:
            await asyncio.sleep(0)
        try:
            customer_id, event = checked_event(context, key, one, limits)
            customers.setdefault(customer_id, []).append(PlacedEvent(index, event))
        except (Invalid, Forbidden) as error:
            refused.append(IndexedError(index, error.error))
            if isinstance(error, Forbidden):
                forbidden = forbidden or error.error
    for customer_id, events in list(customers.items()):
        missing = await unpriced(context, customer_id, [one.event for one in events])
        if missing:
            without_price += [(customer_id, events[error.index].event, error.error) for error in missing]
            missing = [one for one in missing if not waits_for_price(context, events[one.index].event, one.error)]
            refused += [IndexedError(events[error.index].place, error.error) for error in missing]
            without = {error.index for error in missing}
            customers[customer_id] = [one for place, one in enumerate(events) if place not in without]
    kept = {customer_id: events for customer_id, events in customers.items() if events}
    return CheckedEvents(kept, sorted(refused, key=lambda error: error.index), forbidden, without_price)


def checked_event(context: Context, key: ApiKey, one: MappedEvent, limits: TimeBounds) -> tuple[str, MeterEvent]:
    """Return the customer and the event, validated as a body of POST /v1/meter. Raises Invalid or Forbidden."""
    if one.error is not None:
        raise Invalid(one.error)
    body = decode_event(_encode(one.fields))
    named = body.customer_id if body.customer_id is not None or key.customer_id != PLATFORM else one.customer
    return customer_of(context, key, named), event_of(body, None, limits)


async def _admitted(context: Context, key: ApiKey, checked: CheckedEvents) -> CheckedEvents:
    """Admit every customer before the first append. The events of one who is not let in are refused."""
    customers = {}
    refused = list(checked.refused)
    for customer_id, events in checked.customers.items():
        try:
            await admit(context, key, customer_id)
            customers[customer_id] = events
        except Invalid as error:
            refused += [IndexedError(one.place, error.error) for one in events]
    return CheckedEvents(customers, sorted(refused, key=lambda error: error.index), checked.forbidden)


def _refusal(checked: CheckedEvents, count: int) -> Problem:
    """Return the refusal of a whole request, by the errors of its events."""
    refused = checked.refused
    if checked.forbidden is not None:
        return Forbidden(checked.forbidden)
    return Invalid(refused[0].error) if count == 1 else failed(refused)


async def _record_customer(
    context: Context, key: ApiKey, customer_id: str, events: list[PlacedEvent], refusals: Refusals, wait: bool
) -> Recorded:
    test = mode_of(context, key, customer_id) == "test"
    charged = replayed = 0
    refused: list[IndexedError] = []
    for start in range(0, len(events), MAX_EVENTS):
        part = events[start : start + MAX_EVENTS]
        while part:
            try:
                reply = await _append(context, key, customer_id, [one.event for one in part], wait)
            except Decided as problem:
                errors = [IndexedError(part[error.index].place, error.error) for error in problem.errors]
                if refusals is Refusals.ALL or not errors:
                    raise Decided(problem.status, problem.code, problem.error, errors, problem.outcome) from None
                refused += errors
                without = {error.index for error in errors}
                part = [one for one in part if one.place not in without]
                continue
            again = 0 if reply is None else len(reply.replayed)
            charged += len(part) - again
            replayed += again
            break
    return Recorded(charged, replayed, refused, context.clock(), test)


async def _append(
    context: Context, key: ApiKey, customer_id: str, events: list[MeterEvent], wait: bool
) -> BatchChargedReply | None:
    """Append a batch and return the pricer's reply, or None if it did not come in time: then it is durable."""
    mode = mode_of(context, key, customer_id)
    accepts = context.settings.unpriced
    command = encode_command(meter_command(context, key, customer_id, events, mode, batch=True, unpriced=accepts))
    reply = (await context.submitter.meter(customer_id, command, len(events), wait)).reply
    if reply is not None and not isinstance(reply, BatchChargedReply):
        raise TypeError(f"unexpected reply to a batch: {type(reply).__name__}")
    return reply


def _explained(raised: BaseException, count: int) -> BaseException:
    """Return a refusal by the pricer with the reason that it gives for the first refused event as its message."""
    if isinstance(raised, Decided) and raised.errors:
        first = raised.errors[0]
        raised.error = first.error if count == 1 else f"events[{first.index}]: {first.error}"
    return raised


def _worst(raised: Iterable[BaseException]) -> BaseException:
    """Return a bug before what is to be repeated, and that before a refusal."""
    return max(raised, key=lambda error: 1000 if not isinstance(error, Problem) else error.status)
