"""Commands about outcomes: register, resolve, expire, read.

This module finds the outcome, recognises retries and replies; pricer.machine defines what happens, pricer.transitions
what is written. Pure: the command, its accepted time and the shard's state decide everything. A refusal of a register
or resolve leaves a ``rejected`` entry and is never retained; expire and read write nothing unless they close an
outcome.
"""

from functools import singledispatchmethod

import msgspec

from pricer import idempotency, machine, refusals, spend_transaction, transitions
from pricer.idempotency import OutcomeResponse
from pricer.machine import Stimulus, TransitionRow
from pricer.metering import CONFLICT, INVALID
from pricer.outcome_lookup import FoundOutcome, displaced_by, find, of_task, voided
from pricer.refusals import OutcomeRefusal
from pricer.transitions import NOBODY, Resolver, Transition
from schemas import entries, objects
from schemas.commands import Expire, Outcome, ReadOutcome, Register, Resolve
from schemas.money import MAX_RATE, MoneyError, format_cents, parse_cents
from schemas.outcome_terms import PRICES
from schemas.replies import OutcomeReply, RefusedReply, Reply
from schemas.settings import MAX_TTL
from schemas.state import ClosedOutcome, OpenOutcome
from streams.types import Decision, InputRecord, StateView


def apply(command: Outcome, record: InputRecord, shard: StateView) -> Decision:
    """Decide one command about an outcome."""
    return OutcomeHandler(record, shard).decide(command)


