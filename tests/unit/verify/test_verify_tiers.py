"""Steps of the month: the model of verify against the real pricer, and what it finds wrong."""

from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pricer.memory import MemoryShard
from schemas.commands import DeletePrice, Meter, MeterEvent, Rates, SetPrice
from schemas.tiers import Step, Tiers
from tests.unit.verify.pricer_ledger import check, rows_of, void_of

DAY = 86_400_000
TIERS = (
    Tiers("event", (Step("3", "5"), Step("5", "250", 1000), Step(None, "0"))),
    Tiers("images", (Step("2.5", "0"), Step("6", "2"), Step(None, "0.5"))),
    Tiers("input", (Step("1000", "300", 1_000_000), Step(None, "200", 1_000_000))),
)
OTHERS = (Tiers("input", (Step("500", "1"), Step(None, "2"))),)


class Used(NamedTuple):
    """A command of events (input tokens and images), after so many ms; ``void`` takes one back, ``price`` sets one."""

    after: int
    events: list[tuple[int, str]]
    customer: str
    test: bool
    key: str | None
    void: bool
    price: SetPrice | DeletePrice | None


PRICES = st.one_of(
    st.builds(
        SetPrice,
        st.sampled_from(["chat", "*"]),
        st.sampled_from([Rates("0", "0.0001", "1", tiers=TIERS), Rates("2", "0", "0", (), True, OTHERS)]),
        st.sampled_from([None, "acme"]),
        effective_at=st.sampled_from([None, None, 40 * DAY]),
    ),
    st.builds(DeletePrice, st.integers(1, 4)),
)
LOGS = st.lists(
    st.builds(
        Used,
        st.sampled_from([0, 1, 2 * DAY, 2 * DAY, 20 * DAY]),
        st.lists(
            st.tuples(st.sampled_from([0, 1, 400, 700, 1500]), st.sampled_from(["0", "0.5", "1", "7"])),
            min_size=1,
            max_size=5,
        ),
        st.sampled_from(["acme", "acme", "globex"]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([None, None, "k1"]),
        st.sampled_from([False, False, False, True]),
        st.one_of(st.none(), st.none(), st.none(), PRICES),
    ),
    min_size=2,
    max_size=14,
)


def written(steps: list[Used]) -> MemoryShard:
    """The log of these steps, after a price with steps for everyone."""
    log = MemoryShard(2, retention=10**12)
    log.now = DAY
    log.append(b"_config", SetPrice("chat", Rates("0", "0.0001", "1", tiers=TIERS)))
    for step in steps:
        log.now += step.after
        if step.price is not None:
            log.append(b"_config", step.price)
        events = [
            MeterEvent("a", "chat", tokens, tokens, 0, quantities={"images": images}) for tokens, images in step.events
        ]
        events[0] = MeterEvent("a", "chat", *([events[0].tokens] * 2), 0, idempotency_key=step.key)
        mode: Any = "test" if step.test else "live"
        many = len(events) > 1
        log.append(step.customer.encode(), Meter(step.customer, 1, events, 10**12, 50, many, step.test, mode))
        rows = [row for row in rows_of(log) if row["kind"] == "event"]
        if step.void and rows:
            void = void_of(rows[-1])
            log.append(void.customer_id.encode(), void)
    return log


@settings(deadline=None, max_examples=40)
@given(LOGS)
async def test_the_pricer_and_the_model_agree_on_every_step(steps: list[Used]) -> None:
    """Amounts, lines and bases over months, modes, batches, repeats, voids, and changes of the price."""
    log = written(steps)
    found, _ = await check(log, list(rows_of(log)))
    assert found == []


@settings(deadline=None, max_examples=40)
@given(LOGS, st.integers(0, 14))
async def test_they_agree_when_the_log_no_longer_holds_the_beginning(steps: list[Used], gone: int) -> None:
    """In the month in which the log begins, a row need only agree with itself; after that the counts are known."""
    log = written(steps)
    firsts = {partition: min(gone, len(shard)) for partition, shard in enumerate(log.raw)}
    found, _ = await check(log, list(rows_of(log)), firsts)
    assert found == []


def _month() -> MemoryShard:
    day = Used(DAY, [(700, "1")] * 3, "acme", False, None, False, None)
    return written([day, day, day._replace(after=40 * DAY)])


async def test_an_event_charged_at_the_wrong_step_is_found() -> None:
    """The columns that are wrong, each with what they must be."""
    log = _month()
    rows = list(rows_of(log))
    second = next(row for row in rows if row["kind"] == "event" and len(row["lines"]) > 2)
    name, quantity, rate, per, _ = next(line for line in second["lines"] if line[0] == "input")
    cents = Decimal(700) * rate / per
    second["lines"] = ((name, Decimal(700), rate, per, cents), *second["lines"][2:])
    found, _ = await check(log, rows)
    assert quantity != 700 and {difference.column for difference in found} == {"lines"}


async def test_a_row_older_than_the_log_must_agree_with_itself() -> None:
    """A part that does not cost its rate, and parts that are not the quantity."""
    for change in ((0, Decimal("0.5")), (Decimal(1), Decimal(0))):
        log = _month()
        rows = list(rows_of(log))
        wrong = next(row for row in rows if row["kind"] == "event" and len(row["lines"]) > 2)
        name, quantity, rate, per, cents = wrong["lines"][0]
        wrong["lines"] = ((name, quantity + change[0], rate, per, cents + change[1]), *wrong["lines"][1:])
        firsts = {partition: len(shard) for partition, shard in enumerate(log.raw)}
        found, _ = await check(log, rows, firsts)
        assert {difference.event_id for difference in found} == {wrong["event_id"]}
