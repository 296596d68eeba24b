"""Voids: compensating entries that take back an event or an outcome's charge, once.

Pure. The gateway supplies the whole entry, from the ledger. The shard checks what it can know: the entry's address in
the log, the amounts, and whatever concerns an outcome. Nothing is ever deleted, and only the entry of a refusal is
kept.
"""

import msgspec
from msgspec.structs import replace

from pricer import month_terms, outcome_lookup, refusals, spend_transaction
from pricer.budgets import Change
from pricer.credits import UnknownGrant
from pricer.metering import INVALID
from pricer.outcome_lookup import FoundOutcome
from pricer.refusals import OutcomeRefusal
from schemas import entries, ids, objects, state
from schemas.commands import Void
from schemas.entries import Entry, EntryRecord
from schemas.funding import Draw
from schemas.money import MAX_EVENT, MoneyError, format_cents, parse_cents
from schemas.quantities import CAP
from schemas.replies import OutcomeReply
from schemas.spending import Subject
from schemas.state import ClosedOutcome, OpenOutcome
from schemas.unpriced import NO_PRICE, NOT_VOIDABLE, unpriced_key
from streams.types import Decision, InputRecord, StateView

Amounts = tuple[int, int, int, int, int]
"""Base, token, bonus and quantity part, and their sum, in pico-cents."""


class VoidRefused(Exception):
    """The refusal of a void."""

    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(error)
        self.refusal = OutcomeRefusal(status, code, error)


def apply(command: Void, record: InputRecord, shard: StateView) -> Decision:
    """Decide a void. A repeat gets the first reply, with 200."""
    try:
        before = _before(command, shard)
        if before is not None:
            return Decision(reply=OutcomeReply(before))
        _check_address(command.event_id, record)
        amounts = _amounts(command)
        voided = None
        if command.charge:
            _check_charge(command, shard, amounts[-1])
        else:
            voided = _open_outcome(command, shard)
        taken_out = (*month_terms.take_out(command, shard), *_no_longer_unpriced(command, shard))
        given_back = (*_give_back(command, record, shard, amounts[-1]), *taken_out)
    except VoidRefused as refused:
        return refusals.decision(command, record, refused.refusal)
    return _decision(command, record, amounts, voided, given_back)


def _give_back(command: Void, record: InputRecord, shard: StateView, total: int) -> tuple[Change, ...]:
    """Return the state of budgets and credit after the amount is given back. A command from before budgets gives none
    back."""
    spent = spend_transaction.of_customer(shard, command.customer_id, command.test, record.at)
    if spent is None:
        return ()
    event = command.event
    subject = Subject(event.agent_id, event.action, event.model, command.key_id)
    try:
        spent.give_back(subject, command.event_id, command.recorded_at, total, command.draws)
    except UnknownGrant as error:
        raise VoidRefused(400, INVALID, f"draws must be of this customer's grants, unlike {error}") from None
    return spent.changes()


def _decision(
    command: Void, record: InputRecord, amounts: Amounts, voided: OpenOutcome | None, given_back: tuple[Change, ...]
) -> Decision:
    """Return the decision for a valid void. ``voided``: the open outcome of the event that is taken back."""
    base, token, bonus, quantity, total = (format_cents(-amount) for amount in amounts)
    event_id = ids.event_id(record.partition, record.offset)
    shown = objects.void_object(command, event_id, total, record.at)
    entry = Entry(
        "void",
        event=command.event,
        price=-1 if command.price is None else 0,
        base=base,
        token=token,
        bonus=bonus,
        total=total,
        outcome_id=command.outcome_id,
        original=command.event_id,
        reason=command.reason,
        type="charge" if command.charge else None,
        actor=command.actor,
        detail=shown,
        quantity=quantity,
        credit=None if command.credit is None else format_cents(-parse_cents(command.credit)),
        draws=tuple(Draw(draw.grant, format_cents(-parse_cents(draw.cents))) for draw in command.draws),
        lines=tuple(replace(line, cents=format_cents(-parse_cents(line.cents))) for line in command.lines),
    )
    prices = [] if command.price is None else [command.price]
    written = EntryRecord(
        command.customer_id,
        record.offset,
        record.at,
        [entry],
        prices,
        test=command.test,
        import_id=command.import_id,
    )
    changes = [(state.void_key(command.event_id), bytes(memoryview(shown))), *given_back]
    if voided is not None:
        changed = replace(voided, voided=True)
        changes.append((state.outcome_key(ids.outcome_id(voided.event_id)), state.encode(changed)))
    return Decision(entries=entries.encode(written), changes=tuple(changes), reply=OutcomeReply(shown, status=201))


