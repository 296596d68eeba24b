"""Makes all decisions of one partition's worker: how far it has read, its queues, what to write.

The worker reads, sends, waits and commits; the scheduler decides what. notifier.matcher matches events,
notifier.endpoint_queue is the queue of one endpoint, notifier.recorder records deliveries. Pure: time (ms
UTC) and randomness are passed in. One transaction writes the result of :meth:`snapshot`, so at every moment
the log records for each (event, endpoint) that it was delivered or given up, or where it waits.
"""

from collections.abc import Callable
from typing import NamedTuple

from notifier import backlog
from notifier.backlog import BacklogPosition
from notifier.delivery import Delivery, OffsetRange, Payload
from notifier.endpoint_queue import EndpointQueue
from notifier.endpoints import Endpoint, Endpoints
from notifier.entry_page import EntryPage
from notifier.matcher import Matcher
from notifier.queues import Queues, position_of
from notifier.recorder import DeliveryRecorder, RecordedDeliveries, why
from notifier.refill import GONE
from notifier.resource_limits import ResourceLimits
from notifier.sender import WebhookResponse
from schemas import deliveries
from schemas.limits import DAY

OLDEST = 35 * DAY
"""Longest wait: rev.entries keeps 36 days, and what waits longer is given up while it can still be replayed."""
CONFIGURED = frozenset({"pricing.updated", "key.created", "key.revoked", "webhook.disabled", "webhook.test"})
"""Types of events that occur only in the configuration shard."""
NEVER = 1 << 62


class DeliveryRules(NamedTuple):
    """Settings of the scheduler. ``disable_after``: ms; ``backlog``: records; ``partitions``: of rev.entries."""

    disable_after: int
    backlog: int
    partitions: int
    oldest: int = OLDEST


class DeliveryAttempt(NamedTuple):
    """Attempt to make now."""

    endpoint: Endpoint
    delivery: Delivery
    payload: Payload


class TransactionRecords(NamedTuple):
    """Records that one transaction writes: those of rev.backlogs, and those of the recorder."""

    backlogs: list[tuple[bytes, bytes | None]]
    records: RecordedDeliveries


