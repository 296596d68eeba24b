"""Commands about what a customer may spend: create, delete and read budgets, grant and read prepaid credit.

Pure. They go to the customer's shard, so that a budget or grant holds from its record on. The gateway has checked the
customer and the fields; the shard checks what it knows: its budgets, its grants and the request's idempotency key. That
key is kept for ever, in the state: such requests are few, and one repeated years later must not be a new one.
"""

from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from pricer import budgets, idempotency
from pricer.budgets import Change, RunningBudget
from pricer.credits import CreditTransaction
from pricer.metering import CONFLICT, INVALID
from schemas import entries, ids, objects, spending, state
from schemas.commands import (
    CreateBudget,
    DeleteBudget,
    EventLabels,
    ExpireGrant,
    GrantCredit,
    ReadBalance,
    ReadBudgets,
    Scope,
    Spend,
)
from schemas.entries import Entry, EntryRecord
from schemas.money import MAX_EVENT, MoneyError, format_cents, parse_cents
from schemas.replies import OutcomeReply, RefusedReply
from schemas.spending import BalanceObject, Budget, BudgetList, BudgetSlot, Grant, SpendingIndex
from streams.types import Decision, InputRecord, StateView

TOO_MANY = "too_many"
CREATED, DELETED, GRANTED = "budget.created", "budget.deleted", "credit.granted"
EXPIRED = "credit.expired"


class FirstReply(msgspec.Struct, frozen=True):
    """What a request with an idempotency key was answered."""

    body_hash: str
    result: msgspec.Raw


_decode_first = msgspec.json.Decoder(FirstReply).decode


class SpendingRefused(Exception):
    """The refusal of a command; only its entry is kept."""

    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(error)
        self.status, self.code, self.error = status, code, error


class _Made(NamedTuple):
    """What a command makes: its config entry and the state."""

    type: str
    result: msgspec.Raw
    changes: list[Change]
    test: bool


def apply(command: Spend, record: InputRecord, shard: StateView) -> Decision:
    """Decide one command."""
    if isinstance(command, ReadBudgets):
        return Decision(reply=OutcomeReply(_read(command, record, shard)))
    if isinstance(command, ReadBalance):
        return Decision(reply=OutcomeReply(_balance(command, record, shard)))
    if isinstance(command, ExpireGrant):
        return _expire(command, record, shard)
    try:
        if isinstance(command, DeleteBudget):
            made = _delete(command, record, shard)
            return _decision(command, record, made, objects.deleted(command.id), 200)
        key, hashed = command.idempotency_key, _hash(command)
        if key is not None:
            first = shard.get(spending.request_key(command.customer_id, command.test, key))
            if first is not None:
                return _repeat(first, key, hashed)
        make = _grant if isinstance(command, GrantCredit) else _create
        made = make(command, record, shard)  # type: ignore[arg-type]
    except SpendingRefused as refused:
        reply = RefusedReply(refused.status, refused.code, refused.error)
        return Decision(entries=rejection(command, record, refused.error), reply=reply)
    if key is not None:
        stored = spending.encode(FirstReply(hashed, made.result))
        made.changes.append((spending.request_key(command.customer_id, command.test, key), stored))
    return _decision(command, record, made, made.result, 201)


def rejection(command: Spend, record: InputRecord, reason: str) -> bytes | None:
    """Return the entry record of a refused command; None for a read or a notice, which ask for nothing."""
    if isinstance(command, ReadBudgets | ReadBalance | ExpireGrant):
        return None
    test = isinstance(command, CreateBudget | GrantCredit) and command.test
    tag = str(command.__struct_config__.tag)
    entry = Entry("rejected", reason=reason, type=tag, actor=command.actor)
    return entries.encode(EntryRecord(command.customer_id, record.offset, record.at, [entry], test=test))


