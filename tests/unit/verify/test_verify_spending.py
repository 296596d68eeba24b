"""Budgets and prepaid credit on random logs: the real pricer's ledger agrees with a model that knows nothing of it."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pricer import memory
from schemas import commands
from schemas.commands import CreateBudget, DeleteBudget, GrantCredit, ReadBalance, ReadBudgets, Scope
from schemas.limits import DAY
from tests.unit.verify.pricer_ledger import check, rows_of
from tests.unit.verify.test_verify_pricer import METER, OUTCOME, PENDING, Step, written

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
)


class Removal(NamedTuple):
    """The deletion of a budget that was made before, or of none."""

    budget: int


SPENDING = st.one_of(
    BUDGET,
    GRANT,
    GRANT,
    BUDGET,
    st.builds(ReadBalance, CUSTOMER, st.sampled_from(["live", "test"])),
    st.builds(Removal, st.integers(0, 12)),
    st.builds(ReadBudgets, CUSTOMER, amount=st.sampled_from([None, "1"])),
)
COVERED = st.builds(lambda command: replace(command, on_empty="refuse"), METER)
"""Events of a customer whose credit must cover them."""
STEPS = st.lists(
    st.tuples(
        st.one_of(SPENDING, METER, COVERED, PENDING, OUTCOME),
        st.sampled_from([0, 0, 0, 1, 400, DAY // 2, DAY, 20 * DAY]),
    ),
    max_size=40,
)


def log_of(steps: list[tuple[Step | Removal, int]]) -> memory.MemoryShard:
    """The log that the steps leave."""
    return written(steps, removed)


def removed(step: Removal, log: memory.MemoryShard) -> commands.Command:
    """A removal as the command that it is for this log."""
    made = [row for row in rows_of(log) if row["config_type"] == "budget.created"]
    if not made:
        return DeleteBudget("acme", 7)
    row = made[step.budget % len(made)]
    return DeleteBudget("acme" if step.budget > 9 else row["customer_id"], row["event_id"])


@settings(deadline=None, max_examples=200)
@given(STEPS)
async def test_the_pricer_and_the_model_agree_on_budgets(steps: list[tuple[Step | Removal, int]]) -> None:
    """Every refusal, notice and amount spent of a random log is what the model says."""
    log = log_of(steps)
    found, _ = await check(log, list(rows_of(log)))
    assert found == []


@settings(deadline=None, max_examples=200)
@given(STEPS, st.integers(0, 30))
async def test_they_agree_when_the_budgets_are_older_than_the_log(
    steps: list[tuple[Step | Removal, int]], gone: int
) -> None:
    log = log_of(steps)
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    found, _ = await check(log, list(rows_of(log)), firsts)
    assert found == []
