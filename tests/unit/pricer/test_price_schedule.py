"""Prices with a start in the future: the log's accepted times alone decide from when they apply."""

import json
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.config_view import ConfigView
from pricer.memory import MemoryShard
from pricer.price_changes import MAX_AHEAD
from schemas import entries
from schemas.commands import DeletePrice, Meter, MeterEvent, Rates, SetPrice
from schemas.price_schedule import MAX_SCHEDULED
from schemas.replies import ConfiguredReply, RefusedReply

PARTITIONS = 4
CUSTOMERS = ("acme", "globex", "hooli")


def configure(log: MemoryShard, command: SetPrice | DeletePrice) -> ConfiguredReply | RefusedReply:
    reply = log.append(b"_config", command).reply
    assert isinstance(reply, ConfiguredReply | RefusedReply)
    return reply


def rates(cents: int) -> Rates:
    return Rates(str(cents), "0", "0")


def charge(log: MemoryShard, customer: str) -> str | None:
    """What an event costs now; None if it has no price."""
    decision = log.append(customer.encode(), Meter(customer, 1, [MeterEvent("a", "chat")], 1000, 1000))
    assert decision.entries is not None
    (entry,) = entries.decode(decision.entries).entries
    return entry.total if entry.kind == "event" else None


def view_of(log: MemoryShard) -> ConfigView:
    view = ConfigView()
    for offset, (key, value) in enumerate(log.view.items()):
        view.apply(key, value, offset)
    return view


def test_a_scheduled_price_takes_over_at_its_start_on_every_shard() -> None:
    """One command, before; at the first ms of its start every customer pays the new price."""
    log = MemoryShard(PARTITIONS)
    configure(log, SetPrice("chat", rates(1)))
    configure(log, SetPrice("chat", rates(2), effective_at=100))
    configure(log, SetPrice("chat", rates(3), effective_at=50))
    for now, cents in ((0, "1"), (49, "1"), (50, "3"), (99, "3"), (100, "2"), (5000, "2")):
        log.now = now
        assert {charge(log, f"c{number}") for number in range(9)} == {cents}


def test_a_scope_may_have_a_scheduled_price_alone() -> None:
    """Before its start there is no price, or the next more general one."""
    log = MemoryShard(PARTITIONS)
    configure(log, SetPrice("chat", rates(5), "acme", effective_at=10))
    assert charge(log, "acme") is None
    configure(log, SetPrice("*", rates(1)))
    assert charge(log, "acme") == "1"
    log.now = 10
    assert charge(log, "acme") == "5"


def test_a_price_set_at_once_leaves_the_scheduled_ones() -> None:
    """It ends what is in force now, and is replaced in its turn."""
    log = MemoryShard(PARTITIONS)
    configure(log, SetPrice("chat", rates(1)))
    configure(log, SetPrice("chat", rates(2), effective_at=100))
    log.now = 20
    configure(log, SetPrice("chat", rates(9)))
    assert charge(log, "acme") == "9"
    log.now = 100
    assert charge(log, "acme") == "2"
    configure(log, SetPrice("chat", rates(4)))
    assert charge(log, "acme") == "4"
    ended = [(row["id"], row["ended_at"]) for row in map(json.loads, log.view.values()) if "ended_at" in row]
    assert sorted(ended) == [(1, 20), (2, 100), (3, 100)]


def test_a_scheduled_price_can_be_deleted_before_its_start() -> None:
    """The one in force stays, with the address of its own record; the deleted one never applies."""
    log = MemoryShard(PARTITIONS)
    configure(log, SetPrice("chat", rates(1)))
    configure(log, SetPrice("chat", rates(2), effective_at=100))
    assert configure(log, DeletePrice(2)).status == 200
    log.now = 100
    decision = log.append(b"acme", Meter("acme", 1, [MeterEvent("a", "chat")], 1000, 1000))
    assert decision.entries is not None
    (price,) = entries.decode(decision.entries).prices
    first = next(record for record in log.raw[0] if record.key == b"_price")
    assert (price.id, price.offset) == (1, first.offset)
    assert "effective_at" in json.loads(log.view[b"price/2"])


def test_deleting_the_price_in_force_leaves_the_scheduled_one() -> None:
    """There is no price until its start."""
    log = MemoryShard(PARTITIONS)
    configure(log, SetPrice("chat", rates(1)))
    configure(log, SetPrice("chat", rates(2), effective_at=100))
    configure(log, DeletePrice(1))
    assert charge(log, "acme") is None
    log.now = 100
    assert charge(log, "acme") == "2"
    configure(log, DeletePrice(2))
    assert charge(log, "acme") is None


