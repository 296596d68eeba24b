"""pricer.voids: taking back events and charges, once, and what is refused."""

from typing import Any

import msgspec
import pytest

from pricer.memory import MemoryShard
from schemas import entries, ids
from schemas.commands import (
    Genesis,
    Meter,
    MeterEvent,
    Rates,
    ReadOutcome,
    Register,
    Resolve,
    SeedPrice,
    Void,
)
from schemas.entries import Entry, EntryRecord
from schemas.replies import OutcomeReply, RefusedReply
from schemas.topics import CONFIG_KEY, partition_of
from streams.types import Decision

PARTITIONS = 4
WINDOW = 1000
NOW = 1_774_915_200_000
ACME = "acme"
SHARD = partition_of(ACME.encode(), PARTITIONS)
NEIGHBOUR = next(name for name in map(str, range(99)) if partition_of(name.encode(), PARTITIONS) == SHARD)
PRICES = [SeedPrice("email.sent", Rates("1", "0.5", "500")), SeedPrice("free", Rates("0", "0", "0"))]
EVENT = MeterEvent(
    "mailer", "email.sent", 7, 3, 4, "success", metadata=msgspec.Raw(b'{"a":1}'), idempotency_key="k", task_id="label"
)


@pytest.fixture
def log() -> MemoryShard:
    """A log at accepted time NOW, with two prices."""
    made = MemoryShard(PARTITIONS)
    made.now = NOW
    made.append(CONFIG_KEY, Genesis("e", PRICES))
    return made


def meter(log: MemoryShard, event: MeterEvent = EVENT) -> Decision:
    """One event of ACME."""
    return log.append(ACME.encode(), Meter(ACME, 3, [event], WINDOW, 10**9))


def pending(log: MemoryShard) -> Decision:
    """An event whose bonus waits."""
    return meter(log, MeterEvent("mailer", "email.sent", outcome="pending", expires_at=NOW + 5000))


def register(log: MemoryShard) -> Decision:
    """A task of ACME."""
    return log.append(ACME.encode(), Register(ACME, 3, "task", "a", NOW + 5000, WINDOW, price_on_success="4900"))


def resolve(log: MemoryShard, target: str, success: bool = True) -> Decision:
    """Its verdict."""
    return log.append(ACME.encode(), Resolve(ACME, 4, target, success, WINDOW))


def written(decision: Decision) -> EntryRecord:
    """The decision's entry record."""
    assert decision.entries is not None
    return entries.decode(decision.entries)


def only(decision: Decision) -> Entry:
    """The decision's one entry."""
    (entry,) = written(decision).entries
    return entry


def taking_back(decision: Decision, **other: Any) -> Void:
    """The void of a decision's entry, as the gateway reads it from the ledger."""
    record, entry = written(decision), only(decision)
    assert entry.event is not None
    command = Void(
        ACME,
        ids.event_id(SHARD, record.raw_offset),
        msgspec.structs.replace(entry.event, event_time=record.recorded_at),
        entry.base,
        entry.token,
        entry.bonus,
        entry.total,
        "mistake",
        record.prices[0] if entry.price == 0 else None,
        entry.outcome_id,
        entry.kind in ("charge", "waived"),
        record.test,
        "anna",
    )
    return msgspec.structs.replace(command, **other)


def void(log: MemoryShard, command: Void) -> Decision:
    """The admin's command."""
    return log.append(command.customer_id.encode(), command)


def told(decision: Decision) -> Any:
    """The object of the answer."""
    assert isinstance(decision.reply, OutcomeReply)
    return msgspec.json.decode(decision.reply.result)


def look(log: MemoryShard, outcome_id: str | None) -> Any:
    """The outcome as GET shows it."""
    assert outcome_id is not None
    return told(log.append(ACME.encode(), ReadOutcome(ACME, outcome_id)))


