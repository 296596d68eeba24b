"""Conversion of queues to records of rev.backlogs and back. Pure."""

from collections.abc import Callable, Iterator, Mapping

from notifier import backlog
from notifier.backlog import QueueRecord, RangeRecord, RetryRecord, WaitingRecord
from notifier.delivery import Delivery, EntryRef, OffsetRange
from notifier.endpoint_queue import EndpointQueue
from notifier.resource_limits import ResourceLimits


def read_queues(
    pairs: Mapping[bytes, bytes], limits: ResourceLimits, changed: Callable[[EndpointQueue], None]
) -> dict[int, EndpointQueue]:
    """Return the queues that the last owner of the partition left, by endpoint."""
    queues = {}
    for key, value in pairs.items():
        if key.startswith(backlog.QUEUE):
            webhook = int(key[len(backlog.QUEUE) :])
            queues[webhook] = _queue(webhook, backlog.decode_queue(value), limits, changed)
    for key, value in pairs.items():
        if key.startswith(backlog.RETRY):
            webhook, offset, event_index, replay = backlog.parse_retry_key(key)
            kept = backlog.decode_retry(value)
            queues[webhook].restore(
                Delivery(EntryRef(offset, event_index, replay), kept.event, kept.type, kept.due, kept.tries)
            )
    for queue in queues.values():
        queue.written()
    return queues


def changes(queue: EndpointQueue, known: bool) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the records to write for a queue. ``known``: whether rev.backlogs already has a record of it."""
    for ref in sorted(queue.changed):
        delivery = queue.deliveries.get(ref)
        key = backlog.retry_key(queue.webhook, *ref)
        yield (
            key,
            None
            if delivery is None
            else backlog.encode(RetryRecord(delivery.tries, delivery.due, delivery.event, delivery.type)),
        )
    if queue.idle and known:
        yield backlog.queue_key(queue.webhook), None
    elif not queue.idle and (queue.touched or not known):
        yield backlog.queue_key(queue.webhook), backlog.encode(_record(queue))


def _queue(
    webhook: int, kept: QueueRecord, limits: ResourceLimits, changed: Callable[[EndpointQueue], None]
) -> EndpointQueue:
    queue = EndpointQueue(webhook, kept.customer_id, limits, changed)
    for one in kept.waiting:
        queue.restore(Delivery(EntryRef(one.offset, one.event_index, one.replay), one.event, one.type, 0))
    ranges = [
        OffsetRange(s.offset, s.end, s.at, event_index=s.event_index, replay=s.replay, only=s.only) for s in kept.ranges
    ]
    queue.restore_record(kept.failures, kept.failing_since, kept.hold, ranges)
    return queue


def _record(queue: EndpointQueue) -> QueueRecord:
    ranges = [RangeRecord(s.offset, s.event_index, s.end, s.replay, s.at, s.only) for s in queue.ranges]
    waiting = [WaitingRecord(*delivery.ref, delivery.event, delivery.type) for delivery in queue.first_tries()]
    return QueueRecord(queue.customer_id, ranges, waiting, queue.failing_since, queue.failures, queue.hold)
