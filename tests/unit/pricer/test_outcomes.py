"""pricer.outcomes: what a register, a verdict, a reminder and a look bring about and charge."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pricer.machine import STATUS, TABLE, TransitionRow
from pricer.memory import MemoryShard
from schemas import entries
from schemas.commands import (
    MeterEvent,
    Rates,
    Resolve,
    SetPrice,
)
from schemas.replies import OutcomeReply
from schemas.settings import MAX_TTL
from schemas.topics import CONFIG_KEY
from streams.types import Decision
from tests.unit.pricer.outcome_steps import (
    ACME,
    EXPIRES,
    NOW,
    SHARD,
    WINDOW,
    expire,
    pending,
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


def test_the_references_contract_is_charged_once_it_succeeds(log: MemoryShard) -> None:
    """Registered for 4900 cents, resolved with evidence, charged by an entry that refers back."""
    criteria, evidence = msgspec.Raw(b'{"type":"contract_signed"}'), msgspec.Raw(b'{"contract_url":"https://x"}')
    opened = register(log, success_criteria=criteria)
    outcome = told(opened)
    assert (outcome["task_id"], outcome["status"], outcome["price_on_success_cents"]) == (
        "task_abc123",
        "pending",
        4900,
    )
    assert outcome["success_criteria"] == {"type": "contract_signed"}
    (entry,) = written(opened).entries
    assert (entry.kind, entry.total, entry.price_on_success, entry.price_on_failure) == ("registered", "0", "4900", "0")
    log.now += 100
    closed = resolve(log, "task_abc123", evidence=evidence)
    assert told(closed) == {
        **outcome,
        "status": "succeeded",
        "success": True,
        "charge_cents": 4900,
        "evidence": {"contract_url": "https://x"},
        "resolved_at": "2026-03-31T00:00:00.100Z",
    }
    record = written(closed)
    (charge,) = record.entries
    assert (charge.kind, charge.bonus, charge.total, charge.verdict) == ("charge", "4900", "4900", "succeeded")
    assert (charge.outcome_id, charge.original, charge.price) == (outcome["outcome_id"], outcome["event_id"], -1)
    assert charge.event == MeterEvent("agent-legal", "outcome_charge", task_id="task_abc123")
    assert (record.api_key_id, record.prices, record.recorded_at) == (4, [], NOW + 100)
    assert bytes(memoryview(charge.detail)) == bytes(memoryview(closed.reply.result))  # type: ignore[union-attr]


def test_a_pending_events_bonus_is_the_one_of_its_opening(log: MemoryShard) -> None:
    """The guides' e-mail: its bonus is charged on success alone, at the price of that moment, and
    the charge holds the price record that it was priced with.
    """
    outcome_id = pending(log, task_id="label", model="m", provider="p", trace_id="t")
    log.append(CONFIG_KEY, SetPrice("email.sent", Rates("9", "9", "9")))
    record = written(resolve(log, outcome_id))
    (charge,) = record.entries
    assert (charge.kind, charge.base, charge.token, charge.bonus, charge.total) == ("charge", "0", "0", "500", "500")
    assert (charge.price, record.prices[0].rates) == (0, Rates("1", "0", "500"))
    assert charge.event == MeterEvent("mailer", "email.sent", task_id="label", model="m", provider="p", trace_id="t")
    assert (charge.price_on_success, charge.price_on_failure) == (None, None)


def test_a_pending_events_label_is_no_address(log: MemoryShard) -> None:
    """Its task_id may be any task's; only its outcome_id names it."""
    pending(log, task_id="task_abc123")
    assert refused(resolve(log, "task_abc123")).code == "not_found"
    assert told(register(log))["status"] == "pending"


def bring_about(log: MemoryShard, row: TransitionRow) -> str:
    """An outcome in the row's state, with times as the row has them; its address."""
    if row.state == "none":
        return "unknown"
    outcome_id: str = told(register(log, price_on_failure="7", on_expiry="success"))["outcome_id"]
    if row.state in ("succeeded", "failed"):
        resolve(log, outcome_id, row.state == "succeeded")
    if row.state == "expired" or row.when == "late":
        log.now = EXPIRES
    if row.state == "expired":
        expire(log, outcome_id)
    return outcome_id


def test_a_pending_event_opens_an_outcome(log: MemoryShard) -> None:
    """The second way in: the row that no command about outcomes brings about."""
    assert told(read(log, pending(log)))["status"] == "pending"


@pytest.mark.parametrize(
    "row",
    [row for row in TABLE if row.stimulus != "pending event"],
    ids=lambda row: f"{row.state}-{row.stimulus}-{row.when}",
)
def test_the_pricer_does_what_the_table_says(log: MemoryShard, row: TransitionRow) -> None:
    """Each row, driven through the log: state, charge and answer."""
    address = bring_about(log, row)
    actions: dict[str, Callable[[], Decision]] = {
        "register": lambda: register(log),
        "resolve success": lambda: resolve(log, address, True),
        "resolve failure": lambda: resolve(log, address, False),
        "expire": lambda: expire(log, address),
        "read": lambda: read(log, address),
    }
    before = len(log.entries[SHARD])
    decision = actions[row.stimulus]()
    charge = {"nothing": "0", "price_on_success": "4900", "price_on_failure": "7", "on_expiry": "4900"}[row.charge]
    ended = [
        entry
        for record in log.entries[SHARD][before:]
        for entry in entries.decode(record.value).entries
        if entry.verdict is not None
    ]
    moved = row.to != row.state and row.state == "pending"
    assert [(entry.verdict, entry.total) for entry in ended] == ([(row.to, charge)] if moved else [])
    if row.answer == "none":
        assert decision.reply is None
    elif STATUS[row.answer] >= 400:
        assert (refused(decision).status, refused(decision).code) == (STATUS[row.answer], row.answer)
    else:
        assert isinstance(decision.reply, OutcomeReply)
        assert (decision.reply.status, told(decision)["status"]) == (STATUS[row.answer], row.to)


