"""The gauges of one partition, taken from its Desk. Nothing is decided here."""

from contextlib import suppress

from notifier import metrics
from notifier.budget import Budget
from notifier.desk import Desk
from notifier.lanes import Lane

_told: dict[int, set[int]] = {}


def tell(partition: int, desk: Desk, budget: Budget, now: int) -> None:
    """``now``: ms UTC."""
    lanes = list(desk.lanes.values())
    metrics.WAITING.labels(partition).set(sum(len(lane.items) for lane in lanes))
    metrics.RETRIES.labels(partition).set(sum(lane.retries for lane in lanes))
    metrics.IN_FLIGHT.labels(partition).set(sum(len(lane.flying) for lane in lanes))
    metrics.FAILING.labels(partition).set(sum(lane.failing for lane in lanes))
    metrics.BODIES.set(budget.bodies.used)
    lagging = [lane for lane in lanes if lane.ranges.oldest() is not None]
    metrics.LAGGING.labels(partition).set(len(lagging))
    worst = sorted(lagging, key=lambda lane: lane.ranges.behind(desk.next), reverse=True)[: metrics.TOLD]
    _forget(partition, _told.get(partition, set()) - {lane.webhook for lane in worst})
    _told[partition] = {lane.webhook for lane in worst}
    for lane in worst:
        _tell(partition, lane, desk.next, now)


def forget(partition: int) -> None:
    """This process no longer works on the partition."""
    _forget(partition, _told.pop(partition, set()))
    for gauge in (metrics.WAITING, metrics.RETRIES, metrics.IN_FLIGHT, metrics.LAGGING, metrics.FAILING, metrics.TAIL):
        gauge.labels(partition).set(0)


def _tell(partition: int, lane: Lane, next: int, now: int) -> None:
    oldest = lane.ranges.oldest()
    metrics.BEHIND.labels(partition, lane.webhook).set(lane.ranges.behind(next))
    metrics.AGE.labels(partition, lane.webhook).set(0 if oldest is None else max(0, now - oldest) / 1000)


def _forget(partition: int, endpoints: set[int]) -> None:
    for webhook in endpoints:
        for gauge in (metrics.BEHIND, metrics.AGE):
            with suppress(KeyError):
                gauge.remove(partition, webhook)
