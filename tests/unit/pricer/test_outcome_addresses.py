"""pricer.outcomes: by which key, name and customer an outcome is reached, and what is still known of it later."""

import msgspec
import pytest

from pricer.memory import MemoryShard
from pricer.transitions import RETENTION
from schemas import ids, state
from schemas.commands import (
    Expire,
    Meter,
    MeterEvent,
)
from schemas.replies import OutcomeReply
from schemas.state import ClosedOutcome, OpenOutcome
from streams.types import Decision
from tests.unit.pricer.outcome_steps import (
    ACME,
    EXPIRES,
    NEIGHBOUR,
    NOW,
    SHARD,
    WINDOW,
    priced_log,
    read,
    refused,
    register,
    resolve,
    told,
    written,
)


@pytest.fixture
def log() -> MemoryShard:
    return priced_log()


def test_keys_are_one_namespace(log: MemoryShard) -> None:
    """A key that a meter event, a registration or a verdict was given with stands for nothing
    else, in any order; another customer's key is another key.
    """
    used = "idempotency_conflict"
    event = MeterEvent("a", "email.sent", idempotency_key="event")
    log.append(ACME.encode(), Meter(ACME, 3, [event], WINDOW, 10**9))
    register(log, idempotency_key="task")
    resolve(log, "task_abc123", idempotency_key="verdict")
    for key in ("event", "verdict"):
        assert refused(register(log, "other", idempotency_key=key)).code == used
    for key in ("event", "task"):
        assert refused(resolve(log, "task_abc123", idempotency_key=key)).code == used
    for key in ("task", "verdict"):
        again = msgspec.structs.replace(event, idempotency_key=key)
        assert refused(log.append(ACME.encode(), Meter(ACME, 3, [again], WINDOW, 10**9))).code == used
    assert told(register(log, customer=NEIGHBOUR, idempotency_key="event"))["status"] == "pending"


def test_a_registrations_retry_gets_the_first_answer(log: MemoryShard) -> None:
    """Pending, 201 and replayed, although the task has been resolved since; nothing is left."""
    first = register(log, idempotency_key="k")
    resolve(log, "task_abc123")
    log.now += WINDOW - 1
    again = register(log, idempotency_key="k")
    assert isinstance(again.reply, OutcomeReply)
    assert (again.reply.status, again.reply.replayed) == (201, True)
    assert told(again) == told(first)
    assert again == Decision(reply=again.reply)
    log.now += 1
    assert refused(register(log, idempotency_key="k")).code == "task_exists"


def test_a_verdicts_retry_may_use_either_address(log: MemoryShard) -> None:
    """The same outcome by its task or its id is the same body; another outcome is not."""
    outcome_id = told(register(log))["outcome_id"]
    other = told(register(log, "other"))["outcome_id"]
    first = resolve(log, "task_abc123", idempotency_key="k")
    again = resolve(log, outcome_id, idempotency_key="k")
    assert isinstance(again.reply, OutcomeReply)
    assert (told(again), again.reply.replayed, again.entries) == (told(first), True, None)
    for target, success in ((other, True), ("unknown", True), (outcome_id, False)):
        assert refused(resolve(log, target, success, idempotency_key="k")).code == "idempotency_conflict"


def test_another_customers_outcome_is_not_found(log: MemoryShard) -> None:
    """Although it is in the same shard, whichever way it is asked for, and nothing is told of it."""
    outcome_id = told(register(log))["outcome_id"]
    for target in (outcome_id, "task_abc123"):
        for decision in (resolve(log, target, customer=NEIGHBOUR), read(log, target, NEIGHBOUR)):
            assert (refused(decision).status, refused(decision).outcome) == (404, msgspec.Raw(b""))
    log.now = EXPIRES
    assert log.append(NEIGHBOUR.encode(), Expire(NEIGHBOUR, outcome_id)) == Decision()
    assert told(register(log, customer=NEIGHBOUR, expires_at=EXPIRES + 1))["status"] == "pending"


def test_an_outcome_is_whole_until_the_ledger_has_it_for_weeks(log: MemoryShard) -> None:
    """35 days after its end the shard says what it keeps for ever, and which row has the rest."""
    register(log, success_criteria=msgspec.Raw(b'{"a":1}'))
    closed = resolve(log, "task_abc123", evidence=msgspec.Raw(b'{"b":2}'))
    log.now = NOW + RETENTION - 1
    assert told(read(log, "task_abc123")) == told(closed)
    log.now += 1
    for decision in (read(log, "task_abc123"), resolve(log, "task_abc123")):
        assert isinstance(decision.reply, OutcomeReply)
        assert decision.reply.elsewhere == ids.event_id(SHARD, written(closed).raw_offset)
        assert told(decision) == {
            name: value
            for name, value in told(closed).items()
            if name in ("task_id", "outcome_id", "status", "success", "charge_cents", "resolved_at", "voided", "test")
        }


def test_a_closed_outcome_shrinks(log: MemoryShard) -> None:
    """The state of one that ended holds no criteria, whatever it was opened with."""
    big = msgspec.Raw(b'{"text":"' + b"x" * 16_000 + b'"}')
    outcome_id = told(register(log, success_criteria=big))["outcome_id"]
    stored = log.shards[SHARD].get(state.outcome_key(outcome_id))
    assert stored is not None
    assert isinstance(state.decode_outcome(stored), OpenOutcome)
    resolve(log, outcome_id, evidence=big)
    stored = log.shards[SHARD].get(state.outcome_key(outcome_id))
    assert stored is not None
    assert isinstance(state.decode_outcome(stored), ClosedOutcome)
    assert len(stored) < 250


@pytest.mark.parametrize("task", ["oc_5", "oc_", ".", "..", "a/b?c#d", "é" * 256])
def test_odd_task_names_break_nothing(log: MemoryShard, task: str) -> None:
    """The gateway lets no task_id pass that reads as an outcome_id or path; if one came, it would
    be reachable by its outcome_id.
    """
    outcome_id = told(register(log, task))["outcome_id"]
    assert refused(register(log, task)).code == "task_exists"
    if task.startswith("oc_"):
        assert refused(read(log, task)).code == "not_found"
    else:
        assert told(read(log, task))["outcome_id"] == outcome_id
    assert told(resolve(log, outcome_id))["task_id"] == task