def test_a_late_verdict_leaves_the_end_and_the_refusal(log: MemoryShard) -> None:
    """At expires_at no timer has fired yet: the outcome ends as expired, which is nobody's doing,
    and the verdict is refused and its key not remembered.
    """
    register(log, price_on_failure="7", test=True)
    log.now = EXPIRES
    decision = resolve(log, "task_abc123", idempotency_key="k", evidence=msgspec.Raw(b'{"a":1}'))
    record = written(decision)
    end, refusal = record.entries
    assert (end.index, end.kind, end.verdict, end.total, end.body_hash) == (0, "charge", "expired", "7", None)
    assert (refusal.index, refusal.kind, refusal.type, refusal.total) == (1, "rejected", "resolve", "0")
    assert (record.api_key_id, record.test) == (0, True)
    assert end.event is not None
    assert end.event.idempotency_key is None
    reply = refused(decision)
    status = msgspec.json.decode(reply.outcome)
    assert (reply.code, status["status"], status["charge_cents"]) == ("outcome_expired", "expired", 7)
    assert told(read(log, "task_abc123"))["evidence"] is None
    again = refused(resolve(log, "task_abc123", idempotency_key="k"))
    assert again.code == "outcome_expired"


def test_the_accepted_time_counts_not_the_time_of_pricing(log: MemoryShard) -> None:
    """Two verdicts appended a millisecond apart while the pricer stood: the one in time counts ten
    minutes later, the one at expires_at is refused although no timer has fired.
    """
    register(log, "in-time")
    register(log, "late")
    waiting = []
    for task, at in (("in-time", EXPIRES - 1), ("late", EXPIRES)):
        log.now = at
        value = msgspec.json.encode(Resolve(ACME, 4, task, True, WINDOW))
        waiting.append((value, at))
    log.now = EXPIRES + 600_000
    decisions = []
    for value, at in waiting:
        first = log.raw[SHARD][-1]
        decisions.append(log.decide(first._replace(offset=first.offset + 1, value=value, at=at)))
    assert told(decisions[0])["status"] == "succeeded"
    assert refused(decisions[1]).code == "outcome_expired"


def test_one_verdict_of_a_hundred(log: MemoryShard) -> None:
    """Half success, half failure, and the reminder: the first counts, the same verdict gets its
    answer, the other one is refused, and there is one charge.
    """
    outcome_id = told(register(log))["outcome_id"]
    first = resolve(log, "task_abc123", success=False)
    answers = [resolve(log, outcome_id, success=n % 2 == 0) for n in range(99)]
    log.now = EXPIRES
    expire(log, outcome_id)
    for n, answer in enumerate(answers):
        if n % 2:
            assert told(answer) == told(first)
            assert answer.entries is None
        else:
            assert refused(answer).code == "outcome_closed"
    ends = [entry for one in log.entries[SHARD] for entry in entries.decode(one.value).entries if entry.verdict]
    assert [(entry.kind, entry.verdict) for entry in ends] == [("waived", "failed")]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"expires_at": NOW}, "future"),
        ({"expires_at": NOW - 1}, "future"),
        ({"expires_at": NOW + MAX_TTL + 1}, "too far"),
        ({"price_on_success": "-1"}, "price_on_success"),
        ({"price_on_success": "1000000000.000000000001"}, "price_on_success"),
        ({"price_on_success": "1.50"}, "price_on_success"),
        ({"price_on_success": "1e3"}, "price_on_success"),
        ({"price_on_failure": "0.0000000000001"}, "price_on_failure"),
        ({"price_on_failure": ""}, "price_on_failure"),
    ],
)
def test_a_registration_that_the_gateway_should_have_refused(
    log: MemoryShard, fields: dict[str, Any], error: str
) -> None:
    """400 with the field's name, a rejected entry without money, and no outcome."""
    decision = register(log, **fields)
    assert refused(decision).status == 400
    assert error in refused(decision).error
    (entry,) = written(decision).entries
    assert (entry.kind, entry.type, entry.total) == ("rejected", "register", "0")
    assert (decision.changes, decision.retained) == ((), ())


def test_the_largest_prices_are_charged_exactly(log: MemoryShard) -> None:
    """10^9 cents with the smallest fraction below, to the last decimal."""
    register(log, price_on_success="999999999.999999999999", price_on_failure="0.000000000001")
    register(log, "two", price_on_success="1000000000", price_on_failure="0.000000000001")
    assert written(resolve(log, "task_abc123")).entries[0].total == "999999999.999999999999"
    assert written(resolve(log, "two", success=False)).entries[0].total == "0.000000000001"