def _before(command: Void, shard: StateView) -> msgspec.Raw | None:
    """Return the reply to an earlier void of the entry, or None."""
    stored = shard.get(state.void_key(command.event_id))
    if stored is None:
        return None
    if outcome_lookup.decode_void(stored).customer_id != command.customer_id:
        raise _unknown(command)
    return msgspec.Raw(stored)


def _check_address(event_id: int, record: InputRecord) -> None:
    """Check that the entry is in this shard's log, before its void."""
    try:
        where = ids.address_of(event_id)
    except ValueError as error:
        raise VoidRefused(404, "not_found", str(error)) from None
    if where.partition != record.partition or where.offset >= record.offset:
        raise VoidRefused(404, "not_found", f"no entry {event_id} before its void in this shard")


def _amounts(command: Void) -> Amounts:
    """Return the amounts to take back. They must be canonical money, negative only for what a cap took back, and the
    sum of the parts and of the lines must match."""
    base, token, bonus, total = (_amount(name, getattr(command, name)) for name in ("base", "token", "bonus", "total"))
    capped = any(line.component == CAP for line in command.lines)
    quantity = _amount("quantity", command.quantity, capped)
    if base + token + bonus + quantity != total:
        raise VoidRefused(400, INVALID, f"{command.total} cents are not the sum of their parts")
    lines = [_amount("lines", line.cents, line.component == CAP) for line in command.lines]
    if lines and sum(lines) != token + quantity:
        raise VoidRefused(400, INVALID, "the lines do not add up to what tokens and quantities cost")
    drawn = sum(_amount("draws", draw.cents) for draw in command.draws)
    if drawn != _amount("credit", command.credit or "0") or drawn > total:
        raise VoidRefused(400, INVALID, "credit must be the sum of the draws, and no more than the total")
    return base, token, bonus, quantity, total


def _amount(name: str, text: str, capped: bool = False) -> int:
    """Return an amount in pico-cents. ``capped``: a cap may have made it negative."""
    try:
        pico = parse_cents(text)
    except MoneyError as error:
        raise VoidRefused(400, INVALID, f"{name}: {error}") from None
    least = -MAX_EVENT if capped else 0
    if not least <= pico <= MAX_EVENT or format_cents(pico) != text:
        bounds = f"{format_cents(least)} to {format_cents(MAX_EVENT)}"
        raise VoidRefused(400, INVALID, f"{name} must be canonical text of {bounds} cents, not {text!r}")
    return pico


def _check_charge(command: Void, shard: StateView, total: int) -> None:
    """Check that a charge is exactly the one that the shard knows. Its outcome stays closed."""
    found = outcome_lookup.find(shard, command.customer_id, command.outcome_id or outcome_lookup.ADDRESS, None)
    closed = None if found is None else found.stored
    if not isinstance(closed, ClosedOutcome) or closed.closed_by != command.event_id:
        raise _unknown(command)
    if closed.charge == "0":
        raise VoidRefused(404, "not_found", f"outcome {command.outcome_id} charged nothing")
    if parse_cents(closed.charge) != total:
        raise VoidRefused(
            400, INVALID, f"outcome {command.outcome_id} charged {closed.charge} cents, not {command.total}"
        )


def _open_outcome(command: Void, shard: StateView) -> OpenOutcome | None:
    """Return the outcome that the event opened, if it is open. A registration is not an event: it cost nothing, so
    there is nothing to take back."""
    found = outcome_lookup.opened_by(shard, command.event_id)
    if command.outcome_id != (None if found is None else found.id):
        raise VoidRefused(400, INVALID, f"outcome {command.outcome_id} is not of event {command.event_id}")
    if found is None:
        return None
    if found.stored.customer_id != command.customer_id or _registered(found):
        raise _unknown(command)
    return found.stored if isinstance(found.stored, OpenOutcome) else None


def _no_longer_unpriced(command: Void, shard: StateView) -> tuple[Change, ...]:
    """Return the state without an event that waits for a price: none will charge it. One that was charged since stays,
    since its adjustment cannot be voided."""
    if command.charge or command.price is None or command.price.id != NO_PRICE.id:
        return ()
    key = unpriced_key(command.event_id)
    if shard.get(key) is None:
        error = f"event {command.event_id} came in before its price and was charged since by an adjustment"
        raise VoidRefused(409, NOT_VOIDABLE, f"{error}, which cannot be voided")
    return ((key, None),)


def _registered(found: FoundOutcome) -> bool:
    stored = found.stored
    return stored.price is None if isinstance(stored, OpenOutcome) else stored.registered


def _unknown(command: Void) -> VoidRefused:
    what = "charge" if command.charge else "event"
    return VoidRefused(404, "not_found", f"no {what} {command.event_id}")