class DeliveryScheduler:
    """Scheduler of one partition. ``jitter`` returns numbers in [0, 1)."""

    def __init__(
        self,
        partition: int,
        endpoints: Endpoints,
        limits: ResourceLimits,
        rules: DeliveryRules,
        jitter: Callable[[], float],
    ) -> None:
        self.partition = partition
        self.queues = Queues(limits)
        self._endpoints = endpoints
        self._rules = rules
        self._jitter = jitter
        self._recorder = DeliveryRecorder(partition)
        self._matcher = Matcher(partition, rules.partitions, endpoints, self.queues, self._recorder)
        self._stop_listening = endpoints.listen(self._endpoint_changed)

    @property
    def next(self) -> int:
        """Next offset to match, -1 before :meth:`begin`."""
        return self._matcher.next

    def close(self) -> None:
        """Free what this scheduler holds of the limits."""
        self._stop_listening()
        self.queues.release()

    # -- beginning

    def restore(self, pairs: dict[bytes, bytes]) -> BacklogPosition | None:
        """Restore what rev.backlogs holds. Return the position; None if the partition never had an owner."""
        self.queues.restore(pairs)
        return position_of(pairs)

    def begin(self, next: int, known: BacklogPosition | None, first: int, now: int) -> None:
        """Continue from ``next``. ``known``: the restored position; ``first``: where the log begins. An
        endpoint that changed after the position may have missed what was matched before, so it gets a
        range."""
        self._matcher.begin(next, first, now)
        for queue in self.queues:
            kept = self._endpoints.get(queue.webhook)
            if kept is None or not kept.webhook.active:
                self._close(queue, kept, now)
        if known is not None:
            for endpoint in self._endpoints.all():
                if endpoint.offset >= known.config and endpoint.webhook.active:
                    is_new = endpoint.id > known.webhook
                    self._matcher.look_back(endpoint, endpoint.webhook.created_at if is_new else endpoint.changed_at)
        self.log_begins(first, now)
        self.queues.look_at_all()

    def log_begins(self, first: int, now: int) -> None:
        """Give up, visibly, what refers to offsets before ``first``, which retention has deleted."""
        for queue in self.queues:
            for lost in [one for one in queue.ranges if one.resolved and one.offset < first]:
                last = first if lost.end is None else min(first, lost.end)
                self._recorder.gap(queue.webhook, queue.customer_id, lost, last, GONE, now)
                queue.advance(lost, last, 0, lost.at, self.next)
            for delivery in queue.without_body(first):
                self._recorder.attempt(queue, queue.discard(delivery, GONE), now)

    # -- endpoints

    def _endpoint_changed(self, id: int, before: Endpoint | None, after: Endpoint | None, now: int) -> None:
        queue = self.queues.get(id)
        if after is None or not after.webhook.active:
            if queue is not None and queue.closed is None:
                self._close(queue, after, now)
            return
        if before is None:
            self._matcher.look_back(after, after.webhook.created_at)
        elif not before.webhook.active or set(after.webhook.events) - set(before.webhook.events):
            self._matcher.look_back(after, after.changed_at)
        if queue is not None:
            self.queues.look_at(queue)

    def _close(self, queue: EndpointQueue, endpoint: Endpoint | None, now: int) -> None:
        reason = why(endpoint)
        dropped, ranges = queue.close(reason)
        for result in dropped:
            self._recorder.attempt(queue, result, now)
        for left in ranges:
            end = self.next if left.end is None else left.end
            self._recorder.gap(queue.webhook, queue.customer_id, left, end, reason, now)

    # -- reading

    def tail(self, page: EntryPage, now: int) -> None:
        """Match the events that follow :attr:`next`."""
        self._matcher.tail(page, now)

    def read(self, page: EntryPage, now: int) -> None:
        """Give every queue that lags or lacks a body what the page has for it."""
        self._matcher.catch_up(page, now)

    def want(self) -> int | None:
        """Return the offset from which records need to be read; None if no queue needs any."""
        return self.queues.wanted()

    def unresolved(self) -> list[tuple[EndpointQueue, OffsetRange]]:
        """Return the ranges whose start has to be looked up by time."""
        return self.queues.unresolved()

    def resolve(self, queue: EndpointQueue, offset_range: OffsetRange, offset: int, first: int, now: int) -> None:
        """Set the start of a range. ``offset``: of the first record at or after its time, or the log's end;
        ``first``: where the log begins."""
        if offset_range in queue.ranges:
            if 0 < offset <= first and not offset_range.replay:
                self._recorder.gap(queue.webhook, queue.customer_id, offset_range, offset, GONE, now)
            queue.resolve(offset_range, offset)

    # -- sending

    def start(self, now: int) -> list[DeliveryAttempt]:
        """Return the attempts to make now."""
        attempts: list[DeliveryAttempt] = []
        for queue in self.queues.due(now):
            endpoint = self._endpoints.active(queue.webhook)
            if endpoint is None:
                continue
            attempts += [
                DeliveryAttempt(endpoint, one, one.payload) for one in queue.start(now) if one.payload is not None
            ]
            self.queues.started(queue, now)
        return attempts

    def next_due(self) -> int | None:
        """Return when to call :meth:`start` again, unless something happens before."""
        return self.queues.next_due()

    def answered(self, attempt: DeliveryAttempt, answer: WebhookResponse, now: int) -> deliveries.Outcome:
        """Record the response to an attempt."""
        endpoint, delivery, _ = attempt
        queue = self.queues[endpoint.id]
        hook = (self._endpoints.get(endpoint.id) or endpoint).webhook
        patience = self._rules.disable_after if self._decides(endpoint) else NEVER
        result = queue.answered(delivery.ref, answer, now, self._jitter(), hook.rotated_at, patience)
        self._recorder.attempt(queue, result, now, answer)
        self.queues.retry_memory()
        return result.decision.outcome

    def not_sent(self, attempt: DeliveryAttempt, wait: int, now: int) -> None:
        """Record that an attempt was not made because of a shortage on this side. The next one is in
        ``wait`` ms, up to twice as many."""
        queue = self.queues[attempt.endpoint.id]
        result = queue.not_sent(attempt.delivery.ref, wait, now, self._jitter())
        if result is not None:
            self._recorder.attempt(queue, result, now)

    def _decides(self, endpoint: Endpoint) -> bool:
        """True if this partition sees enough of the endpoint to disable it."""
        return self.partition == self._matcher.home(endpoint) or CONFIGURED.issuperset(endpoint.webhook.events)

    # -- looking after

    def tick(self, now: int) -> list[tuple[Endpoint, str]]:
        """Return the endpoints to disable, and why. Call it about every second."""
        self.queues.retry_memory()
        limit, oldest = self._rules.backlog, now - self._rules.oldest
        for queue in self.queues.behind():
            since = queue.ranges.oldest()
            if queue.ranges.behind(self.next) > limit:
                queue.disable(f"more than {limit} records wait to be processed")
            elif since is not None and since < oldest and any(one.resolved for one in queue.ranges):
                queue.disable("its backlog is older than the guaranteed retention of the log")
        disabling = [queue for queue in self.queues if queue.disabling and not queue.closed]
        found = [(self._endpoints.active(queue.webhook), queue.disabling or "") for queue in disabling]
        return [(endpoint, reason) for endpoint, reason in found if endpoint is not None]

    @property
    def unwritten(self) -> int:
        """Number of attempts that are in no transaction yet."""
        return len(self._recorder)

    @property
    def dirty(self) -> bool:
        """True if there is something to write besides the position."""
        return self.queues.dirty or not self._recorder.empty

    def snapshot(self, now: int) -> TransactionRecords:
        """Return everything that changed since the last call, and the position that it belongs to."""
        pairs = self.queues.take_changes()
        position = BacklogPosition(self.next, self._endpoints.next, self._endpoints.newest, self._endpoints.epoch or "")
        pairs.append((backlog.POSITION, backlog.encode(position)))
        return TransactionRecords(pairs, self._recorder.take(now))
