"""What timers make of the records of rev.state."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expirer.month_timers import MonthTimers
from expirer.state_reader import StateReader
from expirer.timers import Reminder, Timers
from expirer.unpriced_notices import UnpricedNotices
from expirer.worker import grant_expiry, reservation_expiry
from pricer.memory import MemoryShard
from schemas import ids, state
from schemas.commands import GrantCredit, Meter, MeterEvent, PriceRef, Rates, Reserve, SetPrice
from streams import position

NOW = 1_777_000_000_000
ID = ids.event_id(1, 77, 3)
KEY = state.outcome_key(ids.outcome_id(ID))


def opened(expires_at: int, customer: str = "acme") -> bytes:
    price = PriceRef(4, "email.sent", Rates("1", "0", "500"), 9)
    return state.encode(
        state.OpenOutcome(
            ID, customer, "a", "email.sent", expires_at, NOW - 5, price, price_on_success="500", voided=True
        )
    )


CLOSED = state.encode(state.ClosedOutcome("acme", "expired", "0", 99, NOW + 40, "task", True))


@given(st.text(min_size=1), st.integers(0, 2**43))
def test_an_open_outcome_of_the_pricer_is_a_timer(customer: str, expires_at: int) -> None:
    """What the pricer encodes is understood, whoever the customer is."""
    timers = Timers(1)
    reading = StateReader(timers, Timers(1), Timers(1), MonthTimers(), UnpricedNotices())
    reading.apply(KEY, opened(expires_at, customer), 5)
    assert timers.take(expires_at - 1, 0, 9) == [] and timers.take(expires_at, 0, 9) == [Reminder(ID, customer)]


@pytest.mark.parametrize("value", [CLOSED, None])
def test_a_closed_one_and_a_tombstone_are_none(value: bytes | None) -> None:
    """Whether it was known before or not, and if it comes twice."""
    timers = Timers(1)
    reading = StateReader(timers, Timers(1), Timers(1), MonthTimers(), UnpricedNotices())
    for each in (value, opened(NOW), value, value):
        reading.apply(KEY, each, 0)
    assert timers.open == 0 and timers.take(NOW, 0, 9) == []


def test_the_rest_of_the_state_is_none_of_ours() -> None:
    """Tasks, voids and whatever else is there are not even decoded."""
    timers = Timers(1)
    others = (
        state.task_key("acme", "t"),
        state.void_key(ID),
        state.PRICE_NUMBER,
    )
    for key in (*others, b"outcomes", b"", b"out"):
        StateReader(timers, Timers(1), Timers(1), MonthTimers(), UnpricedNotices()).apply(key, b"not json", 0)
    assert timers.open == 0


def test_the_shards_position_says_which_reminders_it_has_seen() -> None:
    """A reminder is repeated once the shard's position is behind it."""
    timers = Timers(1)
    reading = StateReader(timers, Timers(1), Timers(1), MonthTimers(), UnpricedNotices())
    reading.apply(KEY, opened(NOW), 0)
    assert len(timers.take(NOW, 0, 9)) == 1
    timers.sent(ID, 20, 0)
    reading.apply(position.KEY, position.encode(position.Position(20, NOW, "e")), 1)
    assert timers.take(NOW, 1000, 9) == []
    reading.apply(position.KEY, position.encode(position.Position(21, NOW, "e")), 2)
    assert len(timers.take(NOW, 1000, 9)) == 1


@pytest.mark.parametrize("value", [b"{", b'{"is":"open"}', b'{"is":"paused","customer_id":"a"}'])
def test_what_cannot_be_understood_is_not_passed_over(value: bytes) -> None:
    """The reader stands still there and says so."""
    with pytest.raises(msgspec.DecodeError):
        StateReader(Timers(1), Timers(1), Timers(1), MonthTimers(), UnpricedNotices()).apply(KEY, value, 0)


@pytest.mark.parametrize("test", [False, True])
def test_a_reservation_of_the_pricer_is_a_timer_until_it_ends(test: bool) -> None:
    """Its reminder is a command that ends it, in its own mode."""
    log = MemoryShard(1)
    log.now = NOW
    command = Reserve("acme", 1, 60_000, 10**9, amount="1", test=test, mode="test" if test else "live")
    made = log.append(b"acme", command)
    outcomes, reserved = Timers(0), Timers(0)
    reading = StateReader(outcomes, reserved, Timers(0), MonthTimers(), UnpricedNotices())
    for key, value in made.changes:
        reading.apply(key, value, 0)
    assert (outcomes.open, reserved.open) == (0, 1)
    assert reserved.take(NOW + 59_999, 0, 9) == []
    (due,) = reserved.take(NOW + 60_000, 0, 9)
    early = log.append(b"acme", reservation_expiry(due))
    assert early.entries is None
    log.now += 60_000
    ended = log.append(b"acme", reservation_expiry(due))
    assert ended.entries is not None and b'"reservation.expired"' in ended.entries
    for key, value in ended.changes:
        reading.apply(key, value, 0)
    assert reserved.open == 0 and log.append(b"acme", reservation_expiry(due)).entries is None


@pytest.mark.parametrize("test", [False, True])
def test_a_grant_that_expires_is_a_timer_until_its_expiry_is_recorded(test: bool) -> None:
    """One that never expires is none."""
    log = MemoryShard(1)
    log.now = NOW
    grants = Timers(0)
    reading = StateReader(Timers(0), Timers(0), grants, MonthTimers(), UnpricedNotices())
    for expires_at in (None, NOW + 5, NOW + 9):
        made = log.append(b"acme", GrantCredit("acme", "3", "why", expires_at, test=test))
        for key, value in made.changes:
            reading.apply(key, value, 0)
    assert grants.open == 2 and grants.take(NOW + 4, 0, 9) == []
    (due,) = grants.take(NOW + 5, 0, 9)
    assert log.append(b"acme", grant_expiry(due)).entries is None
    log.now += 5
    ended = log.append(b"acme", grant_expiry(due))
    assert ended.entries is not None and b'"credit.expired"' in ended.entries
    for key, value in ended.changes:
        reading.apply(key, value, 0)
    assert grants.open == 1 and log.append(b"acme", grant_expiry(due)).entries is None


def test_events_without_a_price_are_charged_when_their_price_comes() -> None:
    """Until the state has none left; what the pricer writes about events and prices is understood."""
    log = MemoryShard(1)
    log.now = NOW
    unpriced = UnpricedNotices()
    reading = StateReader(Timers(0), Timers(0), Timers(0), MonthTimers(), unpriced)

    def follow() -> None:
        state_now = dict(log.shards[0].scan(b""))
        for key in [*state_now, *followed]:
            reading.apply(key, state_now.get(key), 0)
        followed.update(state_now)

    followed: set[bytes] = set()
    events = [MeterEvent("bot", "chat", model="m"), MeterEvent("bot", "search")]
    log.append(b"acme", Meter("acme", 1, events, 1000, 1000, batch=True, unpriced="accept"))
    follow()
    assert (unpriced.waiting, unpriced.take(NOW, 0, 9)) == (2, [])
    log.append(b"_config", SetPrice("*", Rates("1", "0", "0"), model="m", effective_at=NOW + 5))
    follow()
    assert unpriced.take(NOW + 4, 1000, 9) == []
    log.now = NOW + 5
    ((_, command),) = unpriced.take(NOW + 5, 2000, 9)
    assert log.append(b"acme", command).entries is not None
    follow()
    assert unpriced.waiting == 1
