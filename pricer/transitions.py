"""The results of opening and closing an outcome: the ledger entry, the state, and the retained records.

Pure. pricer.outcomes decides by pricer.machine if an outcome may open or close; no reply and no refusal is made here.
"""

from typing import NamedTuple

import msgspec

from pricer import idempotency
from pricer.idempotency import OutcomeResponse
from pricer.prices import CHARGE_ACTION
from pricer.spend_transaction import NOTHING, SpendingTransaction
from schemas import ids, objects, state
from schemas.commands import MeterEvent, Register
from schemas.entries import Entry, EntryRecord, Verdict
from schemas.labels import labels_of
from schemas.limits import DAY
from schemas.outcome_terms import ledger_terms_of, terms_of
from schemas.raw_json import EMPTY
from schemas.spending import Subject
from schemas.state import ClosedOutcome, OpenOutcome
from streams.types import InputRecord, RetainedRecord, StateView

RETENTION = 35 * DAY
"""ms that the shard retains the whole object of a closed outcome; after that only the ledger has it."""
OPENED = 201
CLOSED = 200
Changes = tuple[tuple[bytes, bytes | None], ...]


class Resolver(NamedTuple):
    """The API key that closes an outcome, with its evidence. An expiry has none."""

    api_key_id: int = 0
    evidence: msgspec.Raw = EMPTY
    idempotency_key: str | None = None
    body_hash: str | None = None


NOBODY = Resolver()


class Transition(NamedTuple):
    """An opened or closed outcome, and everything to write for it."""

    stored: OpenOutcome | ClosedOutcome
    entry: Entry
    changes: Changes
    retained: tuple[RetainedRecord, ...]
    written: EntryRecord
    """The record of this entry, and of notices of the budgets that it counts in."""


def opening(command: Register, record: InputRecord, body_hash: str | None, displaced: Changes = ()) -> Transition:
    """Return the transition of a registered outcome. ``displaced``: what must move to free the key of its task. Raises
    ValueError for an address beyond the last event id."""
    event_id = ids.event_id(record.partition, record.offset)
    id = ids.outcome_id(event_id)
    opened = OpenOutcome(
        event_id=event_id,
        customer_id=command.customer_id,
        agent_id=command.agent_id,
        action=CHARGE_ACTION,
        expires_at=command.expires_at,
        created_at=record.at,
        on_expiry=command.on_expiry,
        api_key_id=command.api_key_id,
        test=command.test,
        task_id=command.task_id,
        **terms_of(command),
    )
    event = MeterEvent(
        command.agent_id,
        CHARGE_ACTION,
        outcome="pending",
        on_expiry=command.on_expiry,
        idempotency_key=command.idempotency_key,
        task_id=command.task_id,
    )
    entry = Entry(
        "registered",
        event=event,
        outcome_id=id,
        expires_at=command.expires_at,
        body_hash=body_hash,
        detail=objects.as_json(objects.outcome_object(opened)),
        **ledger_terms_of(command),
    )
    changes: Changes = (
        (state.outcome_key(id), state.encode(opened)),
        *displaced,
        (state.task_key(command.customer_id, command.task_id, command.mode == "test"), id.encode()),
    )
    return _step(opened, opened, entry, changes, record, command.api_key_id)


def closing(
    opened: OpenOutcome,
    verdict: Verdict,
    charge: str,
    record: InputRecord,
    by: Resolver = NOBODY,
    spent: SpendingTransaction | None = None,
) -> Transition:
    """Return the transition of an outcome that ends. ``charge`` is decimal text in cents; ``spent``: what the customer
    may spend, if anything counts it."""
    id = ids.outcome_id(opened.event_id)
    registered = opened.price is None
    event = MeterEvent(
        opened.agent_id,
        opened.action,
        idempotency_key=by.idempotency_key,
        **labels_of(opened),
    )
    funded = NOTHING
    if spent is not None and charge != "0":
        funded = spent.settle(Subject(event.agent_id, event.action, event.model, by.api_key_id), charge)
    entry = Entry(
        "waived" if charge == "0" else "charge",
        event=event,
        price=-1 if registered else 0,
        bonus=charge,
        total=charge,
        outcome_id=id,
        expires_at=opened.expires_at,
        original=opened.event_id,
        body_hash=by.body_hash,
        detail=objects.as_json(objects.closed_object(opened, verdict, charge, by.evidence, record.at, funded.credit)),
        verdict=verdict,
        exceeded=funded.exceeded,
        credit=funded.credit,
        draws=funded.draws,
        **(ledger_terms_of(opened) if registered else {}),
    )
    closed = ClosedOutcome(
        customer_id=opened.customer_id,
        verdict=verdict,
        charge=charge,
        closed_by=ids.event_id(record.partition, record.offset),
        resolved_at=record.at,
        task_id=opened.task_id,
        registered=registered,
        test=opened.test,
    )
    changes: Changes = ((state.outcome_key(id), state.encode(closed)),)
    step = _step(opened, closed, entry, changes, record, by.api_key_id)
    return step if spent is None or charge == "0" else _spent(step, spent, closed.closed_by)


def _spent(step: Transition, spent: SpendingTransaction, event_id: int) -> Transition:
    """Return a transition with the state and the notices of a charge that was spent."""
    written = step.written
    notices = spent.notices(len(written.entries), event_id)
    return step._replace(
        changes=(*step.changes, *spent.changes()),
        written=msgspec.structs.replace(written, entries=[*written.entries, *notices]),
    )


def retained_records(customer_id: str, recorded_at: int, entry: Entry, test: bool) -> list[RetainedRecord]:
    """Return the records to retain for an entry that opened or closed an outcome: the first reply under its key, and
    for a closed one the whole object. They follow from the entry and its record alone."""
    found = []
    event = entry.event
    if event is not None and event.idempotency_key is not None and entry.body_hash is not None:
        shown = OutcomeResponse(OPENED if entry.kind == "registered" else CLOSED, entry.detail)
        key, hashed = event.idempotency_key, entry.body_hash
        found.append(idempotency.response_record(customer_id, key, hashed, shown, recorded_at, test))
    if entry.kind != "registered" and entry.outcome_id is not None:
        found.append(RetainedRecord(state.outcome_key(entry.outcome_id), bytes(memoryview(entry.detail)), recorded_at))
    return found


def retained_object(shard: StateView, outcome_id: str, now: int) -> msgspec.Raw | None:
    """Return the object of an outcome that closed less than RETENTION ago. Its key contains no separator, so it cannot
    be a customer's idempotency key."""
    retained = shard.get_retained(state.outcome_key(outcome_id))
    if retained is None or now - retained.at >= RETENTION:
        return None
    return msgspec.Raw(retained.value)


def _step(
    opened: OpenOutcome,
    stored: OpenOutcome | ClosedOutcome,
    entry: Entry,
    changes: Changes,
    record: InputRecord,
    api_key_id: int,
) -> Transition:
    prices = [] if opened.price is None else [opened.price]
    customer_id = opened.customer_id
    label = opened.import_id
    written = EntryRecord(
        customer_id=customer_id,
        raw_offset=record.offset,
        recorded_at=record.at,
        entries=[entry],
        prices=prices,
        api_key_id=api_key_id,
        test=opened.test,
        import_id=label,
    )
    return Transition(
        stored, entry, changes, tuple(retained_records(customer_id, record.at, entry, opened.test)), written
    )
