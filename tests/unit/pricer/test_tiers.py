"""Graduated prices: the pricer against a Decimal model written apart, over months, modes, batches, retries, voids."""

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricer.memory import MemoryShard
from schemas import entries
from schemas.commands import DeletePrice, Meter, MeterEvent, Rates, SetPrice, Void
from schemas.entries import Entry
from schemas.ids import event_id
from schemas.money import MoneyError
from schemas.quantities import Line, QuantityRate
from schemas.rate_rules import canonical_rates
from schemas.tiers import Step, Tiers
from tests.unit.pricer.tier_model import Part, TierModel

NOVEMBER, DECEMBER = 1_793_491_200_000, 1_796_083_200_000
"""The first ms of both months of 2026, UTC."""
TIERS = (
    Tiers("event", (Step("2", "5"), Step(None, "3"))),
    Tiers("images", (Step("1.5", "0"), Step("4", "2"), Step(None, "0.5"))),
    Tiers("input", (Step("1000", "300", 1_000_000), Step(None, "200", 1_000_000))),
)
RATES = Rates("0", "0.0004", "0", tiers=TIERS)
MODEL = {
    "event": [(Decimal(2), Decimal(5)), (None, Decimal(3))],
    "images": [(Decimal("1.5"), Decimal(0)), (Decimal(4), Decimal(2)), (None, Decimal("0.5"))],
    "input": [(Decimal(1000), Decimal("0.0003")), (None, Decimal("0.0002"))],
}


def priced(log: MemoryShard, rates: Rates = RATES, **slot: Any) -> None:
    log.append(b"_config", SetPrice("chat", rates, **slot))


def meter(log: MemoryShard, *events: MeterEvent, customer: str = "acme", test: bool = False) -> list[Entry]:
    """The entries of one command of events."""
    command = Meter(customer, 1, list(events), 10**11, 1000, len(events) > 1, test, "test" if test else "live")
    decision = log.append(customer.encode(), command)
    return [] if decision.entries is None else entries.decode(decision.entries).entries


def event(input: int | None = None, images: str | None = None, plain: int = 0, key: str | None = None) -> MeterEvent:
    """An event of input tokens, or else of plain ones."""
    quantities = {} if images is None else {"images": images}
    tokens = plain if input is None else input
    return MeterEvent("a", "chat", tokens, input, None, idempotency_key=key, quantities=quantities)


def test_an_event_that_crosses_a_step_is_split_exactly() -> None:
    """Both parts are lines at their own rates, and the next event goes on at the second."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log)
    (first,) = meter(log, event(900, "1"))
    assert first.lines == (Line("input", "900", "300", 10**6, "0.27"), Line("images", "1", "0", 1, "0"))
    (second,) = meter(log, event(300, "5"))
    assert second.lines == (
        Line("input", "100", "300", 10**6, "0.03"),
        Line("input", "200", "200", 10**6, "0.04"),
        Line("images", "0.5", "0", 1, "0"),
        Line("images", "2.5", "2", 1, "5"),
        Line("images", "2", "0.5", 1, "1"),
    )
    assert (second.base, second.token, second.quantity, second.total) == ("5", "0.07", "6", "11.07")
    (third,) = meter(log, event(1))
    assert third.lines == (Line("input", "1", "200", 10**6, "0.0002"),)
    assert third.base == "3"


def test_the_entry_names_the_rates_that_it_was_charged_at() -> None:
    """Its price record has the base of the event's step and no steps; a batch over a step holds both."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log)
    decision = log.append(b"acme", Meter("acme", 1, [event(plain=1)] * 3, 1000, 1000, True))
    assert decision.entries is not None
    record = entries.decode(decision.entries)
    assert [record.prices[entry.price].rates for entry in record.entries] == [
        Rates("5", "0.0004", "0"),
        Rates("5", "0.0004", "0"),
        Rates("3", "0.0004", "0"),
    ]
    assert b"tiers" not in decision.entries


def test_every_calendar_month_and_mode_counts_for_itself() -> None:
    """The last ms of a month and the first of the next; test events leave the live count alone."""
    log = MemoryShard(1)
    priced(log)
    log.now = DECEMBER - 1
    assert [entry.base for entry in meter(log, *[event()] * 3)] == ["5", "5", "3"]
    assert meter(log, event(), test=True)[0].base == "5"
    assert meter(log, event(), customer="globex")[0].base == "5"
    log.now = DECEMBER
    assert meter(log, event())[0].base == "5"


