"""Commands about reservations: hold money before an agent runs, release it, expire it, read it.

Pure. They go to the customer's shard, so that of two agents who ask for the last cent one gets it. An event that
settles a reservation is metered (pricer.event_funding). Keys are remembered as those of events are.
"""

from collections.abc import Sequence

import msgspec

from pricer import idempotency, metering, spend_transaction
from pricer.budgets import Change, SpendRefusal
from pricer.holds import NOT_FOUND, HoldTransaction, subject_of
from pricer.idempotency import KeyRecords, OutcomeResponse
from pricer.metering import CONFLICT, INVALID, STATUS, EventRefusal
from schemas import entries, ids, reservations, spending, state
from schemas.commands import (
    EventLabels,
    ExpireReservation,
    Meter,
    MeterEvent,
    PriceRef,
    ReadReservations,
    ReleaseReservation,
    Reserve,
    Reserving,
)
from schemas.entries import Entry, EntryRecord
from schemas.money import MAX_EVENT, MoneyError, format_cents, parse_cents
from schemas.replies import OutcomeReply, RefusedReply
from schemas.reservations import Reservation, ReservationList, Status, number_of
from schemas.spending import Subject
from streams.types import Decision, InputRecord, RetainedRecord, StateView

CREATED, RELEASED, EXPIRED = "reservation.created", "reservation.released", "reservation.expired"
CUSTOMER, EXPIRER = "customer", "expirer"
"""Who makes and releases a reservation, and who expires it."""


class _Refused(Exception):
    """The refusal of a command; only its entry is kept."""

    def __init__(self, refusal: SpendRefusal) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal


def apply(command: Reserving, record: InputRecord, shard: StateView) -> Decision:
    """Decide one command."""
    try:
        match command:
            case Reserve():
                return _reserve(command, record, shard)
            case ReleaseReservation():
                return _release(command, record, shard)
            case ExpireReservation():
                return _expire(command, record, shard)
            case ReadReservations():
                return _read(command, record, shard)
    except _Refused as error:
        refusal = error.refusal
        reply = RefusedReply(
            STATUS.get(refusal.code, 409), refusal.code, refusal.error, budget=refusal.budget, balance=refusal.balance
        )
        return Decision(entries=rejection(command, record, refusal.error), reply=reply)


def rejection(command: Reserving, record: InputRecord, reason: str) -> bytes | None:
    """Return the entry record of a refused command; None for a read or a notice, which ask for nothing."""
    if isinstance(command, ReadReservations | ExpireReservation):
        return None
    entry = Entry("rejected", reason=reason, type=str(command.__struct_config__.tag), actor=CUSTOMER)
    return _record(command.customer_id, record, entry, command.api_key_id, _is_test(command))


def retained_record(customer_id: str, recorded_at: int, entry: Entry, test: bool) -> RetainedRecord | None:
    """Return the first reply under the key of what made a reservation, from its entry; None without a key."""
    event = entry.event
    if entry.type != CREATED or event is None or event.idempotency_key is None or entry.body_hash is None:
        return None
    first = OutcomeResponse(201, entry.detail)
    return idempotency.response_record(customer_id, event.idempotency_key, entry.body_hash, first, recorded_at, test)


def _reserve(command: Reserve, record: InputRecord, shard: StateView) -> Decision:
    customer_id, test, key = command.customer_id, command.test, command.idempotency_key
    hashed = None
    if key is not None:
        hashed = idempotency.reserve_hash(command)
        earlier = KeyRecords(shard, customer_id, record.at, command.idempotency_window, command.mode).find(key)
        if earlier is not None:
            if earlier.body_hash != hashed or not isinstance(earlier.answer, OutcomeResponse):
                raise _Refused(SpendRefusal(CONFLICT, idempotency.conflict(key)))
            return Decision(reply=OutcomeReply(earlier.answer.result, earlier.answer.status, replayed=True))
    if not 0 < command.ttl <= reservations.MAX_TTL:
        raise _invalid(f"ttl must be 1 to {reservations.MAX_TTL} ms")
    amount, price = _amount(command, record, shard)
    stored = shard.get(spending.index_key(customer_id, test))
    spends = spend_transaction.begun(shard, customer_id, test, record.at, command.on_empty, stored)
    if spends.open >= reservations.MAX_OPEN:
        error = f"a customer may have at most {reservations.MAX_OPEN} open reservations; settle or release one"
        raise _Refused(SpendRefusal("too_many", error))
    labels = _labels(command)
    subject = Subject(labels.agent_id, labels.action, labels.model, command.api_key_id)
    held = spends.reserve(subject, parse_cents(amount))
    if isinstance(held, SpendRefusal):
        raise _Refused(held)
    one = Reservation(
        id=ids.event_id(record.partition, record.offset),
        customer_id=customer_id,
        amount=amount,
        created_at=record.at,
        expires_at=record.at + command.ttl,
        credit=format_cents(held),
        agent_id=labels.agent_id,
        action=labels.action,
        model=labels.model,
        api_key_id=command.api_key_id,
        test=test,
    )
    result = msgspec.Raw(reservations.encode(reservations.shown(one)))
    event = MeterEvent(labels.agent_id or "", labels.action or "", model=labels.model, idempotency_key=key)
    entry = Entry(
        "config",
        event=event,
        price=-1 if price is None else 0,
        body_hash=hashed,
        type=CREATED,
        actor=CUSTOMER,
        detail=result,
    )
    marks = shard.get(state.PRICE_SCOPED)
    changes: list[Change] = [
        *spends.changes(),
        (reservations.open_key(customer_id, test, one.id), reservations.encode(one)),
    ]
    if marks is None or not spending.may_have(marks, customer_id, test):
        changes.append((state.PRICE_SCOPED, spending.with_customer(marks, customer_id, test)))
    retained = retained_record(customer_id, record.at, entry, test)
    return Decision(
        entries=_record(customer_id, record, entry, command.api_key_id, test, [] if price is None else [price]),
        changes=tuple(changes),
        retained=() if retained is None else (retained,),
        reply=OutcomeReply(result, 201),
    )


