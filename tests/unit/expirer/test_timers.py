"""Timers against a naive model that keeps everything and looks at everything."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pytest import MonkeyPatch, raises

from expirer import timers
from expirer.timers import AGAIN, SLOWLY, Reminder, Timers
from schemas.ids import MAX_OFFSET, event_id

P = 3
NOW = 1_777_000_000_000
LIMIT = 1 << 30
places = st.tuples(st.integers(0, 30) | st.integers(MAX_OFFSET - 2, MAX_OFFSET), st.sampled_from([0, 1, 999]))
aheads = st.integers(-3000, 5000) | st.integers(0, 10 << timers.WIDTH) | st.just(30 * 86_400_000)


class Model(RuleBasedStateMachine):
    """What is taken is compared with what the rules say of everything that ever happened."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = MonkeyPatch()
        self.timers = Timers(P)
        self.now, self.tick, self.passed = NOW, 0, 0
        self.times: dict[int, int] = {}
        """expires_at of every id ever used: it never changes."""
        self.open: dict[int, str] = {}
        self.ended: set[int] = set()
        """What was open and has closed: it never opens again."""
        self.reminded: dict[int, tuple[int, int]] = {}
        """(offset, tick) of the last reminder."""
        self.ignored: dict[int, int] = {}
        self.next_offset = 100

    @initialize(slack=st.sampled_from([0, 50_000]), tired=st.sampled_from([1, 3]))
    def small(self, slack: int, tired: int) -> None:
        self.patch.setattr(timers, "SLACK", slack)
        self.patch.setattr(timers, "TIRED", tired)

    def teardown(self) -> None:
        self.patch.undo()

    @rule(place=places, customer=st.sampled_from(["acme", "beta", "ä"]), ahead=aheads)
    def opens(self, place: tuple[int, int], customer: str, ahead: int) -> None:
        key = event_id(P, *place)
        if key in self.ended:
            return
        due = self.times.setdefault(key, self.now + ahead)
        self.timers.opened(key, customer, due)
        self.open.setdefault(key, customer)

    @rule(place=places)
    def closes_anything(self, place: tuple[int, int]) -> None:
        self._close(event_id(P, *place))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def closes_an_open_one(self, data: st.DataObject) -> None:
        self._close(data.draw(st.sampled_from(sorted(self.open))))

    def _close(self, key: int) -> None:
        due = self.times[key] if key in self.reminded else None
        assert self.timers.closed(key) == due
        if self.open.pop(key, None) is not None:
            self.ended.add(key)
        self.reminded.pop(key, None)
        self.ignored.pop(key, None)

    @rule(by=st.integers(0, 5000) | st.integers(-2000, 86_400_000 * 31))
    def time_goes_on(self, by: int) -> None:
        self.now += by

    @rule(by=st.integers(0, 2 * AGAIN) | st.integers(0, 2 * SLOWLY))
    def clock_ticks(self, by: int) -> None:
        self.tick += by

    @rule()
    def shard_comes_to_the_end(self) -> None:
        self.passed = self.next_offset
        self.timers.passed(self.passed)

    @rule(stands=st.booleans())
    def everything_due_is_taken(self, stands: bool) -> None:
        wanted = self._due()
        repeated = [key for key in self.reminded if self._wants(key)]
        taken = self.timers.take(self.now, self.tick, LIMIT)
        assert sorted(one.event_id for one in taken) == sorted(wanted)
        assert all(self.open[one.event_id] == one.customer for one in taken)
        fresh = [self.times[one.event_id] for one in taken if one.event_id not in self.reminded]
        assert fresh == sorted(fresh)
        for key in repeated:
            if 0 <= self.reminded[key][0] < self.passed:
                self.ignored[key] = self.ignored.get(key, 0) + 1
            if self.times[key] > self.now:  # the clock was set back before its time: it waits once more
                self.reminded[key] = (-1, self.tick)
        for one in taken:
            offset = self.next_offset if stands else -1
            self.next_offset += stands
            self.timers.sent(one.event_id, offset, self.tick)
            self.reminded[one.event_id] = (offset, self.tick)

    def _due(self) -> list[int]:
        return [key for key in self.open if self.times[key] <= self.now and self._wants(key)]

    def _wants(self, key: int) -> bool:
        if key not in self.reminded:
            return True
        offset, at = self.reminded[key]
        since = self.tick - at
        if since >= SLOWLY:
            return True
        tired = offset >= 0 and self.ignored.get(key, 0) >= timers.TIRED
        return not tired and since >= AGAIN and offset < self.passed

    @invariant()
    def counts(self) -> None:
        assert self.timers.open == len(self.open)
        assert self.timers.due == len(self.reminded)
        assert self.timers.oldest() == min((self.times[key] for key in self.reminded), default=None)


