"""Collects what a partition's worker records in its next transaction: attempts, gaps, dead letters. Pure."""

from typing import NamedTuple

from notifier.delivery import OffsetRange
from notifier.endpoint_queue import AttemptResult, EndpointQueue
from notifier.endpoints import Endpoint
from notifier.entry_page import Fault
from notifier.events import DomainEvent
from notifier.sender import WebhookResponse
from schemas import deliveries
from schemas.deliveries import Attempt, Gap


class RecordedDeliveries(NamedTuple):
    """Records of rev.deliveries (key, value), the number of gaps among them, and dead letters."""

    deliveries: list[tuple[bytes, bytes]]
    gaps: int
    dead: list[Fault]


class DeliveryRecorder:
    """Recorder of one partition. ``now``: ms UTC."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._records = RecordedDeliveries([], 0, [])
        self._missed: dict[int, OffsetRange] = {}
        self._owners: dict[int, Endpoint] = {}

    def __len__(self) -> int:
        """Return the number of records of rev.deliveries that are in no transaction yet."""
        return len(self._records.deliveries)

    @property
    def empty(self) -> bool:
        return not (self._records.deliveries or self._records.dead or self._missed)

    def attempt(
        self, queue: EndpointQueue, result: AttemptResult, now: int, answer: WebhookResponse | None = None
    ) -> None:
        """Record an attempt that ended with the response ``answer``, or a delivery that ended without an attempt."""
        delivery, decision = result
        event = deliveries.event_id(delivery.event)
        latency = 0 if answer is None else answer.latency_ms
        attempt = Attempt(
            webhook_id=queue.webhook,
            customer_id=queue.customer_id,
            delivery_id=deliveries.delivery_id(event, queue.webhook),
            event_id=event,
            type=delivery.type,
            partition=self._partition,
            offset=delivery.ref.offset,
            index=delivery.ref.event_index,
            attempt=delivery.tries,
            at=now - latency,
            outcome=decision.outcome,
            latency=latency,
            status=None if answer is None else answer.status,
            error=decision.error,
            answer="" if answer is None else answer.body.decode("utf-8", "replace"),
            next_at=decision.next_at,
            replay=delivery.ref.replay,
        )
        self._records.deliveries.append((b"%d" % queue.webhook, deliveries.encode(attempt)))

    def gap(self, webhook: int, customer_id: str, offset_range: OffsetRange, end: int, why: str, now: int) -> None:
        """Record a gap: the endpoint is not sent the events of the range before ``end``."""
        gap = Gap(
            webhook_id=webhook,
            customer_id=customer_id,
            partition=self._partition,
            first=max(0, offset_range.offset),
            last=max(0, end - 1),
            since=offset_range.at,
            until=max(now, offset_range.at),
            at=now,
            reason=why,
        )
        self._records.deliveries.append((b"%d" % webhook, deliveries.encode(gap)))
        self._records = self._records._replace(gaps=self._records.gaps + 1)

    def missed(self, endpoint: Endpoint, event: DomainEvent) -> None:
        """Record an event that was accepted while the endpoint, now inactive, was active. All those since
        the last transaction make one gap."""
        offset_range = self._missed.setdefault(endpoint.id, OffsetRange(event.offset, 0, event.at))
        offset_range.end = event.offset + 1
        self._owners[endpoint.id] = endpoint

    def faults(self, found: list[Fault]) -> None:
        self._records.dead.extend(found)

    def take(self, now: int) -> RecordedDeliveries:
        """Return everything recorded and start anew."""
        for id, offset_range in self._missed.items():
            endpoint = self._owners[id]
            self.gap(id, endpoint.webhook.customer_id, offset_range, offset_range.end or 0, why(endpoint), now)
        self._missed.clear()
        self._owners.clear()
        records, self._records = self._records, RecordedDeliveries([], 0, [])
        return records


def why(endpoint: Endpoint | None) -> str:
    """Return the reason why nothing is sent to the endpoint."""
    if endpoint is None:
        return "the endpoint was deleted"
    disabled = endpoint.webhook.disabled
    return f"the endpoint was disabled: {disabled}" if disabled else "the endpoint was deactivated"