def test_the_void_of_an_event_is_its_opposite(log: MemoryShard) -> None:
    """Everything of the event is repeated, at its own time, each amount negated; it is a new
    entry with an id and time of its own, and the answer says whose.
    """
    charged = meter(log)
    log.now += 100
    decision = void(log, taking_back(charged))
    record, entry, original = written(decision), only(decision), only(charged)
    assert original.event is not None
    assert entry == Entry(
        "void",
        event=msgspec.structs.replace(original.event, event_time=NOW),
        price=0,
        base="-1",
        token="-3.5",
        bonus="-500",
        total="-504.5",
        original=ids.event_id(SHARD, written(charged).raw_offset),
        reason="mistake",
        actor="anna",
        detail=entry.detail,
    )
    assert (record.prices, record.recorded_at, record.api_key_id) == (written(charged).prices, NOW + 100, 0)
    assert isinstance(decision.reply, OutcomeReply)
    assert decision.reply.status == 201
    assert msgspec.json.decode(entry.detail) == told(decision)
    assert told(decision) == {
        "event_id": ids.event_id(SHARD, record.raw_offset),
        "voided_event_id": entry.original,
        "outcome_id": None,
        "customer_id": ACME,
        "agent_id": "mailer",
        "action": "email.sent",
        "total_cents": -504.5,
        "reason": "mistake",
        "created_at": "2026-03-31T00:00:00.100Z",
        "test": False,
    }


def test_a_second_void_gets_the_first_answer(log: MemoryShard) -> None:
    """200, whatever it says this time, and nothing is left."""
    command = taking_back(meter(log))
    first = void(log, command)
    log.now += 10**9
    again = void(log, msgspec.structs.replace(command, reason="another", total="1"))
    assert isinstance(again.reply, OutcomeReply)
    assert (told(again), again.reply.status) == (told(first), 200)
    assert again == Decision(reply=again.reply)


def test_an_event_that_cost_nothing_can_be_voided(log: MemoryShard) -> None:
    """Zero taken back is zero, not minus zero."""
    entry = only(void(log, taking_back(meter(log, MeterEvent("a", "free")))))
    assert (entry.base, entry.token, entry.bonus, entry.total) == ("0", "0", "0", "0")


def test_a_charge_is_taken_back_and_its_outcome_stays(log: MemoryShard) -> None:
    """Succeeded, with what it charged, and voided; a repeated verdict still gets its first answer."""
    register(log)
    charged = resolve(log, "task")
    entry = only(void(log, taking_back(charged)))
    assert (entry.kind, entry.type, entry.bonus, entry.total) == ("void", "charge", "-4900", "-4900")
    assert entry.outcome_id == only(charged).outcome_id
    shown = look(log, entry.outcome_id)
    assert (shown["status"], shown["charge_cents"], shown["voided"]) == ("succeeded", 4900, True)
    assert told(resolve(log, "task")) == told(charged)


@pytest.mark.parametrize("success", [True, False])
def test_a_voided_events_outcome_ends_without_money(log: MemoryShard, success: bool) -> None:
    """It stays open, says that it is voided, and any verdict is waived."""
    event = pending(log)
    outcome_id = only(event).outcome_id
    void(log, taking_back(event))
    assert (look(log, outcome_id)["status"], look(log, outcome_id)["voided"]) == ("pending", True)
    end = only(resolve(log, outcome_id or "", success))
    assert (end.kind, end.total) == ("waived", "0")
    assert (look(log, outcome_id)["charge_cents"], look(log, outcome_id)["voided"]) == (0, True)


def test_an_event_voided_after_its_outcome_ended_leaves_the_charge(log: MemoryShard) -> None:
    """The charge is an entry of its own: not voided until it is voided itself."""
    event = pending(log)
    outcome_id = only(event).outcome_id
    charged = resolve(log, outcome_id or "")
    void(log, taking_back(event))
    assert not look(log, outcome_id)["voided"]
    void(log, taking_back(charged))
    assert look(log, outcome_id)["voided"]


