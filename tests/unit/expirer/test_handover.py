"""Partitions that go from one expirer to another and back: who reminds when, told by clocks that the test sets."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import REGISTRY

from expirer.handover import LEAVING, LIMIT, Handover
from expirer.peers import PRESENT, Announcement, Peers, encode

Eventually = Callable[..., Awaitable[None]]
START = 1_777_000_000_000


class Reminder:
    """A worker that runs until it is stopped, and has read everything when the test says so."""

    def __init__(self, partition: int, running: list[int]) -> None:
        self.partition = partition
        self.complete = False
        self._running = running
        self._stopped = asyncio.Event()

    @property
    def not_ready_reason(self) -> str | None:
        return None if self.complete else f"partition {self.partition}: reads"

    async def run(self) -> None:
        assert self.partition not in self._running, "twice at a time"
        self._running.append(self.partition)
        await self._stopped.wait()
        self._running.remove(self.partition)

    def stop(self) -> None:
        self._stopped.set()


class Setup:
    """A hand-over and its clocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peers = Peers("expirer-0")
        self.made: list[Reminder] = []
        self.running: list[int] = []
        self.known = True
        self.handover = Handover("toy", self._make, self.peers, self._now, check=0.0, clock=lambda: self.seconds)

    def _make(self, partition: int) -> Reminder:
        self.made.append(Reminder(partition, self.running))
        return self.made[-1]

    def _now(self) -> int | None:
        return START + int(self.seconds * 1000) if self.known else None

    def announced(self, *partitions: int, name: str = "expirer-1", leaving: bool = False) -> None:
        """A heartbeat of another expirer, appended now."""
        self.peers.observe(encode(Announcement(name, partitions, leaving)), START + int(self.seconds * 1000))

    async def assigned(self, eventually: Eventually, partitions: Iterable[int]) -> None:
        """The group gives these partitions, and their workers have read everything."""
        wanted = frozenset(partitions)
        await self.handover.assign(wanted)
        await eventually(lambda: wanted <= set(self.running))
        for worker in self.made:
            worker.complete = True


async def test_a_lost_partition_is_reminded_for_until_another_announces_it(eventually: Eventually) -> None:
    """Found by the outcome torture: nobody reminded while the new owner read rev.state."""
    setup = Setup()
    await setup.assigned(eventually, {0, 1})
    setup.announced(1)  # from an earlier time at which the other one had it
    await setup.handover.assign(frozenset({0}))
    await setup.handover.release()
    assert setup.running == [0, 1] and REGISTRY.get_sample_value("rev_expirer_handing_over") == 1
    setup.seconds = 60.0
    setup.announced(0)
    await setup.handover.release()
    assert setup.running == [0, 1]
    setup.announced(1)
    await setup.handover.release()
    assert setup.running == [0] and REGISTRY.get_sample_value("rev_expirer_handing_over") == 0
    await setup.handover.stop()
    assert setup.running == []


async def test_a_partition_that_comes_back_is_not_disturbed(eventually: Eventually) -> None:
    """Given back and forth: one worker all the time, and a late announcement takes nothing away."""
    setup = Setup()
    await setup.assigned(eventually, {0, 1})
    for _ in range(3):
        await setup.handover.assign(frozenset({0}))
        await setup.handover.assign(frozenset({0, 1}))
    setup.seconds = 1.0
    setup.announced(1)
    await setup.handover.release()
    assert setup.running == [0, 1] and len(setup.made) == 2
    await setup.handover.stop()


async def test_one_that_comes_back_after_its_release_is_read_again(eventually: Eventually) -> None:
    """It is announced again only when it has been read."""
    setup = Setup()
    await setup.assigned(eventually, {1})
    await setup.handover.assign(frozenset())
    setup.seconds = 1.0
    setup.announced(1)
    await setup.handover.release()
    await setup.handover.assign(frozenset({1}))
    await eventually(lambda: len(setup.made) == 2 and setup.running == [1])
    assert setup.handover.announced == ()
    setup.made[1].complete = True
    assert setup.handover.announced == (1,)
    await setup.handover.stop()


