"""The service as a process, between a real rev.state and a real rev.raw."""

import itertools
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from schemas import open_months, state, unpriced
from schemas.commands import ChargeUnpriced, CloseMonth, MeterEvent, Rates
from schemas.limits import DAY
from schemas.months import month_of
from schemas.open_months import OpenMonth, month_key, slot_of
from schemas.price_match import PriceSlot
from schemas.state import InstalledPrice
from schemas.unpriced import UnpricedEvent, unpriced_key
from tests.freezing import freeze, thaw
from tests.integration.expirer.conftest import P
from tests.integration.expirer.shards import EVERYTHING, Expirer, Rival, Shard, closed, opened

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
Start = Callable[..., Expirer]
NewId = Callable[[Shard], int]
SKEWED = Path(__file__).parents[2] / "crash" / "skewed"
"""A wall clock that is an hour ahead."""


def reminded(shard: Shard, event_id: int, times: int = 1) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(await shard.of(event_id)) >= times

    return enough


async def test_the_last_one_stops_at_once(expirer: Start, eventually: Eventually) -> None:
    """Nobody is there to take over. The first test here: a process that has just ended still counts as there."""
    service = expirer()
    await eventually(service.ready)
    assert service.end() == 0
    assert '"handing_over"' not in service.log.read_text()


@pytest.mark.parametrize("path", ["", str(SKEWED)], ids=["clock right", "clock an hour ahead"])
async def test_not_before_its_time_and_until_it_is_closed(
    shards: list[Shard], expirer: Start, new_id: NewId, eventually: Eventually, path: str
) -> None:
    """An outcome is reminded of at its time by the broker's clock, never before, and each second
    until rev.state shows it closed; then no more, while another one still is."""
    shard, service = shards[0], expirer(PYTHONPATH=f"{path}:{os.environ.get('PYTHONPATH', '')}")
    await eventually(service.ready)
    one, other = new_id(shard), new_id(shard)
    due = await shard.now() + 1500
    await shard.write(opened(one, due), opened(other, due, "ä"))
    await eventually(reminded(shard, one, 3))
    await eventually(reminded(shard, other, 3))
    assert min(sent.at for sent in shard.sent) >= due
    assert {sent.customer for sent in await shard.of(other)} == {"ä"}
    times = [sent.at for sent in await shard.of(one)]
    assert all(later - earlier >= 999 for earlier, later in itertools.pairwise(times))
    await shard.write(closed(one, due + 5))
    await eventually(lambda: _is(service.metric("rev_expirer_due", partition="0"), 1))
    before = len(await shard.of(one))
    await eventually(reminded(shard, other, len(await shard.of(other)) + 2))
    assert len(await shard.of(one)) == before
    assert await service.metric("rev_expirer_lateness_seconds_count") == 1
    assert service.end() == 0
    await shard.write(closed(other))


async def test_a_restart_sends_what_fell_due_and_nothing_else(
    shards: list[Shard], expirer: Start, new_id: NewId, eventually: Eventually
) -> None:
    """What fell due while nobody ran is sent at once after a start, also after kill -9; what was
    closed, tombstoned, aborted or is not due yet is not; old and new of one outcome count once."""
    shard = shards[1]
    due, gone, buried, never, future = (new_id(shard) for _ in range(5))
    now = await shard.now()
    await shard.write(opened(due, now - 3_600_000), opened(gone, now), opened(buried, now), opened(future, now + 10**9))
    await shard.write(opened(never, now), commit=False)
    await shard.write(closed(gone), (closed(buried)[0], None), opened(due, now - 3_600_000))
    service = expirer()
    await eventually(reminded(shard, due))
    service.end(signal.SIGKILL)
    before = len(await shard.of(due))
    service = expirer()
    await eventually(reminded(shard, due, before + 2))
    await eventually(service.ready)
    assert {sent.event_id for sent in shard.sent} == {due}
    assert await service.metric("rev_expirer_open", partition="1") == 2
    assert (await service.metric("rev_expirer_oldest_overdue_seconds", partition="1") or 0) >= 3600
    await shard.write(closed(due), closed(future))


