"""Queue of one endpoint in one partition: what it still has to be sent, and when.

A queue at the tail is offered every event. A queue that lags keeps what it has not considered as a range of
offsets, which costs nothing however long it gets, until the queue has room again. Every delivery it takes
is delivered, retried, or given up visibly; none leaves in any other way. Pure: time (ms UTC) and randomness
are passed in; no reading, sending or writing belongs here.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from notifier.delivery import Delivery, EntryRef, OffsetRange, Payload
from notifier.offset_ranges import OffsetRanges
from notifier.resource_limits import ResourceLimits
from notifier.retry_policy import RetryDecision, decide_retry
from notifier.sender import WebhookResponse
from schemas.limits import MINUTE

WINDOW = 16
"""Maximum requests in flight."""
FIRST_WINDOW = 4
"""Initial window, before anything is known of the endpoint. A success adds one, a failure halves it."""
LEAST_WINDOW = 2
DOWN = 3
"""Number of failures in a row after which an endpoint counts as failing."""
TAIL_QUEUE = 256
"""Maximum first attempts that wait at the tail. The limit for events from a range is lower, so that new
events find room."""
RANGE_QUEUE = 128
FAILING_QUEUE = 4
RETRIES = 2_000
"""Maximum deliveries that wait for a retry."""
EVICTED = 50
"""Number of the oldest retries to give up at once when there are too many although the endpoint works."""
PROBE = MINUTE
"""Interval, ms, at which a queue full of retries makes at least one attempt, to see whether the endpoint is back."""
SOON = 1_000
"""Wait, ms, up to doubled by jitter, before an attempt that failed on this side is made again. Nothing is
sent to the endpoint before then."""
SELDOM = MINUTE
"""Wait, ms, when a person has to fix something first."""
KEEP = 10_000
"""Keep the body for a retry that is due within this many ms."""


class AttemptResult(NamedTuple):
    """Result of an attempt. ``delivery.tries`` includes it."""

    delivery: Delivery
    decision: RetryDecision


class EndpointQueue:
    """Queue of one endpoint. Every change reports itself through ``changed``, so that callers do not have
    to. ``disabling``: reason why the endpoint is to be disabled; nothing more is sent. ``closed``: reason
    why it was deleted or deactivated."""

    def __init__(
        self, webhook: int, customer_id: str, limits: ResourceLimits, changed: Callable[["EndpointQueue"], None]
    ) -> None:
        self.webhook = webhook
        self.customer_id = customer_id
        self._tell_changed = changed
        self.deliveries: dict[EntryRef, Delivery] = {}
        self.ranges = OffsetRanges()
        self.in_flight: set[EntryRef] = set()
        self.failing_since: int | None = None
        self.failures = 0
        self.hold = 0
        self.disabling: str | None = None
        self.closed: str | None = None
        self.touched = False
        """True if the queue's own record has to be written."""
        self.changed: set[EntryRef] = set()
        """References of the retries to write."""
        self.unread: dict[EntryRef, Delivery] = {}
        self._limits = limits
        self._ready: list[tuple[int, int, EntryRef]] = []
        self._unloaded: list[tuple[int, int, EntryRef]] = []
        self._loaded = 0
        self.retries = 0
        self._window = float(FIRST_WINDOW)
        self._last_try = 0
        self._turn = 0

    # -- taking

    @property
    def failing(self) -> bool:
        return self.failures >= DOWN

    @property
    def lagging(self) -> bool:
        """True if new events are left to a range."""
        return self.ranges.lagging

    @property
    def full(self) -> bool:
        """True if retries leave no room."""
        scarce = self.failing and self._limits.references.used > self._limits.references.most // 2
        return self.retries >= (RETRIES // 20 if scarce else RETRIES)

    def capacity(self, queue: int) -> int:
        """Return how many first attempts can be taken now if ``queue`` of them may wait."""
        if self.closed or self.disabling or (self.full and self.failing):
            return 0
        return max(0, (FAILING_QUEUE if self.failing else queue) - (len(self.deliveries) - self.retries))

    def offer(self, ref: EntryRef, payload: Payload, now: int) -> list[AttemptResult]:
        """Take an event at the tail, or leave it to a range. Return what was given up to make room."""
        if self.lagging:
            return []
        if self.capacity(TAIL_QUEUE) and self._take(ref, payload, now):
            return self._evict() if self.full else []
        self._touch()
        self.ranges.put(OffsetRange(ref.offset, None, payload.at, event_index=ref.event_index))
        return []

    def refill(self, ref: EntryRef, payload: Payload, now: int) -> bool:
        """Take an event from a range. Return False if there is no room for it now."""
        return ref in self.deliveries or (self.capacity(RANGE_QUEUE) > 0 and self._take(ref, payload, now))

    def load_body(self, ref: EntryRef, payload: Payload) -> bool:
        """Load the body of an :attr:`unread` delivery. Return False if there is no memory for it now."""
        delivery = self.unread.get(ref)
        if delivery is None:
            return True
        if not self._limits.bodies.take(payload.size, not self.failing):
            return False
        del self.unread[ref]
        self._tell_changed(self)
        self._loaded += 1
        delivery.payload, delivery.event, delivery.type = payload, payload.event, payload.type
        self._push(delivery)
        return True

    def _take(self, ref: EntryRef, payload: Payload, now: int) -> bool:
        if ref in self.deliveries:
            return True
        if not self._limits.bodies.take(payload.size, not self.failing):
            return False
        self._add(Delivery(ref, payload.event, payload.type, now, payload=payload))
        return True

    def restore(self, delivery: Delivery) -> None:
        """Restore a delivery of a former owner of the partition."""
        self._add(delivery)

    def restore_record(
        self, failures: int, failing_since: int | None, hold: int, ranges: Iterable[OffsetRange]
    ) -> None:
        """Restore a former owner's record of the endpoint and the ranges not considered. ``hold``: ms UTC."""
        self.failures, self.failing_since, self.hold = failures, failing_since, hold
        for one in ranges:
            self.ranges.put(one)

    def _add(self, delivery: Delivery) -> None:
        self._limits.references.used += 1
        self._loaded += delivery.payload is not None
        self.deliveries[delivery.ref] = delivery
        self.retries += delivery.tries > 0
        self._mark(delivery)
        self._push(delivery)

    def _mark(self, delivery: Delivery) -> None:
        if delivery.tries:
            self.changed.add(delivery.ref)
            self._tell_changed(self)
        else:
            self._touch()

    def _touch(self) -> None:
        """Mark the queue's own record as changed."""
        self.touched = True
        self._tell_changed(self)

    def _push(self, delivery: Delivery) -> None:
        self._turn += 1
        heapq.heappush(
            self._unloaded if delivery.payload is None else self._ready, (delivery.due, self._turn, delivery.ref)
        )

    # -- sending

    def start(self, now: int) -> list[Delivery]:
        """Return the deliveries to send now and mark them as in flight."""
        if self.closed or self.disabling or now < self.hold:
            return []
        self._probe(now)
        while self._has_due(self._unloaded, now) and self._may_load():
            ref = heapq.heappop(self._unloaded)[2]
            self.unread[ref] = self.deliveries[ref]
            self._tell_changed(self)
        started: list[Delivery] = []
        while len(self.in_flight) < int(self._window) and self._has_due(self._ready, now):
            if not self._limits.in_flight.take(1, not self.failing):
                break
            delivery = self.deliveries[heapq.heappop(self._ready)[2]]
            self.in_flight.add(delivery.ref)
            self._last_try = now
            started.append(delivery)
        return started

    def _may_load(self) -> bool:
        """True if the body of one more reference may be requested."""
        return self._loaded + len(self.unread) < 2 * WINDOW + (0 if self.failing else TAIL_QUEUE)

    def _has_due(self, heap: list[tuple[int, int, EntryRef]], now: int) -> bool:
        due = self._first(heap)
        return due is not None and due <= now

    def _first(self, heap: list[tuple[int, int, EntryRef]]) -> int | None:
        """Return when the first item of a heap is due. Discard items that are outdated: the due time
        changed or the delivery ended."""
        while heap:
            due, _, ref = heap[0]
            delivery = self.deliveries.get(ref)
            unloaded = delivery is not None and delivery.payload is None
            busy = ref in self.in_flight or ref in self.unread
            if delivery is not None and delivery.due == due and not busy and unloaded == (heap is self._unloaded):
                return due
            heapq.heappop(heap)
        return None

    def _probe(self, now: int) -> None:
        if self.full and self.failing and not self.in_flight and not self.unread and now - self._last_try >= PROBE:
            first = min(self.deliveries.values(), key=lambda delivery: delivery.due, default=None)
            if first is not None and first.due > now:
                self._due(first, now)

    def _due(self, delivery: Delivery, due: int) -> None:
        delivery.due = due
        self._mark(delivery)
        self._push(delivery)

    def next_due(self) -> int | None:
        """Return when :meth:`start` next has something to do; None if that depends on a response or a read."""
        if self.closed or self.disabling:
            return None
        ready = self._first(self._ready) if len(self.in_flight) < int(self._window) else None
        unloaded = self._first(self._unloaded) if self._may_load() else None
        found = [due for due in (ready, unloaded) if due is not None]
        if not found:
            return None
        if self.full and self.failing and not self.in_flight and not self.unread:
            found.append(self._last_try + PROBE)
        return max(min(found), self.hold)

    def answered(
        self,
        ref: EntryRef,
        answer: WebhookResponse,
        now: int,
        jitter: float,
        rotated_at: int | None,
        disable_after: int,
    ) -> AttemptResult:
        """Record the response to an attempt. ``disable_after``: ms without a success after which the
        endpoint is disabled."""
        delivery = self.deliveries[ref]
        self.in_flight.discard(ref)
        self._limits.in_flight.free(1)
        decision = decide_retry(delivery.tries + 1, answer, now, jitter, rotated_at)
        if decision.outcome == "delivered":
            self._succeeded(now)
        else:
            self._failed(now, decision, disable_after)
        if self.closed and decision.outcome == "retry":
            decision = RetryDecision("dropped", error=f"{decision.error}; {self.closed}")
        if decision.outcome == "retry":
            assert decision.next_at is not None
            self._again(delivery, decision.next_at, now)
        else:
            self._remove(delivery)
            delivery.tries += 1
        return AttemptResult(delivery, decision)

    def not_sent(self, ref: EntryRef, wait: int, now: int, jitter: float) -> AttemptResult | None:
        """Requeue an attempt from :meth:`start` that was not made because of a shortage on this side; it
        does not count against the endpoint. ``wait``: ms. Return a result only if the queue was closed
        meanwhile."""
        delivery = self.deliveries[ref]
        self.in_flight.discard(ref)
        self._limits.in_flight.free(1)
        if self.closed:
            self._remove(delivery)
            return AttemptResult(delivery, RetryDecision("dropped", error=self.closed))
        again = now + wait + int(wait * jitter)
        self.hold = max(self.hold, again)
        self._due(delivery, again)
        return None

    def _succeeded(self, now: int) -> None:
        self._window = min(WINDOW, self._window + 1)
        back = self.failing and self.full
        if self.failures or self.failing_since is not None or self.hold:
            self._touch()
        self.failures, self.failing_since, self.hold = 0, None, 0
        if back:
            for delivery in [
                delivery
                for delivery in self.deliveries.values()
                if delivery.due > now and delivery.ref not in self.in_flight
            ]:
                self._due(delivery, now)

    def _failed(self, now: int, decision: RetryDecision, disable_after: int) -> None:
        self._touch()
        self._window = max(LEAST_WINDOW, self._window / 2)
        self.failures += 1
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.hold = max(self.hold, decision.hold or 0)
        if decision.disable is not None:
            self.disable(decision.disable)
        elif now - self.failing_since >= disable_after:
            self.disable(f"no delivery succeeded for {(now - self.failing_since) // 3_600_000} hours")

    def _again(self, delivery: Delivery, due: int, now: int) -> None:
        self._mark(delivery)
        self.retries += delivery.tries == 0
        delivery.tries += 1
        if due - now > KEEP or self.failing:
            self._unload(delivery)
        self._due(delivery, due)

    def _remove(self, delivery: Delivery) -> None:
        del self.deliveries[delivery.ref]
        self.unread.pop(delivery.ref, None)
        self._mark(delivery)
        self.retries -= delivery.tries > 0
        self._limits.references.used -= 1
        self._unload(delivery)

    def _unload(self, delivery: Delivery) -> None:
        if delivery.payload is not None:
            self._loaded -= 1
            self._limits.bodies.free(delivery.payload.size)
            delivery.payload = None

    # -- giving up

    def without_body(self, first: int) -> list[Delivery]:
        """Return deliveries before this offset that are not in flight and whose body is only in the log."""
        return [
            one
            for one in self.deliveries.values()
            if one.ref.offset < first and one.payload is None and one.ref not in self.in_flight
        ]

    def disable(self, why: str) -> None:
        """Stop sending: the endpoint is about to be disabled."""
        if self.disabling is None:
            self.disabling = why

    def _evict(self) -> list[AttemptResult]:
        """Give up the oldest retries to make room for new events: the endpoint works except for some events."""
        waiting = [
            delivery for delivery in self.deliveries.values() if delivery.tries and delivery.ref not in self.in_flight
        ]
        waiting.sort(key=lambda delivery: (-delivery.tries, delivery.ref))
        return [self.discard(delivery, "too many deliveries wait for a retry") for delivery in waiting[:EVICTED]]

    def discard(self, delivery: Delivery, why: str) -> AttemptResult:
        """Give up one delivery that is not in flight."""
        self._remove(delivery)
        return AttemptResult(delivery, RetryDecision("dead" if delivery.tries else "dropped", error=why))

    def close(self, why: str) -> tuple[list[AttemptResult], list[OffsetRange]]:
        """Give up everything that waits; attempts in flight may still succeed."""
        self.closed = why
        dropped = []
        for delivery in [delivery for ref, delivery in self.deliveries.items() if ref not in self.in_flight]:
            self._remove(delivery)
            dropped.append(AttemptResult(delivery, RetryDecision("dropped", error=why)))
        self._touch()
        return dropped, self.ranges.clear()

    def reopen(self) -> None:
        """Reopen the queue: the endpoint is active again. Attempts in flight continue."""
        self.closed = self.disabling = self.failing_since = None
        self.failures = self.hold = 0
        self._touch()

    def release(self) -> None:
        """Free what the queue holds of the limits, without deciding anything: this worker releases the partition."""
        self._limits.in_flight.free(len(self.in_flight))
        for delivery in self.deliveries.values():
            self._limits.references.used -= 1
            self._unload(delivery)
        self.deliveries, self.in_flight, self.unread = {}, set(), {}
        self.ranges.clear()

    # -- ranges

    def add_range(self, added: OffsetRange) -> None:
        """Add a range to consider."""
        self._touch()
        self.ranges.add(added)

    def resolve(self, offset_range: OffsetRange, offset: int) -> None:
        """Set the start of a range that was given by its time."""
        self._touch()
        self.ranges.resolve(offset_range, offset)

    def advance(self, offset_range: OffsetRange, offset: int, event_index: int, at: int, tail: int) -> None:
        """Record how far the range was considered. ``tail``: next offset of the partition's tail."""
        self._touch()
        self.ranges.advance(offset_range, offset, event_index, at, tail)

    def wanted(self) -> int | None:
        """Return the offset that this queue needs read next, or None."""
        if self.closed or self.disabling:
            return None
        if self.unread:
            return min(self.unread).offset
        if self.capacity(RANGE_QUEUE) <= (0 if self.failing else RANGE_QUEUE // 4):
            return None
        offset_range = self.ranges.first()
        return None if offset_range is None else offset_range.offset

    @property
    def idle(self) -> bool:
        """True if the queue has nothing left to remember."""
        healthy = not self.failures and self.failing_since is None and not self.hold
        return not self.deliveries and not self.ranges and (healthy or self.closed is not None)

    def written(self) -> None:
        """Mark the current state of the queue as written to the log."""
        self.touched = False
        self.changed.clear()

    def first_tries(self) -> Iterator[Delivery]:
        return (delivery for delivery in self.deliveries.values() if not delivery.tries)