def test_a_new_price_of_the_slot_goes_on_with_the_count() -> None:
    """So a scheduled change of the rates in the middle of a month starts nobody again; another slot counts apart."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log)
    meter(log, event(1200))
    priced(log, Rates("1", "0", "0", tiers=(Tiers("input", (Step("2000", "1"), Step(None, "7"))),)))
    assert [line.quantity for line in meter(log, event(1000))[0].lines] == ["800", "200"]
    priced(log, customer_id="acme")
    assert [line.quantity for line in meter(log, event(1001))[0].lines] == ["1000", "1"]
    log.append(b"_config", DeletePrice(3))
    assert [line.rate for line in meter(log, event(1000))[0].lines] == ["7"]


def test_what_is_refused_or_repeated_is_not_counted() -> None:
    """A refused batch leaves the count as it was; a repeat is answered with the first receipt."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log)
    assert {entry.kind for entry in meter(log, event(900), event(900, "1e"[:1], key="k"), MeterEvent("a", "nope"))} == {
        "rejected"
    }
    before = dict(log.shards[0].scan(b"count/"))
    assert before == {}
    meter(log, event(900, key="k"))
    counted = dict(log.shards[0].scan(b"count/"))
    assert meter(log, event(900, key="k")) == []
    assert dict(log.shards[0].scan(b"count/")) == counted


def test_a_part_that_needs_more_than_12_decimals_is_refused() -> None:
    """Rev refuses rather than rounds, and counts nothing."""
    log = MemoryShard(1)
    priced(log, Rates("0", "0", "0", tiers=(Tiers("images", (Step("0.5", "0.0000001"), Step(None, "0"))),)))
    (refused,) = meter(log, event(images="0.000001"))
    assert refused.kind == "rejected" and "at most 12 decimals" in str(refused.reason)
    assert not dict(log.shards[0].scan(b"count/"))


STEPS = (Step("10", "1"), Step(None, "0"))


@pytest.mark.parametrize(
    "tiers, says",
    [
        (Tiers("x", ()), r"tiers\.x must have 1 to 32 steps"),
        (Tiers("x", (Step("1", "1"),) * 33), r"tiers\.x must have 1 to 32 steps"),
        (Tiers("x", (Step("10", "1"),)), r"tiers\.x must end with a step whose up_to is null"),
        (Tiers("x", (Step("10", "1"), Step("10", "1"), Step(None, "1"))), r"tiers\.x\[1\]\.up_to must be above 10"),
        (Tiers("x", (Step("0", "1"), Step(None, "1"))), r"tiers\.x\[0\]\.up_to must be above 0"),
        (Tiers("x", (Step(None, "1"), Step(None, "1"))), r"tiers\.x\[0\]\.up_to must be a number"),
        (Tiers("x", (Step("0.0000001", "1"), Step(None, "1"))), r"tiers\.x\[0\]\.up_to must be a number from 0"),
        (Tiers("input", (Step("0.5", "1"), Step(None, "1"))), r"tiers\.input\[0\]\.up_to must be an integer"),
        (Tiers("event", (Step("0.5", "1"), Step(None, "1"))), r"tiers\.event\[0\]\.up_to must be an integer"),
        (Tiers("x", (Step(None, "1", 3),)), r"tiers\.x\[0\] must have at most 12 decimals for one unit"),
        (Tiers("x", (Step(None, "1", 0),)), r"tiers\.x\[0\]\.per must be from 1"),
        (Tiers("x", (Step(None, "-1"),)), r"tiers\.x\[0\] must be from 0"),
        (Tiers("x", (Step(None, "a"),)), r"tiers\.x\[0\]: 'a' is not an amount"),
        (Tiers("X", STEPS), r"tiers\.X must have a name"),
        (Tiers("tokens", STEPS), r"tiers\.tokens has a reserved name"),
        (Tiers("images", STEPS), r"tiers\.images must not be given together with rates\.images"),
        (Tiers("event", STEPS), r"tiers\.event must not be given together with base_rate_cents"),
    ],
)
def test_steps_that_cannot_be_are_refused(tiers: Tiers, says: str) -> None:
    """The message names the quantity, the step and the field."""
    with pytest.raises(MoneyError, match=says):
        canonical_rates(Rates("1", "0", "0", (QuantityRate("images", "1"),), tiers=(tiers,)))


class Metered(NamedTuple):
    """A command: its events as (input, images, plain tokens, key), how long after the one before, and what follows."""

    events: list[tuple[int | None, str | None, int, str | None]]
    after: int
    customer: str
    test: bool
    void: bool
    """The first event of the command is voided at once."""


