"""One endpoint's deliveries: when they are tried, what is kept, and what happens when there are too many."""

from notifier import endpoint_queue
from notifier.endpoint_queue import PROBE, RETRIES, TAIL_QUEUE, WINDOW
from notifier.resource_limits import ResourceLimits
from notifier.retry_policy import WAITS
from notifier.scheduler import DeliveryRules
from notifier.sender import WebhookResponse
from schemas.commands import ReplayWebhook, encode
from schemas.limits import DAY
from tests.unit.notifier.world import DOWN, OK, OURS, World

GOOD = "c"


def tries(world: World) -> list[int]:
    """When each request so far ended, ms."""
    return [attempt.at + attempt.latency for attempt in world.attempts]


def test_a_delivery_that_always_fails_is_tried_at_the_exact_times() -> None:
    """Ten tries: at once, then each wait after the end of the one before; the last one is dead."""
    world = World()
    world.hook(1)
    world.meter()
    expected = [world.now]
    world.settle(DOWN)
    for wait in WAITS:
        world.now += wait - 1
        world.settle(DOWN)
        assert len(world.attempts) == len(expected), "not a millisecond early"
        world.now += 1
        expected.append(world.now)
        world.settle(DOWN)
    assert tries(world) == expected
    assert [attempt.attempt for attempt in world.attempts] == list(range(1, 11))
    assert [attempt.outcome for attempt in world.attempts] == ["retry"] * 9 + ["dead"]
    assert {attempt.delivery_id for attempt in world.attempts} == {world.attempts[0].delivery_id}


def test_the_schedule_survives_a_crash() -> None:
    """A new owner goes on with the try that is due, not with the first one."""
    world = World()
    world.hook(1)
    world.meter()
    world.settle(DOWN)
    world.now += WAITS[0]
    world.settle(DOWN)
    world.crash()
    world.now += WAITS[1] - 1
    world.settle()
    assert len(world.attempts) == 2
    world.now += 1
    world.settle()
    assert [attempt.attempt for attempt in world.attempts] == [1, 2, 3]
    assert world.attempts[-1].outcome == "delivered" and world.left == {}


def test_a_healthy_delivery_leaves_nothing() -> None:
    """What is delivered between two transactions never stands in rev.backlogs."""
    world = World()
    world.hook(1)
    world.meter(count=50)
    world.settle()
    assert len(world.attempts) == 50
    assert world.left == {}


def test_what_is_in_flight_at_a_crash_is_sent_again() -> None:
    """At least once: nobody knows whether the other side had it."""
    world = World()
    world.hook(1)
    world.meter()
    world.tail()
    world.start()
    world.flush()
    world.crash()
    world.settle()
    assert world.sent == [(1, 0, 0, False)] * 2


def test_few_requests_are_under_way_at_once() -> None:
    """The window begins small, grows with each success and is never above its bound."""
    world = World()
    world.hook(1)
    world.meter(count=TAIL_QUEUE)
    world.tail()
    assert len(world.start()) == endpoint_queue.FIRST_WINDOW
    for _ in range(WINDOW):
        world.answer(world.in_flight[0])
        world.start()
    assert len(world.in_flight) == WINDOW


def test_a_failing_endpoint_gets_fewer() -> None:
    """Each failure halves the window, down to its least."""
    world = World()
    world.hook(1)
    world.meter(count=TAIL_QUEUE)
    world.tail()
    world.start()
    for _ in range(4):
        world.answer(world.in_flight[0], DOWN)
    assert len(world.start()) == endpoint_queue.LEAST_WINDOW


def test_a_lane_that_is_full_lags_and_catches_up() -> None:
    """Beyond the queue nothing is held: the rest is one range, read again when there is room."""
    world = World()
    world.hook(1)
    for _ in range(3000):
        world.meter()
    for _ in range(3):
        world.tail()
    queue = world.scheduler.queues[1]
    assert (
        len(queue.deliveries) == TAIL_QUEUE
        and queue.lagging
        and queue.ranges.behind(world.scheduler.next) == 3000 - TAIL_QUEUE
    )
    world.settle()
    assert not queue.lagging
    assert sorted(attempt.offset for attempt in world.attempts) == list(range(3000))


def test_many_events_behind_cost_no_memory() -> None:
    """A lagging queue holds the same few references however much comes in."""
    world = World()
    world.hook(1)
    offset = world.meter()
    line = world.log[offset]
    world.log += [line._replace(offset=n) for n in range(1, 50_000)]
    held = []
    while world.scheduler.next < len(world.log):
        world.tail(10_000)
        queue = world.scheduler.queues[1]
        held.append((len(queue.deliveries), world.limits.bodies.used))
    assert len(set(held)) == 1 and held[0][0] == TAIL_QUEUE
    assert world.scheduler.queues[1].ranges.behind(world.scheduler.next) == 50_000 - TAIL_QUEUE