def _create(command: CreateBudget, record: InputRecord, shard: StateView) -> _Made:
    customer_id, test = command.customer_id, command.test
    _check_amount("limit_cents", command.limit)
    index = _index(shard, customer_id, test)
    slot = BudgetSlot(customer_id, test, command.scope, command.value)
    stored = shard.get(slot.key())
    there = () if stored is None else spending.decode_budgets(stored)
    if sum(index.budgets.values()) >= spending.MAX_BUDGETS:
        raise SpendingRefused(409, TOO_MANY, f"a customer may have at most {spending.MAX_BUDGETS} budgets; delete one")
    if len(there) >= spending.MAX_SLOT:
        error = f"a scope and value may have at most {spending.MAX_SLOT} budgets; delete one"
        raise SpendingRefused(409, TOO_MANY, error)
    id = ids.event_id(record.partition, record.offset)
    budget = Budget(id, command.period, command.limit, command.hard, record.at)
    counts = {**index.budgets, command.scope: index.budgets.get(command.scope, 0) + 1}
    changes: list[Change] = [
        (slot.key(), spending.encode([*there, budget])),
        (spending.index_key(customer_id, test), spending.encode(replace(index, budgets=counts))),
        *_marked(shard, customer_id, test),
    ]
    return _Made(CREATED, _shown(RunningBudget(slot, budget, record.at), record.at), changes, test)