DAYS = 86_400_000
EVENTS = st.tuples(
    st.sampled_from([None, 0, 1, 400, 999, 1000, 5000]),
    st.sampled_from([None, "0", "0.25", "1.5", "2.5", "7"]),
    st.sampled_from([0, 17]),
    st.sampled_from([None, None, "k1", "k2"]),
)
COMMANDS = st.lists(
    st.builds(
        Metered,
        st.lists(EVENTS, min_size=1, max_size=4),
        st.sampled_from([0, 1, 12 * DAYS, 31 * DAYS]),
        st.sampled_from(["acme", "globex"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(COMMANDS)
def test_the_pricer_charges_what_a_decimal_model_says(commands: list[Metered]) -> None:
    """Amount and lines of every event; a refused command is counted nowhere, a void changes no later price."""
    log = MemoryShard(2, retention=10**11)
    log.now = DECEMBER - 20 * DAYS
    priced(log)
    model = TierModel(MODEL, Decimal("0.0004"))
    keys: dict[tuple[str, bool, str], MeterEvent] = {}
    for command in commands:
        log.now += command.after
        sent = [event(*one) for one in command.events]
        new: list[MeterEvent] = []
        seen = dict(keys)
        conflict = False
        for one in sent:
            address = (command.customer, command.test, one.idempotency_key or "")
            if one.idempotency_key is None or address not in seen:
                new.append(one)
                if one.idempotency_key is not None:
                    seen[address] = one
            else:
                conflict = conflict or seen[address] != one
        made = meter(log, *sent, customer=command.customer, test=command.test)
        if conflict:
            assert {entry.kind for entry in made} == {"rejected"}
            continue
        keys = seen
        assert [entry.event for entry in made] == new
        for entry, one in zip(made, new, strict=True):
            counts = {} if one.tokens_input is None else {"input": Decimal(one.tokens_input)}
            counts |= {name: Decimal(text) for name, text in one.quantities.items()}
            plain = one.tokens if one.tokens_input is None else 0
            cost, parts = model.charge(log.now, command.customer, command.test, counts, plain)
            assert Decimal(entry.total) == cost
            lines = [line for line in entry.lines if line.component != "tokens"]
            assert [Part(one.component, Decimal(one.quantity), Decimal(one.rate) / one.per) for one in lines] == parts
            assert sum(Decimal(line.cents) for line in lines) + plain * Decimal("0.0004") == cost - Decimal(entry.base)
        if command.void and made:
            _void(log, command, made[0])
    _decided_again(log)


def _void(log: MemoryShard, command: Metered, entry: Entry) -> None:
    partition = next(p for p, shard in enumerate(log.raw) if shard and shard[-1].key == command.customer.encode())
    assert entry.event is not None
    void = Void(
        customer_id=command.customer,
        event_id=event_id(partition, log.raw[partition][-1].offset, entry.index),
        event=entry.event,
        base=entry.base,
        token=entry.token,
        bonus=entry.bonus,
        total=entry.total,
        reason="mistake",
        test=command.test,
        quantity=entry.quantity,
        lines=entry.lines,
    )
    before = dict(log.shards[partition].scan(b"count/"))
    written = log.append(command.customer.encode(), void).entries
    assert written is not None
    (taken,) = entries.decode(written).entries
    assert (taken.kind, Decimal(taken.total)) == ("void", -Decimal(entry.total))
    assert dict(log.shards[partition].scan(b"count/")) == before


def _decided_again(log: MemoryShard) -> None:
    """The log alone gives the same entries and the same state."""
    again = MemoryShard(len(log.raw), retention=10**11)
    for shard in log.raw:
        for record in shard:
            again.decide(record)
    assert [[one.value for one in shard] for shard in again.entries] == [
        [one.value for one in shard] for shard in log.entries
    ]
    for one, other in zip(again.shards, log.shards, strict=True):
        assert dict(one.scan(b"count/")) == dict(other.scan(b"count/"))


def test_a_price_without_steps_is_stored_as_before() -> None:
    """Nothing of steps or dates in its bytes, and no count in the state."""
    assert msgspec.json.encode(Rates("1", "0", "0")) == b'{"base":"1","token":"0","bonus":"0"}'
    log = MemoryShard(1)
    priced(log, Rates("1", "0", "0"))
    meter(log, event(5))
    assert not dict(log.shards[0].scan(b"count/"))
    assert all(b"tiers" not in value and b"later" not in value for _, value in log.shards[0].scan(b""))