def _release(command: ReleaseReservation, record: InputRecord, shard: StateView) -> Decision:
    """End a reservation, once; a repeat gets it as it ended."""
    test = _is_test(command)
    id = number_of(command.reservation_id)
    stored = None if id is None else shard.get(reservations.closed_key(command.customer_id, test, id))
    if stored is not None and reservations.decode_ended(stored).status == "released":
        return Decision(reply=OutcomeReply(msgspec.Raw(stored)))
    holds = HoldTransaction(shard, command.customer_id, test, record.at)
    found = holds.find(command.reservation_id)
    if isinstance(found, SpendRefusal):
        raise _Refused(found)
    return _ended(found, holds, "released", record, shard, command.api_key_id)


def _expire(command: ExpireReservation, record: InputRecord, shard: StateView) -> Decision:
    """End a reservation whose time has come; a notice of any other does nothing."""
    id = number_of(command.reservation_id)
    stored = None if id is None else shard.get(reservations.open_key(command.customer_id, command.test, id))
    if stored is None:
        return Decision()
    found = reservations.decode(stored)
    if record.at < found.expires_at:
        return Decision()
    holds = HoldTransaction(shard, command.customer_id, command.test, record.at)
    return _ended(found, holds, "expired", record, shard)._replace(reply=None)


def _ended(
    one: Reservation, holds: HoldTransaction, status: Status, record: InputRecord, shard: StateView, api_key_id: int = 0
) -> Decision:
    stored = shard.get(spending.index_key(one.customer_id, one.test))
    spends = spend_transaction.begun(shard, one.customer_id, one.test, record.at, "charge", stored)
    spends.release(subject_of(one), one)
    result = holds.close(one, status)
    actor, type = (EXPIRER, EXPIRED) if status == "expired" else (CUSTOMER, RELEASED)
    entry = Entry("config", type=type, actor=actor, detail=result)
    return Decision(
        entries=_record(one.customer_id, record, entry, api_key_id, one.test),
        changes=(*spends.changes(), *holds.changes()),
        reply=OutcomeReply(result),
    )


def _read(command: ReadReservations, record: InputRecord, shard: StateView) -> Decision:
    """Answer a read. One that has expired is shown so, before its notice comes."""
    customer_id, test = command.customer_id, command.mode == "test"
    if command.reservation_id is None:
        prefix = reservations.open_prefix(customer_id, test)
        found = [reservations.decode(value) for key, value in shard.scan(prefix)]
        mine = sorted((one for one in found if one.test == test and record.at < one.expires_at), key=lambda one: one.id)
        listed = ReservationList(customer_id, [reservations.shown(one) for one in mine])
        return Decision(reply=OutcomeReply(msgspec.Raw(reservations.encode(listed))))
    id = number_of(command.reservation_id)
    stored = None if id is None else shard.get(reservations.open_key(customer_id, test, id))
    if stored is not None:
        one = reservations.decode(stored)
        late = record.at >= one.expires_at
        shown = reservations.shown(one, "expired", one.expires_at) if late else reservations.shown(one)
        return Decision(reply=OutcomeReply(msgspec.Raw(reservations.encode(shown))))
    closed = None if id is None else shard.get(reservations.closed_key(customer_id, test, id))
    if closed is None:
        raise _Refused(SpendRefusal(NOT_FOUND, f"no reservation {command.reservation_id!r}"))
    return Decision(reply=OutcomeReply(msgspec.Raw(closed)))


def _amount(command: Reserve, record: InputRecord, shard: StateView) -> tuple[str, PriceRef | None]:
    """Return the amount to hold, in cents: the one that is given, or what the estimate would cost now, and its
    price."""
    if (command.amount is None) == (command.estimate is None):
        raise _invalid("amount_cents or estimate is required, and only one of them")
    if command.estimate is not None:
        tried = Meter(
            command.customer_id,
            command.api_key_id,
            [command.estimate],
            command.idempotency_window,
            command.ttl,
            test=command.test,
            mode=command.mode,
        )
        cost = metering.cost_of(tried, record, shard)
        if isinstance(cost, EventRefusal):
            raise _Refused(SpendRefusal(cost.code, cost.error))
        return cost
    assert command.amount is not None
    try:
        pico = parse_cents(command.amount)
    except MoneyError as error:
        raise _invalid(f"amount_cents: {error}") from None
    if not 0 <= pico <= MAX_EVENT or format_cents(pico) != command.amount:
        raise _invalid(f"amount_cents must be canonical text of 0 to {format_cents(MAX_EVENT)}")
    return command.amount, None


def _labels(command: Reserve) -> EventLabels:
    event = command.estimate
    if event is None:
        return EventLabels() if command.event is None else command.event
    return EventLabels(event.agent_id, event.action, event.model)


def _is_test(command: Reserve | ReleaseReservation) -> bool:
    return command.test if isinstance(command, Reserve) else command.mode == "test"


def _invalid(error: str) -> _Refused:
    return _Refused(SpendRefusal(INVALID, error))


def _record(
    customer_id: str, record: InputRecord, entry: Entry, api_key_id: int, test: bool, prices: Sequence[PriceRef] = ()
) -> bytes:
    written = EntryRecord(
        customer_id, record.offset, record.at, [entry], prices=list(prices), api_key_id=api_key_id, test=test
    )
    return entries.encode(written)
