"""What a partition's worker has to tell of since its last transaction: attempts, gaps, dead letters. Pure."""

from typing import NamedTuple

from notifier.endpoints import Endpoint
from notifier.events import DomainEvent
from notifier.lanes import Lane, Result
from notifier.letters import Range
from notifier.page import Fault
from notifier.sending import Answer
from schemas import deliveries
from schemas.deliveries import Attempt, Gap


class Told(NamedTuple):
    """Records of rev.deliveries (key, value), how many of them are gaps, and dead letters."""

    deliveries: list[tuple[bytes, bytes]]
    gaps: int
    dead: list[Fault]


class Journal:
    """``now``: ms UTC, of what is told next."""

    def __init__(self, partition: int) -> None:
        self.now = 0
        self._partition = partition
        self._told = Told([], 0, [])
        self._missed: dict[int, Range] = {}
        self._owners: dict[int, Endpoint] = {}

    def __len__(self) -> int:
        """Records of rev.deliveries that no transaction holds yet."""
        return len(self._told.deliveries)

    @property
    def empty(self) -> bool:
        return not (self._told.deliveries or self._told.dead or self._missed)

    def attempt(self, lane: Lane, result: Result, answer: Answer | None = None) -> None:
        """A try has ended with ``answer``, or a delivery without one."""
        item, judgement = result
        event = deliveries.event_id(item.event)
        latency = 0 if answer is None else answer.latency_ms
        attempt = Attempt(
            webhook_id=lane.webhook,
            customer_id=lane.customer_id,
            delivery_id=deliveries.delivery_id(event, lane.webhook),
            event_id=event,
            type=item.type,
            partition=self._partition,
            offset=item.ref.offset,
            index=item.ref.place,
            attempt=item.tries,
            at=self.now - latency,
            outcome=judgement.outcome,
            latency=latency,
            status=None if answer is None else answer.status,
            error=judgement.error,
            answer="" if answer is None else answer.body.decode("utf-8", "replace"),
            next_at=judgement.next_at,
            replay=item.ref.replay,
        )
        self._told.deliveries.append((b"%d" % lane.webhook, deliveries.encode(attempt)))

    def gap(self, webhook: int, customer_id: str, stretch: Range, end: int, why: str) -> None:
        """The endpoint is not sent what stands in the stretch, before ``end``."""
        gap = Gap(
            webhook_id=webhook,
            customer_id=customer_id,
            partition=self._partition,
            first=max(0, stretch.offset),
            last=max(0, end - 1),
            since=stretch.at,
            until=max(self.now, stretch.at),
            at=self.now,
            reason=why,
        )
        self._told.deliveries.append((b"%d" % webhook, deliveries.encode(gap)))
        self._told = self._told._replace(gaps=self._told.gaps + 1)

    def missed(self, endpoint: Endpoint, event: DomainEvent) -> None:
        """An inactive endpoint was active when the event was accepted: one gap for all since the last transaction."""
        stretch = self._missed.setdefault(endpoint.id, Range(event.offset, 0, event.at))
        stretch.end = event.offset + 1
        self._owners[endpoint.id] = endpoint

    def faults(self, found: list[Fault]) -> None:
        self._told.dead.extend(found)

    def take(self) -> Told:
        """All of it; the next begins empty."""
        for id, stretch in self._missed.items():
            endpoint = self._owners[id]
            self.gap(id, endpoint.webhook.customer_id, stretch, stretch.end or 0, why(endpoint))
        self._missed.clear()
        self._owners.clear()
        told, self._told = self._told, Told([], 0, [])
        return told


def why(endpoint: Endpoint | None) -> str:
    """Why nothing is sent to it."""
    if endpoint is None:
        return "the endpoint was deleted"
    disabled = endpoint.webhook.disabled
    return f"the endpoint was disabled: {disabled}" if disabled else "the endpoint was deactivated"