class OutcomeHandler:
    """One command about an outcome being decided."""

    def __init__(self, record: InputRecord, shard: StateView) -> None:
        self.record = record
        self.shard = shard

    @singledispatchmethod
    def decide(self, command: Outcome) -> Decision:
        """Return the decision for a command."""
        raise TypeError(f"no command about an outcome: {command!r}")

    @decide.register
    def _(self, command: Register) -> Decision:
        hashed = None
        if command.idempotency_key is not None:
            hashed = idempotency.register_hash(command)
            repeat = self._repeat(command, command.idempotency_key, hashed)
            if repeat is not None:
                return repeat
        task = (self.shard, command.customer_id, command.task_id, command.mode)
        found = of_task(*task)
        row = self._row("register", found)
        if row.answer == "task_exists":
            return self._refuse(command, row, found, command.task_id)
        wrong = _wrong(command, self.record.at)
        if wrong is not None:
            return refusals.decision(command, self.record, OutcomeRefusal(400, INVALID, wrong))
        return self._done(transitions.opening(command, self.record, hashed, displaced_by(*task)), row)

    @decide.register
    def _(self, command: Resolve) -> Decision:
        found = find(self.shard, command.customer_id, command.target, command.mode)
        hashed = None
        if command.idempotency_key is not None:
            id = command.target if found is None else found.id
            hashed = idempotency.resolve_hash(id, command.success, command.evidence)
            repeat = self._repeat(command, command.idempotency_key, hashed, found)
            if repeat is not None:
                return repeat
        row = self._row("resolve success" if command.success else "resolve failure", found)
        if row.answer == "shown":
            by = Resolver(command.api_key_id, command.evidence, command.idempotency_key, hashed)
            return self._done(self._close(found, row, by), row)
        if row.answer == "first answer":
            return Decision(reply=self._first_answer(found))
        late = self._close(found, row) if row.to != row.state else None
        return self._refuse(command, row, found, command.target, late)

    @decide.register
    def _(self, command: Expire) -> Decision:
        found = find(self.shard, command.customer_id, command.outcome_id, None)
        row = self._row("expire", found)
        if row.to == row.state:
            return Decision()
        return self._done(self._close(found, row), row)

    @decide.register
    def _(self, command: ReadOutcome) -> Decision:
        found = find(self.shard, command.customer_id, command.target, command.mode)
        row = self._row("read", found)
        if row.answer == "not_found":
            refusal = _unknown(command.target)
            return Decision(reply=RefusedReply(refusal.status, refusal.code, refusal.error))
        if row.to != row.state:
            return self._done(self._close(found, row), row)
        return Decision(reply=self._current(found))

    def _row(self, stimulus: Stimulus, found: FoundOutcome | None) -> TransitionRow:
        if found is None:
            return machine.step("none", stimulus, late=False)
        stored = found.stored
        if isinstance(stored, ClosedOutcome):
            return machine.step(stored.verdict, stimulus, late=True)
        return machine.step("pending", stimulus, late=self.record.at >= stored.expires_at)

    def _close(self, found: FoundOutcome | None, row: TransitionRow, by: Resolver = NOBODY) -> Transition:
        assert found is not None and isinstance(found.stored, OpenOutcome)
        opened = found.stored
        charge = machine.amount_due(row.charge, opened)
        spent = None
        if charge != "0":
            spent = spend_transaction.of_customer(self.shard, opened.customer_id, opened.test, self.record.at)
        return transitions.closing(opened, machine.ENDED[row.to], charge, self.record, by, spent)

    def _done(self, step: Transition, row: TransitionRow) -> Decision:
        """Return the decision for an opened or closed outcome: all that it writes, with the object as reply."""
        entry = step.entry
        reply = None if row.answer == "none" else OutcomeReply(entry.detail, machine.STATUS[row.answer])
        return Decision(
            entries=entries.encode(step.written),
            changes=step.changes,
            retained=step.retained,
            reply=reply,
        )

    def _repeat(
        self, command: Register | Resolve, key: str, hashed: str, found: FoundOutcome | None = None
    ) -> Decision | None:
        """Return the first reply to a key that was seen with this body, a refusal for one seen with another body, or
        None for an unknown key."""
        now, window = self.record.at, command.idempotency_window
        earlier = idempotency.KeyRecords(self.shard, command.customer_id, now, window, command.mode).find(key)
        if earlier is None:
            return None
        answer = earlier.answer
        if earlier.body_hash != hashed or not isinstance(answer, OutcomeResponse):
            refusal = OutcomeRefusal(409, CONFLICT, idempotency.conflict(key))
            return refusals.decision(command, self.record, refusal, found)
        return Decision(reply=OutcomeReply(answer.result, answer.status, replayed=True))

    def _refuse(
        self,
        command: Register | Resolve,
        row: TransitionRow,
        found: FoundOutcome | None,
        target: str,
        late: Transition | None = None,
    ) -> Decision:
        """Return the row's refusal, after ``late``, which closed the outcome in the same record."""
        if found is None:
            return refusals.decision(command, self.record, _unknown(target))
        if late is not None:
            found = FoundOutcome(found.id, late.stored)
        refusal = OutcomeRefusal(machine.STATUS[row.answer], row.answer, _reason(row, found, target))
        status = objects.outcome_status(found.id, found.stored, voided(self.shard, found))
        return refusals.decision(command, self.record, refusal, found, status, late)

    def _first_answer(self, found: FoundOutcome | None) -> Reply | None:
        """Return the first reply to the verdict, regardless of later voids."""
        assert found is not None and isinstance(found.stored, ClosedOutcome)
        retained = transitions.retained_object(self.shard, found.id, self.record.at)
        return OutcomeReply(retained) if retained is not None else self._elsewhere(found, found.stored)

    def _current(self, found: FoundOutcome | None) -> Reply | None:
        """Return the outcome as it is now."""
        assert found is not None
        if isinstance(found.stored, OpenOutcome):
            return OutcomeReply(objects.as_json(objects.outcome_object(found.stored)))
        retained = transitions.retained_object(self.shard, found.id, self.record.at)
        if retained is None:
            return self._elsewhere(found, found.stored)
        if voided(self.shard, found):
            shown = msgspec.structs.replace(objects.decode_outcome(retained), voided=True)
            retained = objects.as_json(shown)
        return OutcomeReply(retained)

    def _elsewhere(self, found: FoundOutcome, closed: ClosedOutcome) -> Reply:
        status = objects.outcome_status(found.id, closed, voided(self.shard, found))
        return OutcomeReply(status, elsewhere=closed.closed_by)


def _unknown(target: str) -> OutcomeRefusal:
    return OutcomeRefusal(404, "not_found", f"no outcome {target!r}")


def _reason(row: TransitionRow, found: FoundOutcome, target: str) -> str:
    """Return why an existing outcome refuses the command."""
    if row.answer == "task_exists":
        return f"task {target!r} has outcome {found.id}, which is {row.state}"
    if row.answer == "outcome_closed":
        return f"outcome {found.id} has {row.state} already"
    return f"outcome {found.id} has expired"


def _wrong(command: Register, now: int) -> str | None:
    """Return why a registration is not a valid request, in the gateway's words; None if it is."""
    for name in (term.name for term in PRICES):
        text = getattr(command, name)
        try:
            pico = parse_cents(text)
        except MoneyError as error:
            return f"{name}: {error}"
        if not 0 <= pico <= MAX_RATE or format_cents(pico) != text:
            return f"{name} must be canonical text of 0 to {format_cents(MAX_RATE)} cents"
    if command.expires_at <= now:
        return "expires_at must be in the future"
    if command.expires_at > now + MAX_TTL:
        return "expires_at is too far away"
    return None