def _grant(command: GrantCredit, record: InputRecord, shard: StateView) -> _Made:
    customer_id, test = command.customer_id, command.test
    _check_amount("amount_cents", command.amount)
    if command.amount == "0":
        raise SpendingRefused(400, INVALID, "amount_cents must be more than 0")
    if command.low_percent is not None and not 0 <= command.low_percent <= 100:
        raise SpendingRefused(400, INVALID, "low_percent must be 0 to 100")
    if command.expires_at is not None and command.expires_at <= record.at:
        raise SpendingRefused(400, INVALID, "expires_at must be in the future")
    credit = CreditTransaction(shard, customer_id, test, record.at)
    if len(credit.drawable()) >= spending.MAX_GRANTS:
        error = f"a customer may have at most {spending.MAX_GRANTS} grants with credit left"
        raise SpendingRefused(409, TOO_MANY, error)
    grant = Grant(
        id=ids.event_id(record.partition, record.offset),
        amount=command.amount,
        left=command.amount,
        created_at=record.at,
        reason=command.reason,
        priority=command.priority,
        expires_at=command.expires_at,
        category=command.category,
    )
    credit.add(grant)
    changes = [*credit.changes(), *_marked(shard, customer_id, test)]
    index = _index(shard, customer_id, test)
    low = None if command.low_percent is None else format_cents(credit.balance * command.low_percent // 100)
    after = replace(index, granted=True, low=low, noticed="")
    if after != index:
        changes.append((spending.index_key(customer_id, test), spending.encode(after)))
    shown = msgspec.Raw(spending.encode(spending.grant_shown(customer_id, test, grant, command.low_percent)))
    return _Made(GRANTED, shown, changes, test)


def _expire(command: ExpireGrant, record: InputRecord, shard: StateView) -> Decision:
    """Record that a grant has expired with credit left; a notice of any other does nothing."""
    credit = CreditTransaction(shard, command.customer_id, command.test, record.at)
    grant = credit.expire(command.id)
    if grant is None:
        return Decision()
    shown = msgspec.Raw(spending.encode(spending.grant_shown(command.customer_id, command.test, grant)))
    entry = Entry("config", type=EXPIRED, actor="expirer", detail=shown)
    written = EntryRecord(command.customer_id, record.offset, record.at, [entry], test=command.test)
    return Decision(entries=entries.encode(written), changes=tuple(credit.changes()))


def _balance(command: ReadBalance, record: InputRecord, shard: StateView) -> msgspec.Raw:
    customer_id, test = command.customer_id, command.mode == "test"
    credit = CreditTransaction(shard, customer_id, test, record.at)
    grants = [spending.grant_shown(customer_id, test, grant) for grant in credit.drawable()]
    balance, held = objects.number(format_cents(credit.balance)), _index(shard, customer_id, test).held
    shown = BalanceObject(customer_id, balance, grants, test, UNSET if held == "0" else objects.number(held))
    return msgspec.Raw(spending.encode(shown))


def _delete(command: DeleteBudget, record: InputRecord, shard: StateView) -> _Made:
    found = budgets.all_budgets(shard, command.customer_id, None, record.at)
    gone = next((one for one in found if one.budget.id == command.id), None)
    if gone is None:
        raise SpendingRefused(404, "not_found", f"no budget {command.id}")
    slot = gone.slot
    stored = shard.get(slot.key())
    assert stored is not None
    rest = [one for one in spending.decode_budgets(stored) if one.id != command.id]
    index = _index(shard, slot.customer_id, slot.test)
    counts = {**index.budgets, slot.scope: index.budgets[slot.scope] - 1}
    left = replace(index, budgets={scope: count for scope, count in counts.items() if count})
    changes: list[Change] = [
        (slot.key(), spending.encode(rest) if rest else None),
        (
            spending.index_key(slot.customer_id, slot.test),
            None if left == SpendingIndex() else spending.encode(left),
        ),
    ]
    return _Made(DELETED, _shown(gone, record.at), changes, slot.test)


def _read(command: ReadBudgets, record: InputRecord, shard: StateView) -> msgspec.Raw:
    test = None if command.mode is None else command.mode == "test"
    found = budgets.all_budgets(shard, command.customer_id, test, record.at)
    if command.event is not None:
        found = budgets.applying(found, _values(command.event, command.api_key_id))
    amount = None if command.amount is None else parse_cents(command.amount)
    listed = BudgetList(command.customer_id, [one.shown(record.at, amount) for one in found])
    if amount is not None:
        fits = all(one.fits(amount) for one in found if one.budget.hard)
        listed = replace(listed, fits=fits)
    return msgspec.Raw(spending.encode(listed))


def _values(event: EventLabels, api_key_id: int) -> dict[Scope, str | None]:
    return {
        "agent": event.agent_id,
        "action": event.action,
        "model": event.model,
        "key": str(api_key_id),
        "all": "",
    }


def _decision(
    command: CreateBudget | DeleteBudget | GrantCredit,
    record: InputRecord,
    made: _Made,
    reply: msgspec.Raw,
    status: int,
) -> Decision:
    entry = Entry("config", type=made.type, actor=command.actor, detail=made.result)
    written = EntryRecord(command.customer_id, record.offset, record.at, [entry], test=made.test)
    return Decision(
        entries=entries.encode(written), changes=tuple(made.changes), reply=OutcomeReply(reply, status=status)
    )


def _repeat(stored: bytes, key: str, hashed: str) -> Decision:
    first = _decode_first(stored)
    if first.body_hash != hashed:
        raise SpendingRefused(409, CONFLICT, idempotency.conflict(key))
    return Decision(reply=OutcomeReply(first.result, status=201, replayed=True))


def _hash(command: CreateBudget | GrantCredit) -> str:
    """Return a hash of everything but the key, who asks, and what older gateways did not say."""
    if isinstance(command, GrantCredit):
        command = replace(command, low_percent=None)
    body = msgspec.json.encode(replace(command, idempotency_key=None, actor=""))
    return blake2b(body, digest_size=16).hexdigest()


def _check_amount(name: str, text: str) -> None:
    """Check what only a gateway writes."""
    try:
        pico = parse_cents(text)
    except MoneyError as error:
        raise SpendingRefused(400, INVALID, f"{name}: {error}") from None
    if not 0 <= pico <= MAX_EVENT or format_cents(pico) != text:
        raise SpendingRefused(400, INVALID, f"{name} must be canonical text of 0 to {format_cents(MAX_EVENT)}")


def _marked(shard: StateView, customer_id: str, test: bool) -> list[Change]:
    """Return the change, if any, after which events of this customer look for budgets and credit in this shard."""
    marks = shard.get(state.PRICE_SCOPED)
    if marks is not None and spending.may_have(marks, customer_id, test):
        return []
    return [(state.PRICE_SCOPED, spending.with_customer(marks, customer_id, test))]


def _index(shard: StateView, customer_id: str, test: bool) -> SpendingIndex:
    stored = shard.get(spending.index_key(customer_id, test))
    return SpendingIndex() if stored is None else spending.decode_index(stored)


def _shown(budget: RunningBudget, at: int) -> msgspec.Raw:
    return msgspec.Raw(spending.encode(budget.shown(at)))