def test_a_lane_full_of_retries_probes_and_recovers() -> None:
    """Down and full: one try a minute. The first success makes everything due at once."""
    world = World()
    world.hook(1)
    for _ in range(RETRIES + 500):
        world.meter()
    world.settle(DOWN)
    for wait in WAITS[:5]:
        world.now += wait
        world.settle(DOWN)
    queue = world.scheduler.queues[1]
    assert queue.full and queue.failing and queue.lagging
    before = len(world.attempts)
    world.now += PROBE
    world.settle(DOWN)
    assert len(world.attempts) == before + 1, "a probe, though nothing is due for hours"
    world.now += PROBE
    world.settle()
    assert world.left == {} and not queue.deliveries
    delivered = {attempt.offset for attempt in world.attempts if attempt.outcome == "delivered"}
    assert delivered == set(range(RETRIES + 500))


def test_a_few_bad_events_do_not_block_the_good_ones() -> None:
    """The endpoint works but refuses some for good: when too many wait, the oldest are given up, visibly."""
    world = World()
    world.hook(1)
    for _ in range(RETRIES + 200):
        world.meter()
        world.meter()
        world.tail()
        for attempt in world.start():
            world.answer(attempt, DOWN if attempt.delivery.ref.offset % 2 else OK)
        for attempt in world.start():
            world.answer(attempt, DOWN if attempt.delivery.ref.offset % 2 else OK)
    world.flush()
    queue = world.scheduler.queues[1]
    assert queue.retries <= RETRIES and not queue.lagging
    buried = [attempt for attempt in world.attempts if attempt.outcome == "dead"]
    assert buried and {attempt.error for attempt in buried} == {"too many deliveries wait for a retry"}
    good = {attempt.offset for attempt in world.attempts if attempt.outcome == "delivered"}
    assert good == set(range(0, len(world.log), 2))


def test_no_success_for_days_disables() -> None:
    """The endpoint that has only failed for so long is to be disabled; then nothing more is sent."""
    world = World(DeliveryRules(5 * DAY, 10**6, 1))
    world.hook(1)
    for _ in range(7):
        world.meter()
        world.settle(DOWN)
        if world.scheduler.tick(world.now):
            break
        world.now += DAY
    ((endpoint, why),) = world.scheduler.tick(world.now)
    assert endpoint.id == 1 and why == "no delivery succeeded for 120 hours"
    sent = len(world.sent)
    world.meter()
    world.settle()
    assert len(world.sent) == sent
    world.hook(1, active=False, disabled=why)
    world.flush()
    assert world.left == {}
    dropped = [attempt for attempt in world.attempts if attempt.outcome == "dropped"]
    assert dropped and all(why in (attempt.error or "") for attempt in dropped)
    assert [(gap.first, gap.last) for gap in world.gaps] == [(len(world.log) - 1, len(world.log) - 1)]


def test_one_success_in_between_keeps_it() -> None:
    """Failures count from the last success on."""
    world = World(DeliveryRules(5 * DAY, 10**6, 1))
    world.hook(1)
    for day in range(12):
        world.meter()
        world.settle(OK if day == 4 else DOWN)
        assert world.scheduler.tick(world.now) == [] or day >= 10
        world.now += DAY


def test_a_backlog_over_the_limit_is_given_up_with_a_gap() -> None:
    """So many records behind: disabled, and what was not sent is a visible range that can be replayed."""
    world = World(DeliveryRules(5 * DAY, 1000, 1))
    world.hook(1)
    for _ in range(2000):
        world.meter()
    world.tail(5000)
    ((_, why),) = world.scheduler.tick(world.now)
    world.hook(1, active=False, disabled=why)
    world.flush()
    (gap,) = world.gaps
    assert (gap.first, gap.last, gap.reason) == (TAIL_QUEUE, 1999, f"the endpoint was disabled: {why}")
    assert len([a for a in world.attempts if a.outcome == "dropped"]) == TAIL_QUEUE
    world.now += 1000
    world.hook(1, active=True, disabled=None)
    world.configure("webhook.replay", encode(ReplayWebhook(1, GOOD, since=gap.since)))
    world.settle()
    delivered = {a.offset for a in world.attempts if a.outcome == "delivered"}
    assert delivered >= set(range(2000)), "the replay fills the gap"


def test_deleted_while_deliveries_wait() -> None:
    """Nothing is sent afterwards; every delivery that waited is a dropped attempt."""
    world = World()
    world.hook(1)
    for _ in range(5):
        world.meter()
    world.settle(DOWN)
    sent = len(world.sent)
    world.unhook(1)
    world.now += DAY
    world.settle()
    assert len(world.sent) == sent and world.left == {}
    assert sorted(a.offset for a in world.attempts if a.outcome == "dropped") == list(range(5))


