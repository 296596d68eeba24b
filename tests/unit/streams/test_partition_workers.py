"""One supervised worker a partition: kept, made anew, ended for good, let go."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import REGISTRY

from streams.partition_workers import PartitionWorkers, next_delay

Eventually = Callable[..., Awaitable[None]]


class Bad(Exception):
    """A worker must not go on after it."""


class Hand:
    """A worker that does as it is told: ``fate`` is what ends it when it is set."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.not_ready_reason: str | None = None
        self.fate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.deaf = False
        self.stopped = self.cancelled = False

    async def run(self) -> None:
        try:
            await self.fate
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    def stop(self) -> None:
        self.stopped = True
        if not self.deaf and not self.fate.done():
            self.fate.set_result(None)


class Hands:
    """Every worker that a team has made, by partition and in order."""

    def __init__(self, **more: Any) -> None:
        self.made: dict[int, list[Hand]] = {}
        self.ended: list[Exception] = []
        self.team = PartitionWorkers(
            "toy", self._make, permanent=(Bad,), ended=self.ended.append, backoff=(0.0, 0.0), **more
        )

    def _make(self, partition: int) -> Hand:
        hand = Hand(partition)
        self.made.setdefault(partition, []).append(hand)
        return hand

    def count(self, partition: int) -> int:
        return len(self.made.get(partition, []))


async def test_a_partition_that_stays_is_not_disturbed(eventually: Eventually) -> None:
    """A new assignment starts what is new, stops what is gone and leaves the rest alone."""
    hands = Hands()
    await hands.team.assign(frozenset({0, 1}))
    await eventually(lambda: hands.count(0) == hands.count(1) == 1)
    await hands.team.assign(frozenset({1, 2}))
    await eventually(lambda: hands.count(2) == 1)
    assert hands.team.partitions == {1, 2}
    assert [hands.made[p][0].stopped for p in (0, 1, 2)] == [True, False, False]
    await hands.team.stop()
    assert hands.made[1][0].stopped and hands.count(1) == 1


async def test_a_worker_that_fails_is_made_anew(eventually: Eventually) -> None:
    """A failure is counted and told, and another worker takes the slot; the others go on."""
    hands = Hands()
    labels = {"of": "toy", "error": "OSError"}
    before = REGISTRY.get_sample_value("rev_worker_failures_total", labels) or 0
    await hands.team.assign(frozenset({0, 1}))
    await eventually(lambda: hands.count(0) == hands.count(1) == 1)
    hands.made[0][0].fate.set_exception(OSError("gone"))
    await eventually(lambda: hands.count(0) == 2)
    assert REGISTRY.get_sample_value("rev_worker_failures_total", labels) == before + 1
    assert hands.count(1) == 1 and hands.ended == [] and hands.team.not_ready_reasons() == []
    await hands.team.stop()


async def test_a_worker_that_returns_unasked_is_made_anew(eventually: Eventually) -> None:
    """Only a worker that was stopped may end without an error."""
    hands = Hands()
    await hands.team.assign(frozenset({0}))
    await eventually(lambda: hands.count(0) == 1)
    hands.made[0][0].fate.set_result(None)
    await eventually(lambda: hands.count(0) == 2)
    await hands.team.stop()


async def test_a_post_that_is_waiting_says_why(eventually: Eventually) -> None:
    """Between a failure and the next try the trouble is the failure; stopping does not wait for the try."""

    def broken(partition: int) -> Hand:
        raise OSError("no such thing")

    team = PartitionWorkers("toy", broken, backoff=(3600.0, 3600.0))
    await team.assign(frozenset({4}))
    assert team.not_ready_reasons() == ["starting"]
    await eventually(lambda: team.not_ready_reasons() == ["partition 4: OSError('no such thing')"])
    await team.stop()
    assert team.not_ready_reasons() == []


def test_the_pause_grows_and_a_long_life_forgives() -> None:
    """Failures in a row wait longer, to a limit; after a worker that lasted, the first pause is due again."""
    waits = list(itertools.accumulate(range(6), lambda last, _: next_delay((0.2, 5.0), last, 0.1), initial=0.0))
    assert waits[1:] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert next_delay((0.2, 5.0), 5.0, 5.1) == 0.2


async def test_an_end_for_good_keeps_its_reason(eventually: Eventually) -> None:
    """After such an error the partition stands still, says why, and is told of; a new assignment may begin anew."""
    hands = Hands()
    labels = {"of": "toy", "partition": "7"}
    await hands.team.assign(frozenset({7, 8}))
    await eventually(lambda: hands.count(7) == 1)
    hands.made[7][0].fate.set_exception(Bad("a record that nobody can take"))
    await eventually(lambda: len(hands.ended) == 1)
    await hands.team.assign(frozenset({7, 8}))
    assert hands.team.not_ready_reasons() == ["a record that nobody can take"] and hands.count(7) == 1
    assert REGISTRY.get_sample_value("rev_worker_ended", labels) == 1
    await hands.team.assign(frozenset({8}))
    assert hands.team.not_ready_reasons() == [] and REGISTRY.get_sample_value("rev_worker_ended", labels) == 0
    await hands.team.assign(frozenset({7, 8}))
    await eventually(lambda: hands.count(7) == 2)
    await hands.team.stop()


async def test_a_workers_own_trouble_is_the_teams(eventually: Eventually) -> None:
    """What a worker says of itself is among the reasons."""
    hands = Hands()
    await hands.team.assign(frozenset({0, 1}))
    await eventually(lambda: hands.count(1) == 1)
    hands.made[1][0].not_ready_reason = "partition 1: catching up"
    assert hands.team.not_ready_reasons() == ["partition 1: catching up"]
    await hands.team.stop()


async def test_a_deaf_worker_is_cancelled(eventually: Eventually) -> None:
    """A worker that does not stop when asked is cancelled once patience is over."""
    hands = Hands(patience=0.01)
    await hands.team.assign(frozenset({0}))
    await eventually(lambda: hands.count(0) == 1)
    hands.made[0][0].deaf = True
    await hands.team.stop()
    assert hands.made[0][0].cancelled


async def test_nothing_is_assigned_after_the_stop() -> None:
    """An assignment that arrives while the service ends starts nothing."""
    hands = Hands()
    await hands.team.stop()
    await hands.team.assign(frozenset({0}))
    assert hands.team.partitions == frozenset() and hands.made == {}
