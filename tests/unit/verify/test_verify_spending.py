"""Budgets and prepaid credit on random logs: the real pricer's ledger agrees with a model that knows nothing of it."""

from decimal import Decimal
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pricer import memory
from schemas import commands, open_months
from schemas.commands import (
    CloseMonth,
    CreateBudget,
    DeleteBudget,
    EventLabels,
    ExpireGrant,
    ExpireReservation,
    GrantCredit,
    Meter,
    MeterEvent,
    Rates,
    ReadBalance,
    ReadBudgets,
    ReadReservations,
    ReleaseReservation,
    Reserve,
    Scope,
    SetBillingAnchor,
    SetPrice,
)
from schemas.limits import DAY
from schemas.quantities import QuantityRate
from schemas.tiers import Step, Tiers
from tests.unit.verify.pricer_ledger import check, rows_of
from tests.unit.verify.test_verify_pricer import METER, OUTCOME, PENDING, TakeBack, written

CUSTOMER = st.sampled_from(["acme", "globex"])
VALUES: dict[Scope, list[str]] = {
    "agent": ["agent", "other"],
    "action": ["chat", "outcome_charge"],
    "model": ["m"],
    "key": ["1", "3", "0"],
    "all": [""],
}
LIMIT = st.sampled_from(["0", "0.5", "2.5", "0.72", "1000", "1000000000000", "01", "-1", "1000000000001"])
SUBJECT = st.sampled_from(list(VALUES)).flatmap(lambda scope: st.tuples(st.just(scope), st.sampled_from(VALUES[scope])))
BUDGET = st.builds(
    lambda customer, subject, period, limit, hard, test, key: CreateBudget(
        customer, subject[0], period, limit, hard, subject[1], test, key
    ),
    CUSTOMER,
    SUBJECT,
    st.sampled_from(["day", "month", "total"]),
    LIMIT,
    st.booleans(),
    st.sampled_from([False, False, True]),
    st.sampled_from([None, None, "b1", "b2"]),
)


GRANT = st.builds(
    GrantCredit,
    CUSTOMER,
    st.sampled_from(["0.5", "0.72", "3", "1000", "0", "01", "1000000000001"]),
    st.just("a gift"),
    st.sampled_from([None, None, DAY, 3 * DAY, 40 * DAY]),
    st.sampled_from([50, 50, 1]),
    st.sampled_from([False, False, True]),
    st.sampled_from([None, None, "b1", "b3"]),
    low_percent=st.sampled_from([None, None, 20, 100, 0, 101]),
    category=st.sampled_from(["promotional", "promotional", "paid"]),
)


class Removal(NamedTuple):
    """The deletion of a budget that was made before, or of none."""

    budget: int


class Ending(NamedTuple):
    """What may end a reservation that was made before, or one that never was: an event, a release, a notice."""

    pick: int
    how: str
    mode: Literal["live", "test"]
    key: str | None
    covers: bool


NOVEMBER = 1_793_491_200_000
"""The first ms of November 2026, UTC."""


class Due(NamedTuple):
    """A notice of an open month, over or not; of none if none is open."""

    pick: int


TIERS = (
    Tiers("event", (Step("3", "0.6"), Step(None, "0.2"))),
    Tiers("images", (Step("2", "0.5"), Step("6", "0.4"), Step(None, "0"))),
)


def reserving(command: Reserve, mode: Literal["live", "test"]) -> Reserve:
    """A reservation in a mode."""
    return replace(command, mode=mode, test=mode == "test")