def test_deleted_while_a_request_is_under_way() -> None:
    """It cannot be taken back: a success counts, a failure is not tried again."""
    world = World()
    world.hook(1)
    world.meter()
    world.meter()
    world.tail()
    world.start()
    world.unhook(1)
    good, bad = world.in_flight
    world.answer(good)
    world.answer(bad, DOWN)
    world.now += DAY
    world.settle()
    assert sorted(a.outcome for a in world.attempts) == ["delivered", "dropped"]
    assert world.left == {} and list(world.scheduler.queues) == []


def test_the_other_sides_wish_to_wait_holds_all_of_it() -> None:
    """Retry-After: nothing is sent to the endpoint before, not even new events."""
    world = World()
    world.hook(1)
    world.meter()
    world.settle(WebhookResponse(429, retry_after_s=30))
    world.meter()
    world.now += 29_999
    world.settle()
    assert len(world.sent) == 1
    world.now += 1
    world.settle()
    assert len(world.sent) == 3 and world.left == {}


def test_what_this_side_could_not_send_is_no_try() -> None:
    """Out of descriptors for ten minutes: no attempt, no failure, no smaller window; once there are some
    all is delivered, at the first try."""
    world = World()
    world.hook(1)
    world.meter(count=20)
    for _ in range(600):
        world.settle(OURS)
        world.now += endpoint_queue.SOON
    assert world.attempts == [] and not world.scheduler.queues[1].failing
    assert 600 <= len(world.sent) <= 600 * endpoint_queue.FIRST_WINDOW
    world.crash()
    world.settle()
    world.flush()
    assert [(a.outcome, a.attempt) for a in world.attempts] == [("delivered", 1)] * 20
    assert world.left == {}


def test_a_retry_that_could_not_be_sent_keeps_its_place() -> None:
    """The schedule goes on from the try that was made, and the time out of descriptors counts for nothing."""
    world = World(DeliveryRules(endpoint_queue.SOON * 2, 10**6, 1))
    world.hook(1)
    world.meter()
    world.settle(DOWN)
    for _ in range(10):
        world.now += endpoint_queue.SOON
        world.settle(OURS)
    assert world.scheduler.tick(world.now) == []
    world.now += endpoint_queue.SOON
    world.settle()
    assert [(a.outcome, a.attempt) for a in world.attempts] == [("retry", 1), ("delivered", 2)]
    assert world.left == {}


def test_what_a_person_has_to_mend_is_tried_seldom() -> None:
    """While no secret can be read the endpoint costs a few tries a minute, for days, and loses nothing."""
    world = World(DeliveryRules(DAY, 10**6, 1))
    world.hook(1)
    world.meter(count=20)
    for _ in range(2 * DAY // endpoint_queue.SELDOM):
        world.tail()
        for attempt in world.start():
            world.in_flight.remove(attempt)
            world.scheduler.not_sent(attempt, endpoint_queue.SELDOM, world.now)
        assert world.start() == [], "nothing more before a minute is over"
        world.now += endpoint_queue.SELDOM
    assert world.scheduler.tick(world.now) == [] and not world.scheduler.queues[1].failing
    world.settle()
    assert [(a.outcome, a.attempt) for a in world.attempts] == [("delivered", 1)] * 20
    assert world.left == {}


def test_deleted_while_it_could_not_be_sent() -> None:
    """It becomes a dropped attempt like everything that waits."""
    world = World()
    world.hook(1)
    world.meter(count=2)
    world.tail()
    world.start()
    world.answer(world.in_flight[0], OURS)
    world.unhook(1)
    world.answer(world.in_flight[0], OURS)
    world.settle()
    assert [(a.outcome, a.attempt) for a in world.attempts] == [("dropped", 0)] * 2
    assert world.left == {} and list(world.scheduler.queues) == []


def test_black_holes_leave_half_of_everything_to_others() -> None:
    """However many endpoints fail, healthy ones find memory and requests in flight."""
    world = World(limits=ResourceLimits(bodies=60_000, in_flight=16, references=10_000))
    for id in range(1, 21):
        world.hook(id, f"bad-{id}")
    world.hook(99, "good")
    for id in range(1, 21):
        for _ in range(10):
            world.meter(f"bad-{id}")
    for _ in range(12):
        world.settle(DOWN)
        world.now += 1100
    world.meter("good")
    world.tail()
    begun = world.start()
    assert 99 in {attempt.endpoint.id for attempt in begun}


def test_a_record_that_nobody_can_read_is_a_dead_letter() -> None:
    """It is passed over and told of; what comes after it is delivered."""
    world = World()
    world.hook(1)
    world.append(b"c", b"not JSON")
    world.meter()
    world.settle()
    assert len(world.dead) == 1
    assert [attempt.offset for attempt in world.attempts] == [1]
