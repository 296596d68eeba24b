"""The filter by which a plain event knows, without a look-up, that its customer has no budget and no credit."""

from hypothesis import given
from hypothesis import strategies as st

from pricer.memory import MemoryShard
from schemas import spending, state
from schemas.commands import CreateBudget, GrantCredit, InstallPrice, Meter, MeterEvent, Rates
from schemas.replies import RefusedReply
from schemas.topics import PRICE_KEY

customers = st.lists(st.tuples(st.sampled_from([f"c{number}" for number in range(40)]), st.booleans()))


@given(customers, st.sampled_from([None, state.SCOPED]))
def test_whoever_was_added_is_in_it(added: list[tuple[str, bool]], marks: bytes | None) -> None:
    for one in added:
        marks = spending.with_customer(marks, *one)
        assert spending.may_have(marks, *one) and state.LIMITED in marks
    if marks is not None:
        assert all(spending.may_have(marks, *one) for one in added)
        scoped = state.with_mark(marks, state.SCOPED)
        assert state.SCOPED in scoped and all(spending.may_have(scoped, *one) for one in added)
        assert len(added) > 0 or not spending.may_have(marks, "acme", False)


def test_few_others_are_in_it() -> None:
    marks = None
    for number in range(100):
        marks = spending.with_customer(marks, f"customer-{number}", False)
    assert marks is not None
    found = sum(spending.may_have(marks, f"other-{number}", False) for number in range(1000))
    assert 0 < found < 60
    assert marks.strip(b"".join(bytes([one]) for one in range(128, 256))) == state.LIMITED


def test_a_shard_from_before_the_filter_looks_for_everybody() -> None:
    """Its mark stands alone; it stays so, and its customers' budgets hold."""
    log = MemoryShard(1)
    log.append(PRICE_KEY, InstallPrice(1, 1, "*", Rates("1", "0", "0")))
    log.append(b"acme", CreateBudget("acme", "all", "total", "0", True))
    assert spending.may_have(log.shards[0]._state[state.PRICE_SCOPED], "acme", False)
    log.shards[0]._state[state.PRICE_SCOPED] = state.LIMITED
    event = Meter("acme", 1, [MeterEvent("a", "chat")], 1, 1)
    assert isinstance(log.append(b"acme", event).reply, RefusedReply)
    log.append(b"other", GrantCredit("other", "5", "why"))
    assert log.shards[0].get(state.PRICE_SCOPED) == state.LIMITED
    assert isinstance(log.append(b"acme", event).reply, RefusedReply)