async def test_one_that_was_not_read_yet_is_released_at_once(eventually: Eventually) -> None:
    """It reminded of nothing; the owner before it goes on."""
    setup = Setup()
    await setup.handover.assign(frozenset({0, 1}))
    await eventually(lambda: setup.running == [0, 1])
    setup.made[0].complete = True
    await setup.handover.assign(frozenset())
    assert setup.running == [0]
    await setup.handover.stop()


async def test_without_the_brokers_time_nothing_was_sent_and_nothing_is_kept(eventually: Eventually) -> None:
    setup = Setup()
    setup.known = False
    await setup.assigned(eventually, {0})
    await setup.handover.assign(frozenset())
    assert setup.running == []
    await setup.handover.stop()


async def test_nothing_is_kept_for_ever(eventually: Eventually) -> None:
    """A new owner of an earlier version announces nothing."""
    setup = Setup()
    await setup.assigned(eventually, {0})
    await setup.handover.assign(frozenset())
    setup.seconds = LIMIT
    setup.peers.observe(b"expirer-1", START + int(LIMIT * 1000))
    await setup.handover.release()
    assert setup.running == [0]
    setup.seconds = LIMIT + 1
    await setup.handover.release()
    assert setup.running == []
    await setup.handover.stop()


async def test_only_what_is_assigned_is_announced_and_waited_for(eventually: Eventually) -> None:
    """A lost partition is the new owner's: announcing it would release that of the owner before, and whether it is
    ready is not for us to say."""
    setup = Setup()
    await setup.handover.assign(frozenset({0, 1}))
    await eventually(lambda: setup.running == [0, 1])
    assert setup.handover.announced == ()
    setup.made[1].complete = True
    assert setup.handover.announced == (1,)
    assert setup.handover.not_ready_reasons() == ["partition 0: reads"]
    setup.made[0].complete = True
    await setup.handover.assign(frozenset({1}))
    assert setup.running == [0, 1] and setup.handover.announced == (1,)
    setup.made[0].complete = False
    assert setup.handover.not_ready_reasons() == []
    await setup.handover.stop()


async def test_one_that_leaves_reminds_until_all_is_announced(eventually: Eventually) -> None:
    """Whatever the group still assigns to it."""
    setup = Setup()
    await setup.assigned(eventually, {0, 1})
    setup.announced()
    leaving = asyncio.create_task(setup.handover.leave())
    await eventually(lambda: setup.handover.announced == ())
    await setup.handover.assign(frozenset({0, 1}))
    setup.seconds = 1.0
    setup.announced(0)
    await eventually(lambda: setup.running == [1])
    assert not leaving.done()
    setup.announced(0, 1)
    await leaving
    assert setup.running == []
    await setup.handover.stop()


async def test_one_that_leaves_waits_for_nobody_else_that_does(eventually: Eventually) -> None:
    """All are stopped at once: each goes as soon as it sees that of the others."""
    setup = Setup()
    await setup.assigned(eventually, {0})
    setup.announced(1)
    assert setup.handover.possible
    leaving = asyncio.create_task(setup.handover.leave())
    await eventually(lambda: setup.handover.announced == ())
    assert not leaving.done()
    setup.announced(leaving=True)
    assert not setup.handover.possible
    await leaving
    await setup.handover.stop()
    assert setup.running == []


async def test_one_that_leaves_does_not_wait_long(eventually: Eventually) -> None:
    """Not for one that is gone, and not longer than LEAVING for one that never announces."""
    for seconds, present in ((PRESENT / 1000 + 1, False), (LEAVING, True)):
        setup = Setup()
        await setup.assigned(eventually, {0})
        setup.announced()
        leaving = asyncio.create_task(setup.handover.leave())
        await eventually(lambda setup=setup: setup.handover.announced == ())
        setup.seconds = seconds
        if present:
            setup.announced()
        await leaving
        assert setup.running == [0] and setup.handover.possible == present
        await setup.handover.stop()
