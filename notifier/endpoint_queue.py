"""One endpoint in one partition: what it still has to be sent, and when.

A queue stands at the tail and is offered every event, or lags: then what it has not considered
is a range of offsets, which costs nothing however long it gets, until it has room again. What
it took is delivered, tried again, or given up visibly; nothing leaves in any other way.
Pure: time (ms UTC) and randomness are passed in; reading, sending and writing may not come in.
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
"""Requests in flight at most."""
FIRST_WINDOW = 4
"""…and before anything is known of the endpoint; a success adds one, a failure halves."""
LEAST_WINDOW = 2
DOWN = 3
"""After so many failures in a row an endpoint counts as failing."""
TAIL_QUEUE = 256
"""First tries that may wait at the tail; fewer where they come from a range, so that new events find room."""
RANGE_QUEUE = 128
FAILING_QUEUE = 4
RETRIES = 2_000
"""Deliveries that may wait to be tried again."""
EVICTED = 50
"""When they are too many though the endpoint works, so many of the oldest are given up at once."""
PROBE = MINUTE
"""A queue that is full of retries tries one at least so often, to see whether the endpoint is back."""
SOON = 1_000
"""ms, up to twice as many, until that is sent again which this side could not send; to the endpoint nothing
is sent before."""
SELDOM = MINUTE
"""…where a person has to mend something first."""
KEEP = 10_000
"""A body is kept for a retry that is due within so many ms."""


class AttemptResult(NamedTuple):
    """How a try ended. ``delivery.tries`` counts it."""

    delivery: Delivery
    decision: RetryDecision


class EndpointQueue:
    """Whatever changes it says so through ``changed``, so that no caller has to. ``disabling``: why the endpoint is to
    be disabled; nothing is sent any more. ``closed``: why it was deleted or deactivated."""

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
        """Whether its record is to be written…"""
        self.changed: set[EntryRef] = set()
        """…and which retries."""
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
        """Whether new events are left to a range."""
        return self.ranges.lagging

    @property
    def full(self) -> bool:
        """Whether retries leave no room."""
        scarce = self.failing and self._limits.references.used > self._limits.references.most // 2
        return self.retries >= (RETRIES // 20 if scarce else RETRIES)

    def capacity(self, queue: int) -> int:
        """How many first tries may be taken now, of a queue that long."""
        if self.closed or self.disabling or (self.full and self.failing):
            return 0
        return max(0, (FAILING_QUEUE if self.failing else queue) - (len(self.deliveries) - self.retries))

    def offer(self, ref: EntryRef, payload: Payload, now: int) -> list[AttemptResult]:
        """An event at the tail: taken, or left to a range. What was given up to make room."""
        if self.lagging:
            return []
        if self.capacity(TAIL_QUEUE) and self._take(ref, payload, now):
            return self._evict() if self.full else []
        self._touch()
        self.ranges.put(OffsetRange(ref.offset, None, payload.at, event_index=ref.event_index))
        return []

    def refill(self, ref: EntryRef, payload: Payload, now: int) -> bool:
        """An event out of a range; False when there is no room for it now."""
        return ref in self.deliveries or (self.capacity(RANGE_QUEUE) > 0 and self._take(ref, payload, now))

    def load_body(self, ref: EntryRef, payload: Payload) -> bool:
        """The body of an :attr:`unread` delivery; False when there is no memory for it now."""
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
        """A delivery that a former owner of the partition had in hand."""
        self._add(delivery)

    def restore_record(
        self, failures: int, failing_since: int | None, hold: int, ranges: Iterable[OffsetRange]
    ) -> None:
        """What a former owner knew of the endpoint, and had not considered. ``hold``: ms UTC."""
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
        """The queue's own record has changed."""
        self.touched = True
        self._tell_changed(self)

    def _push(self, delivery: Delivery) -> None:
        self._turn += 1
        heapq.heappush(
            self._unloaded if delivery.payload is None else self._ready, (delivery.due, self._turn, delivery.ref)
        )

    # -- sending

    def start(self, now: int) -> list[Delivery]:
        """What to send now; from here on it is in flight."""
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
        """Whether the body of one more reference may be asked for."""
        return self._loaded + len(self.unread) < 2 * WINDOW + (0 if self.failing else TAIL_QUEUE)

    def _has_due(self, heap: list[tuple[int, int, EntryRef]], now: int) -> bool:
        due = self._first(heap)
        return due is not None and due <= now

    def _first(self, heap: list[tuple[int, int, EntryRef]]) -> int | None:
        """When the first of a heap is due; what was overtaken by another due or an end is thrown away."""
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
        """When :meth:`start` has something to do again; None while only an answer or a reading can tell."""
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
        """A try has ended. ``disable_after``: ms without a success after which the endpoint is given up."""
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
        """What :meth:`start` gave could not be sent, for a lack on this side: nothing is held against the
        endpoint. ``wait``: ms. A result only if it was closed meanwhile."""
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
        """Those before this offset, not in flight, whose body only the log has."""
        return [
            one
            for one in self.deliveries.values()
            if one.ref.offset < first and one.payload is None and one.ref not in self.in_flight
        ]

    def disable(self, why: str) -> None:
        """Send nothing any more: the endpoint is going to be disabled."""
        if self.disabling is None:
            self.disabling = why

    def _evict(self) -> list[AttemptResult]:
        """The endpoint works but for some events: the oldest of those make room for new ones."""
        waiting = [
            delivery for delivery in self.deliveries.values() if delivery.tries and delivery.ref not in self.in_flight
        ]
        waiting.sort(key=lambda delivery: (-delivery.tries, delivery.ref))
        return [self.discard(delivery, "too many deliveries wait to be tried again") for delivery in waiting[:EVICTED]]

    def discard(self, delivery: Delivery, why: str) -> AttemptResult:
        """Give one delivery up that is not in flight."""
        self._remove(delivery)
        return AttemptResult(delivery, RetryDecision("dead" if delivery.tries else "dropped", error=why))

    def close(self, why: str) -> tuple[list[AttemptResult], list[OffsetRange]]:
        """Everything that waits is given up; what is in flight may still end well."""
        self.closed = why
        dropped = []
        for delivery in [delivery for ref, delivery in self.deliveries.items() if ref not in self.in_flight]:
            self._remove(delivery)
            dropped.append(AttemptResult(delivery, RetryDecision("dropped", error=why)))
        self._touch()
        return dropped, self.ranges.clear()

    def reopen(self) -> None:
        """The endpoint is active again; what is in flight goes on."""
        self.closed = self.disabling = self.failing_since = None
        self.failures = self.hold = 0
        self._touch()

    def release(self) -> None:
        """This worker lets go: what was taken of the limits is free again, nothing is decided."""
        self._limits.in_flight.free(len(self.in_flight))
        for delivery in self.deliveries.values():
            self._limits.references.used -= 1
            self._unload(delivery)
        self.deliveries, self.in_flight, self.unread = {}, set(), {}
        self.ranges.clear()

    # -- ranges

    def add_range(self, added: OffsetRange) -> None:
        """One more range to consider."""
        self._touch()
        self.ranges.add(added)

    def resolve(self, offset_range: OffsetRange, offset: int) -> None:
        """Where a range that was given by its time begins."""
        self._touch()
        self.ranges.resolve(offset_range, offset)

    def advance(self, offset_range: OffsetRange, offset: int, event_index: int, at: int, tail: int) -> None:
        """The range was considered up to here. ``tail``: next offset of the partition's tail."""
        self._touch()
        self.ranges.advance(offset_range, offset, event_index, at, tail)

    def wanted(self) -> int | None:
        """The offset that this queue has to have read next, or None."""
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
        """Whether nothing at all is left to remember."""
        healthy = not self.failures and self.failing_since is None and not self.hold
        return not self.deliveries and not self.ranges and (healthy or self.closed is not None)

    def written(self) -> None:
        """The log holds what this queue is now."""
        self.touched = False
        self.changed.clear()

    def first_tries(self) -> Iterator[Delivery]:
        return (delivery for delivery in self.deliveries.values() if not delivery.tries)