async def test_a_month_that_is_over_is_closed_until_the_state_says_so(
    shards: list[Shard], expirer: Start, eventually: Eventually
) -> None:
    """Its command names the price row and is repeated each second; a month that is not over gets none."""
    shard, service = shards[0], expirer()
    now = await shard.now()
    over = OpenMonth("ä", "2026-01", "chat", own=True, model="m1", test=True)
    current = OpenMonth("ä", month_of(now + 40 * DAY), "chat")
    keys = [month_key(one.customer_id, one.test, one.month, slot_of(one)) for one in (over, current)]
    await shard.write(*((key, open_months.encode(one)) for key, one in zip(keys, (over, current), strict=True)))

    async def closed_twice() -> bool:
        await shard.reminders()
        return len(shard.closes) >= 2

    await eventually(closed_twice)
    assert {command for command, _ in shard.closes} == {
        CloseMonth("ä", "2026-01", "chat", own=True, model="m1", test=True)
    }
    await shard.write((keys[0], None), (keys[1], None))
    await eventually(lambda: _is(service.metric("rev_expirer_due", partition="0"), 0))


async def test_events_before_their_price_are_charged_when_it_is_set(
    shards: list[Shard], expirer: Start, eventually: Eventually
) -> None:
    """A notice names them once they have a price, and those that came in meanwhile once the shard has decided it."""
    shard, service = shards[0], expirer()
    await eventually(service.ready)
    waiting = unpriced.encode(UnpricedEvent("ä", 7, MeterEvent("bot", "fax")))
    await shard.write((unpriced_key(65_536), waiting))
    price = state.encode(InstalledPrice(3, "fax", Rates("1", "0", "0"), 9))
    row = state.price_key(PriceSlot(None, "fax"))
    await shard.write((unpriced_key(131_072), waiting), (row, price))

    async def named(*wanted: list[int]) -> bool:
        await shard.reminders()
        return [sorted(one.event_ids) for one in shard.charges] == list(wanted)

    await eventually(lambda: named([65_536, 131_072]))
    assert shard.charges[0] == ChargeUnpriced("ä", 7, shard.charges[0].event_ids)
    await shard.write((unpriced_key(65_536), None), (unpriced_key(131_072), None), (unpriced_key(196_608), waiting))
    await eventually(lambda: named([65_536, 131_072], [196_608]))
    assert service.end() == 0
    await shard.write((unpriced_key(196_608), None), (row, None))


async def test_an_open_transaction_holds_back_nothing_but_itself(
    shards: list[Shard], expirer: Start, new_id: NewId, eventually: Eventually
) -> None:
    """A start while the shard's transaction is open gets ready on what is committed, and follows
    when that transaction is committed; a partition that holds nothing at all is ready too."""
    shard = shards[0]
    now, early, late = await shard.now(), new_id(shard), new_id(shard)
    await shard.write(opened(early, now))
    await shard._producer.begin_transaction()
    await shard._producer.send_and_wait("rev.state", opened(late, now)[1], opened(late, now)[0], 0)
    service = expirer()
    await eventually(service.ready)
    await eventually(reminded(shard, early))
    assert await shard.of(late) == []
    await shard._producer.commit_transaction()
    await eventually(reminded(shard, late))
    await shard.write(closed(early), closed(late))


async def test_a_shard_that_stands_still_gets_one_reminder(
    shards: list[Shard], expirer: Start, new_id: NewId, eventually: Eventually
) -> None:
    """While the shard's position has not come to the reminder no second one is put behind it;
    as soon as it has passed without closing the outcome, there is one."""
    still, moving = shards
    now, waits, sentinel = await still.now(), new_id(still), new_id(moving)
    await still.write(opened(waits, now), passed=0)
    await moving.write(opened(sentinel, now))
    service = expirer()
    await eventually(reminded(still, waits))
    await eventually(reminded(moving, sentinel, 3))
    assert len(await still.of(waits)) == 1
    await still.write(passed=EVERYTHING)
    await eventually(reminded(still, waits, 2))
    await still.write(closed(waits))
    await moving.write(closed(sentinel))
    assert service.end() == 0


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=lambda sign: sign.name)
async def test_another_takes_over(
    shards: list[Shard], expirer: Start, new_id: NewId, eventually: Eventually, sign: signal.Signals
) -> None:
    """Two share the partitions; when one is killed, frozen or stopped, the other reminds of
    everything; one that wakes up again does no harm."""
    one, two = expirer(0), expirer(1)

    async def working(service: Expirer) -> list[int]:
        shown = [await service.metric("rev_expirer_open", partition=str(p)) for p in range(len(shards))]
        return [p for p, value in enumerate(shown) if value is not None]

    async def shared() -> bool:
        found = [await working(one), await working(two)]
        return sorted(found) == [[0], [1]] and await one.ready() and await two.ready()

    await eventually(shared)
    if sign == signal.SIGTERM:
        assert one.end() == 0
    elif sign == signal.SIGSTOP:
        freeze(one.process.pid)
    else:
        one.process.send_signal(sign)
    due = {shard.partition: new_id(shard) for shard in shards}
    now = await shards[0].now()
    for shard in shards:
        await shard.write(opened(due[shard.partition], now + 100))
    for shard in shards:
        await eventually(reminded(shard, due[shard.partition]), timeout=60)
    await eventually(lambda: _is(working(two), [0, 1]))
    await eventually(two.ready)
    if sign == signal.SIGSTOP:
        thaw(one.process.pid)
        await eventually(shared, timeout=60)
    for shard in shards:
        await eventually(reminded(shard, due[shard.partition], len(await shard.of(due[shard.partition])) + 1))
        await shard.write(closed(due[shard.partition]))