Model.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestTimersAgainstModel = Model.TestCase


def _id(offset: int) -> int:
    return event_id(P, offset)


def test_no_more_than_the_limit_and_the_earliest_first() -> None:
    """What is due is given out in order of its time, a few at a time, whatever the order it came in."""
    kept = Timers(P)
    for offset in range(100):
        kept.opened(_id(offset), "acme", NOW - (offset * 37 % 100) * 50_000)
    taken: list[Reminder] = []
    while some := kept.take(NOW, 0, 7):
        assert len(some) <= 7
        taken += some
    assert [one.event_id for one in taken] == sorted(
        (_id(o) for o in range(100)), key=lambda i: NOW - ((i >> 16) * 37 % 100) * 50_000
    )


def test_never_early() -> None:
    """One millisecond before its time nothing is sent; at its time it is."""
    kept = Timers(P)
    kept.opened(_id(1), "acme", NOW)
    assert kept.take(NOW - 1, 0, LIMIT) == []
    assert kept.take(NOW, 0, LIMIT) == [Reminder(_id(1), "acme")]


def test_repeated_each_second_until_it_is_closed() -> None:
    """A reminder that the shard passed without closing the outcome is repeated after a second."""
    kept = Timers(P)
    kept.opened(_id(1), "acme", NOW)
    for number in range(5):
        assert kept.take(NOW, number * AGAIN, LIMIT) == [Reminder(_id(1), "acme")]
        kept.sent(_id(1), 50 + number, number * AGAIN)
        kept.passed(51 + number)
        assert kept.take(NOW, number * AGAIN + AGAIN - 1, LIMIT) == []
    assert kept.closed(_id(1)) == NOW
    assert kept.take(NOW, 100 * AGAIN, LIMIT) == []


def test_a_shard_that_stands_still_is_not_flooded() -> None:
    """While the shard has not come to the last reminder it is repeated each half minute only."""
    kept = Timers(P)
    kept.opened(_id(1), "acme", NOW)
    assert len(kept.take(NOW, 0, LIMIT)) == 1
    kept.sent(_id(1), 70, 0)
    kept.passed(70)
    assert kept.take(NOW, SLOWLY - 1, LIMIT) == []
    assert len(kept.take(NOW, SLOWLY, LIMIT)) == 1


def test_what_the_shard_ignores_again_and_again_is_repeated_slowly() -> None:
    """One that the pricer cannot close does not fill its log with refusals."""
    kept = Timers(P)
    kept.opened(_id(1), "acme", NOW)
    sent = []
    for tick in range(0, 600_000, 500):
        for one in kept.take(NOW, tick, LIMIT):
            kept.sent(one.event_id, len(sent), tick)
            sent.append(tick)
            kept.passed(len(sent))
    assert sent[: timers.TIRED] == list(range(0, timers.TIRED * AGAIN, AGAIN))
    assert len(sent) <= timers.TIRED + 600_000 / SLOWLY + 1


def test_a_reminder_that_may_be_lost_does_not_wait_for_the_shard() -> None:
    """One that was not acknowledged is sent again after a second, also behind one that the shard has to pass."""
    kept = Timers(P)
    for offset in (1, 2):
        kept.opened(_id(offset), "acme", NOW)
    assert len(kept.take(NOW, 0, LIMIT)) == 2
    kept.sent(_id(1), 70, 0)
    kept.sent(_id(2), -1, 0)
    assert kept.take(NOW, AGAIN, LIMIT) == [Reminder(_id(2), "acme")]


def test_closed_ones_are_forgotten_long_before_their_time() -> None:
    """What was closed does not stay in memory until its expires_at."""
    kept = Timers(P)
    for offset in range(4 * timers.SLACK):
        kept.opened(_id(offset), "acme", NOW + offset * 1000)
        kept.closed(_id(offset))
    for _ in range(100):
        kept.take(NOW - 1, 0, LIMIT)
    held = sum(map(len, kept._buckets.values())) + len(kept._near)
    assert held <= timers.SLACK + timers.STRIDE


def test_an_outcome_of_another_partition_is_refused() -> None:
    """It would never come due under its own id."""
    with raises(ValueError, match="not of partition 3"):
        Timers(P).opened(event_id(2, 7), "acme", NOW)