@pytest.mark.parametrize(
    "at, status, says",
    [
        (1000, 400, "effective_at must be in the future"),
        (999, 400, "effective_at must be in the future"),
        (1000 + MAX_AHEAD + 1, 400, "effective_at must be at most 3660 days in the future"),
        (1500, 409, "effective_at must differ from that of price 2 of the same scope"),
    ],
)
def test_a_start_that_cannot_be_is_refused(at: int, status: int, says: str) -> None:
    """Nothing changes, and no id is used up."""
    log = MemoryShard(PARTITIONS)
    log.now = 1000
    configure(log, SetPrice("chat", rates(1)))
    configure(log, SetPrice("chat", rates(2), effective_at=1500))
    before = dict(log.view)
    refused = configure(log, SetPrice("chat", rates(3), effective_at=at))
    assert isinstance(refused, RefusedReply)
    assert refused.status == status and refused.error.startswith(says)
    assert log.view == before
    assert configure(log, SetPrice("chat", rates(3), "acme", effective_at=1500)).status == 201


def test_a_scope_has_a_bounded_number_of_scheduled_prices() -> None:
    """One more is a 409."""
    log = MemoryShard(PARTITIONS)
    for number in range(MAX_SCHEDULED):
        assert configure(log, SetPrice("chat", rates(1), effective_at=10 + number)).status == 201
    assert configure(log, SetPrice("chat", rates(1), effective_at=9)).status == 409
    log.now = 10
    assert configure(log, SetPrice("chat", rates(1), effective_at=900)).status == 201


class Change(NamedTuple):
    """A change of a price: to ``cents``, from ``ahead`` ms on (0: at once), or the end of the price ``id``."""

    after: int
    customer: str | None
    cents: int
    ahead: int
    id: int | None = None


@dataclass
class Known:
    """A price as a plain list keeps it, with its end."""

    customer: str | None
    cents: int
    start: int
    end: int | None = None

    def holds(self, now: int) -> bool:
        return self.end is None and self.start <= now


CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from([0, 1, 7, 30]),
        st.sampled_from([None, *CUSTOMERS[:2]]),
        st.integers(1, 99),
        st.sampled_from([0, 0, 1, 5, 40, 41]),
        st.none() | st.none() | st.integers(1, 9),
    ),
    max_size=14,
)


@settings(deadline=None)
@given(CHANGES)
def test_shards_and_view_agree_with_a_list_of_intervals(changes: list[Change]) -> None:
    """At every time, what an event costs and what the gateway shows is what a plain list of prices says."""
    log = MemoryShard(PARTITIONS)
    known: list[Known] = []
    for change in changes:
        log.now += change.after
        _follow(known, log.now)
        assert _made(log, change) == _expected(known, change, log.now)
        _follow(known, log.now)
        for customer in CUSTOMERS:
            assert charge(log, customer) == _wanted(known, customer, log.now)
    view = view_of(log)
    for later in (0, 1, 5, 39, 40, 41, 100):
        log.now += later
        _follow(known, log.now)
        for customer in CUSTOMERS:
            wanted = _wanted(known, customer, log.now)
            assert charge(log, customer) == wanted
            shown = view.price_for(log.now, customer, "chat")
            assert (shown and shown.rates.base) == wanted
        past = {price.id for price in view.known_prices(log.now) if not price.is_active}
        assert past == {number for number, row in enumerate(known, 1) if row.end is not None}


def _made(log: MemoryShard, change: Change) -> int:
    if change.id is not None:
        return configure(log, DeletePrice(change.id)).status
    at = log.now + change.ahead if change.ahead else None
    return configure(log, SetPrice("chat", rates(change.cents), change.customer, effective_at=at)).status


def _expected(known: list[Known], change: Change, now: int) -> int:
    """Make a change in the list and return the status that it must have."""
    if change.id is not None:
        if change.id > len(known):
            return 404
        row = known[change.id - 1]
        row.end = now if row.end is None else row.end
        return 200
    same = [row for row in known if row.customer == change.customer and row.end is None]
    start = now + change.ahead
    if change.ahead and any(row.start == start for row in same):
        return 409
    for row in same:
        if not change.ahead and row.start <= now:
            row.end = now
    known.append(Known(change.customer, change.cents, start))
    return 201


def _follow(known: list[Known], now: int) -> None:
    """End every row that a later one of the same customer has followed."""
    for customer in (None, *CUSTOMERS):
        started = [row for row in known if row.customer == customer and row.holds(now)]
        for row in sorted(started, key=lambda row: row.start)[:-1]:
            row.end = now


def _wanted(known: list[Known], customer: str, now: int) -> str | None:
    held = {row.customer: str(row.cents) for row in known if row.holds(now)}
    return held.get(customer, held.get(None))