async def test_a_partition_taken_away_is_reminded_for_until_its_new_owner_says_so(
    shards: list[Shard], expirer: Start, rivals: Callable[[], Rival], new_id: NewId, eventually: Eventually
) -> None:
    """However long the new owner takes to read rev.state, somebody reminds: found by the outcome torture."""
    service = expirer()
    await eventually(lambda: _has_all(service))
    rival = rivals()
    await eventually(lambda: len(rival.owns) == 1)
    await eventually(lambda: _is(service.metric("rev_expirer_handing_over"), 1))
    (taken,) = rival.owns
    await eventually(service.ready)
    shard, due = shards[taken], new_id(shards[taken])
    await shard.write(opened(due, await shard.now()))
    await eventually(reminded(shard, due, 2))
    rival.ready = (taken,)
    await eventually(lambda: _is(service.metric("rev_expirer_handing_over"), 0))
    assert await service.metric("rev_expirer_open", partition=str(taken)) is None
    assert await service.metric("rev_expirer_open", partition=str(1 - taken)) is not None
    await shard.write(closed(due))


async def test_one_that_is_stopped_leaves_the_group_and_reminds_until_all_is_taken_over(
    shards: list[Shard], expirer: Start, rivals: Callable[[], Rival], new_id: NewId, eventually: Eventually
) -> None:
    """SIGTERM: the group gives its partitions away before its session is over, and nothing falls between the two."""
    service = expirer(REV_SESSION_TIMEOUT="60s")
    await eventually(lambda: _has_all(service))
    rival = rivals()
    await eventually(lambda: len(rival.owns) == 1)
    rival.ready = tuple(rival.owns)
    (kept,) = {0, 1} - rival.owns
    await eventually(lambda: _is(service.metric("rev_expirer_open", partition=str(1 - kept)), None))
    service.process.send_signal(signal.SIGTERM)
    await eventually(lambda: rival.owns == {0, 1})
    assert not await service.ready()
    shard, due = shards[kept], new_id(shards[kept])
    await shard.write(opened(due, await shard.now()))
    await eventually(reminded(shard, due))
    await shard.write(closed(due))
    rival.ready = (0, 1)
    await eventually(lambda: service.process.poll() == 0)


async def test_ten_thousand_in_one_second(
    shards: list[Shard], expirer: Start, new_id: NewId, eventually: Eventually
) -> None:
    """10,000 outcomes of one second are each reminded of once, none before its time."""
    service = expirer()
    await eventually(service.ready)
    due = await shards[0].now() + 3000
    for shard in shards:
        await shard.write(*(opened(new_id(shard), due) for _ in range(5000)), passed=0)

    async def all_there() -> bool:
        return all([len(await shard.reminders()) >= 5000 for shard in shards])

    await eventually(all_there)
    for shard in shards:
        assert len({sent.event_id for sent in shard.sent}) == len(shard.sent) == 5000
        assert min(sent.at for sent in shard.sent) >= due
        await shard.write(*(closed(sent.event_id) for sent in shard.sent))
    await eventually(lambda: _is(service.metric("rev_expirer_due", partition="0"), 0))


async def _is(found: Awaitable[object], wanted: object) -> bool:
    return await found == wanted


async def _has_all(service: Expirer) -> bool:
    """Also the share of a member of an earlier test, whose session must be over first."""
    shown = [await service.metric("rev_expirer_open", partition=str(partition)) for partition in range(P)]
    return None not in shown and await service.ready()