def amiss(log: MemoryShard, case: str) -> Void:
    """A void of which one thing is wrong."""
    event = taking_back(meter(log, msgspec.structs.replace(EVENT, idempotency_key=None)))
    id = event.event_id
    other: dict[str, dict[str, Any]] = {
        "no entry id": {"event_id": 2**53},
        "negative id": {"event_id": -1},
        "another shard's": {"event_id": id ^ 1 << 10},
        "itself": {"event_id": ids.event_id(SHARD, len(log.raw[SHARD]))},
        "the future": {"event_id": ids.event_id(SHARD, 10**6)},
        "no outcome of it": {"outcome_id": "oc_5"},
        "negative": {"base": "-1", "token": "3.5", "bonus": "500", "total": "502.5"},
        "not canonical": {"base": "1.0"},
        "no number": {"total": "x"},
        "13 decimals": {"base": "0.0000000000001"},
        "too much": {"base": "1000000000001", "total": "1000000000504.5"},
        "wrong sum": {"total": "504.6"},
    }
    if case in other:
        return msgspec.structs.replace(event, **other[case])
    if case in ("outcome left out", "a foreign pending event", "another event's outcome"):
        command = taking_back(pending(log))
        changes: dict[str, dict[str, Any]] = {
            "outcome left out": {"outcome_id": None},
            "a foreign pending event": {"customer_id": NEIGHBOUR},
            "another event's outcome": {"outcome_id": only(pending(log)).outcome_id},
        }
        return msgspec.structs.replace(command, **changes[case])
    registered = register(log)
    if case == "a registration":
        return taking_back(registered)
    if case == "an open outcome's charge":
        return taking_back(registered, charge=True)
    ended = resolve(log, "task", case != "waived")
    charges: dict[str, dict[str, Any]] = {
        "waived": {},
        "another customer's charge": {"customer_id": NEIGHBOUR},
        "a charge of another amount": {"bonus": "1", "total": "1"},
        "a charge that is none": {"event_id": id},
        "a charge without its outcome": {"outcome_id": None},
    }
    return taking_back(ended, **charges[case])


@pytest.mark.parametrize(
    ("status", "case"),
    [
        (404, "no entry id"),
        (404, "negative id"),
        (404, "another shard's"),
        (404, "itself"),
        (404, "the future"),
        (400, "no outcome of it"),
        (400, "negative"),
        (400, "not canonical"),
        (400, "no number"),
        (400, "13 decimals"),
        (400, "too much"),
        (400, "wrong sum"),
        (400, "outcome left out"),
        (404, "a foreign pending event"),
        (400, "another event's outcome"),
        (404, "a registration"),
        (404, "an open outcome's charge"),
        (404, "waived"),
        (404, "another customer's charge"),
        (400, "a charge of another amount"),
        (404, "a charge that is none"),
        (404, "a charge without its outcome"),
    ],
)
def test_a_void_with_something_amiss_is_refused(log: MemoryShard, status: int, case: str) -> None:
    """Visible, without money, and the right void still goes through."""
    command = amiss(log, case)
    decision = void(log, command)
    assert isinstance(decision.reply, RefusedReply)
    assert decision.reply.status == status
    entry = only(decision)
    assert (entry.kind, entry.type, entry.total, entry.actor) == ("rejected", "void", "0", "anna")
    assert entry.reason == decision.reply.error
    assert (decision.changes, decision.retained) == ((), ())


def test_a_neighbours_void_of_the_same_entry_is_not_told(log: MemoryShard) -> None:
    """What was taken back from one customer is nothing that another one is shown."""
    command = taking_back(meter(log))
    void(log, command)
    decision = void(log, msgspec.structs.replace(command, customer_id=NEIGHBOUR))
    assert isinstance(decision.reply, RefusedReply)
    assert (decision.reply.status, ACME in decision.reply.error) == (404, False)


def test_a_void_is_answered_and_takes_back_all(log: MemoryShard) -> None:
    """Its entry is the event's amount, negative."""
    command = taking_back(meter(log))
    record = log.raw[SHARD][-1]._replace(offset=9, value=msgspec.json.encode(command))
    answered = log.pricer.apply(record, log.shards[SHARD])
    assert answered.reply is not None
    assert written(answered).entries[0].total == "-504.5"
