"""Lanes to records of rev.backlogs and back. Pure."""

from collections.abc import Iterator, Mapping

from notifier import backlog
from notifier.backlog import LaneRecord, RetryRecord, Stretch, Waiting
from notifier.budget import Budget
from notifier.lanes import Lane
from notifier.letters import Item, Range, Ref


def take_over(pairs: Mapping[bytes, bytes], budget: Budget) -> dict[int, Lane]:
    """The lanes that the last owner of the partition left, by endpoint."""
    lanes = {}
    for key, value in pairs.items():
        if key.startswith(backlog.LANE):
            webhook = int(key[len(backlog.LANE) :])
            lanes[webhook] = _lane(webhook, backlog.decode_lane(value), budget)
    for key, value in pairs.items():
        if key.startswith(backlog.RETRY):
            webhook, offset, place, replay = backlog.parse_retry_key(key)
            kept = backlog.decode_retry(value)
            lanes[webhook].restore(Item(Ref(offset, place, replay), kept.event, kept.type, kept.due, kept.tries))
    for lane in lanes.values():
        lane.written()
    return lanes


def changes(lane: Lane, known: bool) -> Iterator[tuple[bytes, bytes | None]]:
    """What to write of a lane, of which there is a record if it is ``known``."""
    for ref in sorted(lane.changed):
        item = lane.items.get(ref)
        key = backlog.retry_key(lane.webhook, *ref)
        yield key, None if item is None else backlog.encode(RetryRecord(item.tries, item.due, item.event, item.type))
    if lane.idle and known:
        yield backlog.lane_key(lane.webhook), None
    elif not lane.idle and (lane.touched or not known):
        yield backlog.lane_key(lane.webhook), backlog.encode(_record(lane))


def _lane(webhook: int, kept: LaneRecord, budget: Budget) -> Lane:
    lane = Lane(webhook, kept.customer_id, budget)
    lane.failures, lane.failing_since, lane.hold = kept.failures, kept.failing_since, kept.hold
    for one in kept.waiting:
        lane.restore(Item(Ref(one.offset, one.place, one.replay), one.event, one.type, 0))
    for s in kept.ranges:
        lane.ranges.put(Range(s.offset, s.end, s.at, place=s.place, replay=s.replay, only=s.only))
    return lane


def _record(lane: Lane) -> LaneRecord:
    ranges = [Stretch(s.offset, s.place, s.end, s.replay, s.at, s.only) for s in lane.ranges]
    waiting = [Waiting(*item.ref, item.event, item.type) for item in lane.first_tries()]
    return LaneRecord(lane.customer_id, ranges, waiting, lane.failing_since, lane.failures, lane.hold)
