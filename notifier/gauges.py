"""Gauges of one partition, set from its scheduler. Decides nothing."""

from contextlib import suppress

from notifier import metrics
from notifier.endpoint_queue import EndpointQueue
from notifier.resource_limits import ResourceLimits
from notifier.scheduler import DeliveryScheduler

_records: dict[int, set[int]] = {}


def update(partition: int, scheduler: DeliveryScheduler, limits: ResourceLimits, now: int) -> None:
    """Set the gauges of the partition. ``now``: ms UTC."""
    queues = list(scheduler.queues)
    metrics.WAITING.labels(partition).set(sum(len(queue.deliveries) for queue in queues))
    metrics.RETRIES.labels(partition).set(sum(queue.retries for queue in queues))
    metrics.IN_FLIGHT.labels(partition).set(sum(len(queue.in_flight) for queue in queues))
    metrics.FAILING.labels(partition).set(sum(queue.failing for queue in queues))
    metrics.BODIES.set(limits.bodies.used)
    lagging = [queue for queue in queues if queue.ranges.oldest() is not None]
    metrics.LAGGING.labels(partition).set(len(lagging))
    worst = sorted(lagging, key=lambda queue: queue.ranges.behind(scheduler.next), reverse=True)[: metrics.TOLD]
    _remove_queues(partition, _records.get(partition, set()) - {queue.webhook for queue in worst})
    _records[partition] = {queue.webhook for queue in worst}
    for queue in worst:
        _update_queue(partition, queue, scheduler.next, now)


def remove(partition: int) -> None:
    """Reset the gauges of a partition that this process no longer works on."""
    _remove_queues(partition, _records.pop(partition, set()))
    for gauge in (metrics.WAITING, metrics.RETRIES, metrics.IN_FLIGHT, metrics.LAGGING, metrics.FAILING, metrics.TAIL):
        gauge.labels(partition).set(0)


def _update_queue(partition: int, queue: EndpointQueue, next: int, now: int) -> None:
    oldest = queue.ranges.oldest()
    metrics.BEHIND.labels(partition, queue.webhook).set(queue.ranges.behind(next))
    metrics.AGE.labels(partition, queue.webhook).set(0 if oldest is None else max(0, now - oldest) / 1000)


def _remove_queues(partition: int, endpoints: set[int]) -> None:
    for webhook in endpoints:
        for gauge in (metrics.BEHIND, metrics.AGE):
            with suppress(KeyError):
                gauge.remove(partition, webhook)
