"""The gateway's estimate of a shard's lag, by a clock that the test moves."""

from ingest.shedding import BUCKET, MAX_BUCKETS, ShardLoad, Shedder


class Bench:
    """A shedder, its clock and the positions it is told."""

    def __init__(self) -> None:
        self.now = 50.0
        self.positions: dict[int, int] = {}
        self.shedder = Shedder(lambda: self.now, self.positions)
        self.offset = 0

    def append(self, customer: str = "a", events: int = 1) -> None:
        self.shedder.appended(0, self.offset, customer, events)
        self.offset += 1

    def steadily(self, seconds: float, customer: str = "a", events: int = 1) -> None:
        """An append every 0.25 s."""
        for _ in range(int(seconds * 4)):
            self.append(customer, events)
            self.now += 0.25


def test_lag_is_the_age_of_the_oldest_append_that_the_shard_has_not_read() -> None:
    """It falls to the next oldest as the position passes, and to 0 at the end."""
    bench = Bench()
    bench.append()
    bench.now += 0.5
    bench.append()
    bench.now += 0.5
    assert bench.shedder.lag(0) == 1.0
    bench.positions[0] = 1
    assert bench.shedder.lag(0) == 0.5
    bench.positions[0] = 2
    assert bench.shedder.lag(0) == 0.0
    assert bench.shedder.lags() == {0: 0.0}


def test_an_append_that_the_shard_has_read_already_is_not_kept() -> None:
    """The answer can overtake the acknowledgement."""
    bench = Bench()
    bench.positions[0] = 10
    bench.append()
    bench.now += 0.9
    assert bench.shedder.lag(0) == 0.0


def test_over_a_second_nobody_is_waited_for_over_ten_the_heaviest_is_refused() -> None:
    """A customer with less than the average, or none unanswered, is still accepted."""
    bench = Bench()
    assert bench.shedder.decide(0, "a") is ShardLoad.ANSWER
    bench.append("small")
    bench.steadily(1.5, "big", 50)
    assert bench.shedder.decide(0, "big") is ShardLoad.ACCEPT
    bench.steadily(9, "big", 50)
    assert bench.shedder.decide(0, "big") is ShardLoad.REFUSE
    assert bench.shedder.decide(0, "small") is ShardLoad.ACCEPT
    assert bench.shedder.decide(0, "new") is ShardLoad.ACCEPT
    assert bench.shedder.decide(1, "big") is ShardLoad.ANSWER
    bench.positions[0] = bench.offset
    assert bench.shedder.decide(0, "big") is ShardLoad.ANSWER


def test_a_lost_answer_refuses_nobody_for_ever() -> None:
    """A refusing shard lets one in after half a second, and after a second of silence it is new."""
    bench = Bench()
    bench.steadily(12)
    assert bench.shedder.decide(0, "a") is ShardLoad.REFUSE
    bench.now += 0.3
    assert bench.shedder.decide(0, "a") is ShardLoad.ACCEPT
    bench.now += 1
    assert bench.shedder.decide(0, "a") is ShardLoad.ANSWER


def test_memory_is_bounded_however_long_the_shard_stands_still() -> None:
    """Beyond the bound appends join the last bucket and the oldest still counts."""
    bench = Bench()
    for _ in range(MAX_BUCKETS + 100):
        bench.append()
        bench.now += 2 * BUCKET
    assert len(bench.shedder._shards[0].buckets) == MAX_BUCKETS
    assert bench.shedder.lag(0) > MAX_BUCKETS * BUCKET
    bench.positions[0] = bench.offset
    assert bench.shedder.lag(0) == 0.0 and not bench.shedder._shards[0].unanswered


def test_who_waits_for_nothing_asks_once_in_a_while() -> None:
    """One question a bucket is enough to learn the position."""
    bench = Bench()
    assert bench.shedder.due(0)
    bench.append()
    assert not bench.shedder.due(0)
    bench.now += 2 * BUCKET
    assert bench.shedder.due(0)