MODES = st.sampled_from(["live", "live", "test"])
RESERVE = st.builds(
    reserving,
    st.builds(
        Reserve,
        CUSTOMER,
        st.sampled_from([1, 3]),
        st.sampled_from([1, DAY // 2, DAY, 0, DAY + 1]),
        st.sampled_from([100, 10**12]),
        amount=st.sampled_from(["0.5", "0.72", "2", "0", "01", None, None]),
        event=st.sampled_from([None, EventLabels("agent", "chat", "m"), EventLabels(action="chat")]),
        estimate=st.sampled_from([None, MeterEvent("agent", "chat", 2400), MeterEvent("a", "none", outcome="pending")]),
        idempotency_key=st.sampled_from([None, None, "k1", "r"]),
        on_empty=st.sampled_from(["charge", "charge", "refuse"]),
    ),
    MODES,
)
ENDING = st.builds(
    Ending,
    st.integers(0, 12),
    st.sampled_from(["event", "event", "pair", "release", "expire", "read", "grant"]),
    MODES,
    st.sampled_from([None, None, "k1", "e"]),
    st.booleans(),
)


SPENDING = st.one_of(
    BUDGET,
    GRANT,
    GRANT,
    BUDGET,
    RESERVE,
    RESERVE,
    ENDING,
    ENDING,
    st.builds(ReadBalance, CUSTOMER, st.sampled_from(["live", "test"])),
    st.builds(Removal, st.integers(0, 12)),
    st.builds(ReadBudgets, CUSTOMER, amount=st.sampled_from([None, "1"])),
)
VALID = st.builds(
    reserving,
    st.builds(
        lambda ttl, amount, estimate, key, on_empty: Reserve(
            "acme",
            1,
            ttl,
            10**12,
            amount=None if estimate else amount,
            estimate=MeterEvent("agent", "chat", 2400, model="m") if estimate else None,
            idempotency_key=key,
            on_empty=on_empty,
        ),
        st.sampled_from([DAY // 2, DAY]),
        st.sampled_from(["0.5", "0.72", "2"]),
        st.booleans(),
        st.sampled_from([None, "k1", "r"]),
        st.sampled_from(["charge", "charge", "refuse"]),
    ),
    MODES,
)
ENOUGH = st.builds(
    lambda scope, limit, hard: CreateBudget("acme", scope, "day", limit, hard, {"agent": "agent"}.get(scope, "")),
    st.sampled_from(["all", "agent"]),
    st.sampled_from(["2.5", "3.94", "1000"]),
    st.booleans(),
)
LOW_GRANT = st.builds(
    lambda amount, days, low: GrantCredit("acme", amount, "why", days, low_percent=low),
    st.sampled_from(["3", "0.5"]),
    st.sampled_from([None, DAY, 2 * DAY]),
    st.sampled_from([None, 20, 70, 100]),
)
HOLDING = st.lists(
    st.tuples(
        st.one_of(
            VALID,
            VALID,
            ENDING,
            ENDING,
            ENDING,
            ENOUGH,
            LOW_GRANT,
        ),
        st.sampled_from([0, 0, 0, 1, DAY // 2]),
    ),
    min_size=3,
    max_size=25,
)
"""Mostly reservations and what ends them."""
CHARGED = st.builds(
    lambda tokens, images, success, covers: Meter(
        "acme",
        1,
        [MeterEvent("agent", "chat", tokens, outcome=success, model="m", quantities={"images": images})] * 2,
        10**12,
        50,
        batch=True,
        mode="live",
        on_empty="refuse" if covers else "charge",
    ),
    st.sampled_from([0, 1000, 2400]),
    st.sampled_from(["0", "1", "2.5"]),
    st.sampled_from([None, "success"]),
    st.booleans(),
)
MONTHLY_PRICE = st.builds(
    SetPrice,
    st.just("chat"),
    st.sampled_from(
        [
            Rates("0.5", "0.0003", "0.25", (QuantityRate("images", "0.4"),), cap="2"),
            Rates("0.5", "0.0003", "0.25", (QuantityRate("images", "0.4"),), cap="1.1", minimum="0.9"),
            Rates("0", "0.0001", "0.25", tiers=TIERS),
            Rates("0", "0.0001", "0", tiers=TIERS, cap="3.3"),
            Rates("0", "0.0001", "0.1", tiers=TIERS, tier_mode="volume", minimum="3"),
            Rates("0.5", "0.0003", "0.25", ignore_unknown=True),
        ]
    ),
)
GIFT = st.builds(
    lambda amount, days, low: GrantCredit(
        "acme", amount, "why", None if days is None else NOVEMBER + days * DAY, low_percent=low
    ),
    st.sampled_from(["3", "0.5", "20"]),
    st.sampled_from([None, 10, 40]),
    st.sampled_from([None, 20, 70]),
)
MONTHS = st.lists(
    st.tuples(
        st.one_of(
            MONTHLY_PRICE,
            CHARGED,
            CHARGED,
            CHARGED,
            VALID,
            VALID,
            ENDING,
            ENDING,
            ENOUGH,
            GIFT,
            st.builds(Due, st.integers(0, 3)),
            st.builds(Due, st.integers(0, 3)),
            st.builds(SetBillingAnchor, st.just("acme"), st.sampled_from([1, 9, 31, 32])),
            st.builds(TakeBack, st.integers(0, 60), st.none()),
        ),
        st.sampled_from([0, 0, 0, 1, DAY // 2, 9 * DAY, 20 * DAY]),
    ),
    min_size=3,
    max_size=30,
)
"""Caps, steps and minimums beside what limits spending, over billing periods."""
COVERED = st.builds(lambda command: replace(command, on_empty="refuse"), METER)
"""Events of a customer whose credit must cover them."""
STEPS = st.lists(
    st.tuples(
        st.one_of(SPENDING, METER, COVERED, PENDING, OUTCOME),
        st.sampled_from([0, 0, 0, 1, 400, DAY // 2, DAY, 20 * DAY]),
    ),
    max_size=40,
)


def log_of(steps: list[tuple[Any, int]]) -> memory.MemoryShard:
    """The log that the steps leave."""
    return written(steps, removed)


def ended(step: Ending, log: memory.MemoryShard) -> commands.Command:
    """An ending as the command that it is for this log."""
    if step.how == "grant":
        granted = [row["event_id"] for row in rows_of(log) if row["config_type"] == "credit.granted"]
        return ExpireGrant("acme", granted[step.pick % len(granted)] if granted else 7, step.mode == "test")
    made = [row for row in rows_of(log) if row["config_type"] == "reservation.created"]
    row = made[step.pick % len(made)] if made and step.pick else {"customer_id": "acme", "event_id": 7}
    customer, id, test = row["customer_id"], f"rs_{row['event_id']}", step.mode == "test"
    match step.how:
        case "release":
            return ReleaseReservation(customer, 1, id, step.mode)
        case "expire":
            return ExpireReservation(customer, id, test)
        case "read":
            return ReadReservations(customer, step.mode, id)
    event = MeterEvent("agent", "chat", 2400, model="m", idempotency_key=step.key, reservation_id=id)
    events = (
        [event, MeterEvent("agent", "chat"), replace(event, idempotency_key=None)] if step.how == "pair" else [event]
    )
    on_empty: Literal["charge", "refuse"] = "refuse" if step.covers else "charge"
    return Meter(customer, 1, events, 10**12, 50, len(events) > 1, test, step.mode, on_empty=on_empty)


def closing(step: Due, log: memory.MemoryShard) -> commands.Command:
    """A notice as the command that it is for this log."""
    found = [open_months.decode(value) for shard in log.shards for _, value in shard.scan(open_months.MONTH_PREFIX)]
    if not found:
        return CloseMonth("acme", "1970-01", "chat")
    month = found[step.pick % len(found)]
    return CloseMonth(month.customer_id, month.month, month.action, month.own, month.model, month.provider, month.test)


def removed(step: Removal | Ending | Due, log: memory.MemoryShard) -> commands.Command:
    """A removal, an ending or a notice as the command that it is for this log."""
    if isinstance(step, Due):
        return closing(step, log)
    if isinstance(step, Ending):
        return ended(step, log)
    made = [row for row in rows_of(log) if row["config_type"] == "budget.created"]
    if not made:
        return DeleteBudget("acme", 7)
    row = made[step.budget % len(made)]
    return DeleteBudget("acme" if step.budget > 9 else row["customer_id"], row["event_id"])


@settings(deadline=None, max_examples=100)
@given(STEPS)
async def test_the_pricer_and_the_model_agree_on_budgets(steps: list[tuple[Any, int]]) -> None:
    """Every refusal, notice and amount spent of a random log is what the model says."""
    log = log_of(steps)
    found, _ = await check(log, list(rows_of(log)))
    assert found == []


@settings(deadline=None, max_examples=100)
@given(STEPS, st.integers(0, 30))
async def test_they_agree_when_the_budgets_are_older_than_the_log(steps: list[tuple[Any, int]], gone: int) -> None:
    log = log_of(steps)
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    found, _ = await check(log, list(rows_of(log)), firsts)
    assert found == []


@settings(deadline=None, max_examples=100)
@given(HOLDING, st.sampled_from([0, 0, 4, 12]))
async def test_they_agree_on_reservations(steps: list[tuple[Any, int]], gone: int) -> None:
    """What each holds, how it ends, and what others may spend meanwhile; also when some are older than the log."""
    log = log_of(steps)
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    found, _ = await check(log, list(rows_of(log)), firsts)
    assert found == []


@settings(deadline=None, max_examples=80)
@given(MONTHS, st.sampled_from([0, 0, 4, 12, 20]))
async def test_they_agree_on_months_beside_budgets_and_credit(steps: list[tuple[Any, int]], gone: int) -> None:
    """What a capped or stepped event costs decides what may be spent, also if the month is older than the log."""
    log = log_of([(ReadBudgets("acme"), NOVEMBER), *steps])
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    found, _ = await check(log, list(rows_of(log)), firsts)
    assert found == []


@pytest.mark.parametrize(
    "rates",
    [
        Rates("1", "0", "0", cap="2.5"),
        Rates("0", "0", "0", tiers=(Tiers("event", (Step("2", "1"), Step(None, "0.25"))),)),
    ],
    ids=["cap", "steps"],
)
@pytest.mark.parametrize("limit", ["3", "2.2", None])
async def test_what_is_reserved_or_charged_in_a_month_older_than_the_log(rates: Rates, limit: str | None) -> None:
    """How much the month had counted is in the ledger alone: an estimate, an event and what they draw follow from it;
    a wrong draw is still a difference."""
    event = MeterEvent("agent", "chat", model="m")
    meter = Meter("acme", 1, [event], 10**12, 50, mode="live")
    hold = Reserve("acme", 1, DAY, 10**12, estimate=event, mode="live")
    made: list[Any] = [SetPrice("chat", rates), GrantCredit("acme", "50", "paid")]
    if limit is not None:
        made.append(CreateBudget("acme", "all", "total", limit, True))
    log = log_of([(step, 0) for step in [*made, meter, meter, hold, meter, hold, meter]])
    rows = list(rows_of(log))
    place = next(place for place, shard in enumerate(log.raw) if any(b'"meter"' in one.value for one in shard))
    first = next(one.offset for one in log.raw[place] if b'"meter"' in one.value)
    for gone in range(7):
        found, _ = await check(log, rows, {place: first + gone})
        assert found == []
    drawn = [number for number, row in enumerate(rows) if row["draws"]]
    rows[drawn[-1]] = {**rows[drawn[-1]], "draws": (), "credit_cents": Decimal(0)}
    found, _ = await check(log, rows, {place: first + 1})
    assert {difference.column for difference in found} >= {"draws", "credit_cents"}


async def test_a_key_that_is_older_than_the_log_may_repeat_or_conflict() -> None:
    """Keys of administrators are kept for ever, and the log is not."""
    first = GrantCredit("acme", "3", "a gift", idempotency_key="b1")
    past = replace(first, expires_at=1)
    log = log_of([(step, 0) for step in (first, first, replace(first, amount="5"), past)])
    assert [row["kind"] for row in rows_of(log)][-3:] == ["config", "rejected", "rejected"]
    partition = next(place for place, shard in enumerate(log.raw) if any(b"credit.grant" in one.value for one in shard))
    offset = next(one.offset for one in log.raw[partition] if b"credit.grant" in one.value)
    for gone in range(1, 4):
        found, _ = await check(log, list(rows_of(log)), {partition: offset + gone})
        assert found == []
