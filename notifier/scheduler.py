"""All that one partition's worker decides: how far it has read, its queues, what to write down.

The worker reads, sends, waits and commits; this says what. Pure: time (ms UTC) and randomness
are passed in. What :meth:`snapshot` gives is written in one transaction, so at every moment
the log holds for each (event, endpoint) that it was delivered or given up, or where it waits.
"""

from collections.abc import Callable
from typing import NamedTuple

from notifier import backlog
from notifier.backlog import BacklogPosition
from notifier.backlog_codec import changes, read_queues
from notifier.delivery import Delivery, EntryRef, OffsetRange, Payload
from notifier.endpoint_queue import EndpointQueue
from notifier.endpoints import Endpoint, Endpoints
from notifier.entry_page import EntryLine, EntryPage
from notifier.events import DomainEvent, ReplayJob
from notifier.recorder import DeliveryRecorder, RecordedDeliveries, why
from notifier.refill import GONE, refill
from notifier.resource_limits import ResourceLimits
from notifier.sender import WebhookResponse
from notifier.wakeups import WakeupQueue
from schemas import deliveries
from schemas.limits import DAY
from schemas.topics import CONFIG_KEY, partition_of

OLDEST = 35 * DAY
"""Of rev.entries' 36 days: what waits longer is given up while it can still be replayed."""
CONFIGURED = frozenset({"pricing.updated", "key.created", "key.revoked", "webhook.disabled", "webhook.test"})
"""What happens in the configuration shard alone."""
NEVER = 1 << 62


class DeliveryRules(NamedTuple):
    """``disable_after``: ms; ``backlog``: records; ``partitions``: of rev.entries."""

    disable_after: int
    backlog: int
    partitions: int
    oldest: int = OLDEST


class DeliveryAttempt(NamedTuple):
    """One try that is to be made now."""

    endpoint: Endpoint
    delivery: Delivery
    payload: Payload


class TransactionRecords(NamedTuple):
    """What one transaction writes: records of rev.backlogs, and what was recorded."""

    backlogs: list[tuple[bytes, bytes | None]]
    records: RecordedDeliveries


class DeliveryScheduler:
    """``jitter`` gives numbers in [0, 1). ``next``: the next offset to be matched, -1 before :meth:`begin`."""

    def __init__(
        self,
        partition: int,
        endpoints: Endpoints,
        limits: ResourceLimits,
        rules: DeliveryRules,
        jitter: Callable[[], float],
    ) -> None:
        self.partition = partition
        self.next = -1
        self.queues: dict[int, EndpointQueue] = {}
        self._endpoints = endpoints
        self._limits = limits
        self._rules = rules
        self._jitter = jitter
        self._configuration = partition_of(CONFIG_KEY, rules.partitions)
        self._recorder = DeliveryRecorder(partition)
        self._seen = -1
        self._wakeups = WakeupQueue()
        self._behind: dict[int, None] = {}
        self._no_memory: set[int] = set()
        self._dirty: set[int] = set()
        self._known: set[int] = set()
        self._quiet = endpoints.listen(self._changed)

    def close(self) -> None:
        """Release what this scheduler holds of the limits."""
        self._quiet()
        for queue in self.queues.values():
            queue.release()

    # -- beginning

    def restore(self, pairs: dict[bytes, bytes]) -> BacklogPosition | None:
        """Take over what rev.backlogs holds; the position, None of a partition that nobody had yet."""
        self.queues = read_queues(pairs, self._limits)
        self._known = set(self.queues)
        found = pairs.get(backlog.POSITION)
        return None if found is None else backlog.decode_position(found)

    def begin(self, next: int, known: BacklogPosition | None, first: int, now: int) -> None:
        """Go on from ``next``. ``known``: the position that was restored; ``first``: where the log begins.
        Endpoints that changed after it may have missed what was matched before: they get a range."""
        self._recorder.now = now
        if next < first:
            for endpoint in self._endpoints.all():
                if self.partition in (self._home(endpoint), self._configuration):
                    lost = OffsetRange(next, first, endpoint.webhook.created_at)
                    self._recorder.gap(endpoint.id, endpoint.webhook.customer_id, lost, first, GONE)
        self.next = max(next, first)
        for queue in list(self.queues.values()):
            kept = self._endpoints.get(queue.webhook)
            if kept is None or not kept.webhook.active:
                self._close(queue, kept)
        if known is not None:
            for endpoint in self._endpoints.all():
                if endpoint.offset >= known.config and endpoint.webhook.active:
                    is_new = endpoint.id > known.webhook
                    self._look_back(endpoint, endpoint.webhook.created_at if is_new else endpoint.changed_at)
        self.log_begins(first, now)
        for queue in self.queues.values():
            self._note(queue)

    def log_begins(self, first: int, now: int) -> None:
        """Retention has taken what is before ``first``: what still referred to it is given up visibly."""
        self._recorder.now = now
        for queue in self.queues.values():
            for offset_range in [s for s in queue.ranges if s.resolved and s.offset < first]:
                last = first if offset_range.end is None else min(first, offset_range.end)
                self._recorder.gap(queue.webhook, queue.customer_id, offset_range, last, GONE)
                queue.advance(offset_range, last, 0, offset_range.at, self.next)
            for delivery in [i for i in queue.deliveries.values() if i.ref.offset < first and i.payload is None]:
                if delivery.ref not in queue.in_flight:
                    self._recorder.attempt(queue, queue.discard(delivery, GONE))
            self._note(queue)

    # -- endpoints

    def _changed(self, id: int, before: Endpoint | None, after: Endpoint | None) -> None:
        queue = self.queues.get(id)
        if after is None or not after.webhook.active:
            if queue is not None and queue.closed is None:
                self._close(queue, after)
            return
        if before is None:
            self._look_back(after, after.webhook.created_at)
        elif not before.webhook.active or set(after.webhook.events) - set(before.webhook.events):
            self._look_back(after, after.changed_at)
        if queue is not None:
            self._note(queue)

    def _look_back(self, endpoint: Endpoint, since: int) -> None:
        """The endpoint may have been unknown when events from ``since`` on were matched."""
        if self.next < 0 or self.partition not in (self._home(endpoint), self._configuration):
            return
        queue = self._queue(endpoint)
        if queue.closed is not None:
            queue.reopen()
        if not 0 <= self._seen < since:  # nothing that was matched is so young
            queue.add_range(OffsetRange(-1, self.next, since))
        self._note(queue)

    def _queue(self, endpoint: Endpoint) -> EndpointQueue:
        queue = self.queues.get(endpoint.id)
        if queue is None:
            queue = self.queues[endpoint.id] = EndpointQueue(endpoint.id, endpoint.webhook.customer_id, self._limits)
        return queue

    def _close(self, queue: EndpointQueue, endpoint: Endpoint | None) -> None:
        reason = why(endpoint)
        dropped, ranges = queue.close(reason)
        for result in dropped:
            self._recorder.attempt(queue, result)
        for offset_range in ranges:
            self._recorder.gap(
                queue.webhook,
                queue.customer_id,
                offset_range,
                self.next if offset_range.end is None else offset_range.end,
                reason,
            )
        self._note(queue)

    # -- reading

    def tail(self, page: EntryPage, now: int) -> None:
        """Match what follows :attr:`next`."""
        self._recorder.now = now
        for line in page.after(self.next):
            self.next, self._seen = line.offset + 1, line.at
            if line.key == CONFIG_KEY or self._endpoints.has(line.key):
                self._match(page, line)
        self.next = max(self.next, page.next)
        self._recorder.faults(page.faults)

    def _match(self, page: EntryPage, line: EntryLine) -> None:
        for event in page.events(line):
            for endpoint in self._endpoints.wanting(event):
                if event.at >= endpoint.webhook.created_at:
                    self._offer(page, line, event, self._queue(endpoint))
            for endpoint in self._endpoints.missing(event):
                if event.at >= endpoint.webhook.created_at:
                    self._recorder.missed(endpoint, event)
        for job in page.jobs(line):
            self._replay(job, line.at)

    def _offer(self, page: EntryPage, line: EntryLine, event: DomainEvent, queue: EndpointQueue) -> None:
        payload = None if queue.lagging else page.payload(line, event)
        if payload is None:
            return
        for result in queue.offer(EntryRef(event.offset, event.event_index), payload, self._recorder.now):
            self._recorder.attempt(queue, result)
        self._note(queue)

    def _replay(self, job: ReplayJob, at: int) -> None:
        asked = job.command
        endpoint = self._endpoints.get(asked.id)
        here = asked.partition is None or asked.partition == self.partition
        if not here or endpoint is None or endpoint.webhook.customer_id != asked.customer_id:
            return
        event_index = asked.index or 0
        offset_range = OffsetRange(-1, job.offset, asked.since or 0, replay=True)
        if asked.offset is not None:
            offset_range = OffsetRange(
                asked.offset, asked.offset + 1, at, event_index=event_index, replay=True, only=event_index
            )
        if not endpoint.webhook.active:
            self._recorder.gap(asked.id, asked.customer_id, offset_range, offset_range.end or 0, why(endpoint))
            return
        queue = self._queue(endpoint)
        queue.add_range(offset_range)
        self._note(queue)

    def unresolved(self) -> list[tuple[EndpointQueue, OffsetRange]]:
        """Ranges whose beginning has to be asked for by their time."""
        return [
            (queue, s) for id in self._behind for queue in [self.queues[id]] for s in queue.ranges if not s.resolved
        ]

    def resolve(self, queue: EndpointQueue, offset_range: OffsetRange, offset: int, first: int) -> None:
        """``offset``: of the first record at or after its time, or the log's end; ``first``: where the log begins."""
        if offset_range in queue.ranges:
            if 0 < offset <= first and not offset_range.replay:
                self._recorder.gap(queue.webhook, queue.customer_id, offset_range, offset, GONE)
            queue.resolve(offset_range, offset)
            self._note(queue)

    def want(self) -> int | None:
        """The offset from which somebody has to have records read, each queue in turn; None: nobody has."""
        for id in list(self._behind):
            found = None if id in self._no_memory else self.queues[id].wanted()
            if found is not None:
                del self._behind[id]
                self._behind[id] = None
                return found
        return None

    def read(self, page: EntryPage, now: int) -> None:
        """Give every queue that lags or lacks a body what the page has for it."""
        self._recorder.now = now
        for id in list(self._behind):
            queue = self.queues[id]
            endpoint = self._endpoints.active(id)
            if endpoint is None or queue.closed or queue.disabling:
                continue
            if not refill(page, queue, endpoint, self._recorder, self.next):
                self._no_memory.add(id)
            self._note(queue)
        self._recorder.faults(page.faults)

    # -- sending

    def start(self, now: int) -> list[DeliveryAttempt]:
        """What to send now."""
        self._recorder.now = now
        attempts: list[DeliveryAttempt] = []
        for id in self._wakeups.take(now):
            queue, endpoint = self.queues.get(id), self._endpoints.active(id)
            if queue is None or endpoint is None:
                continue
            attempts += [DeliveryAttempt(endpoint, i, i.payload) for i in queue.start(now) if i.payload is not None]
            self._time(queue, now)
            self._note_behind(queue)
        return attempts

    def next_due(self) -> int | None:
        """When :meth:`start` has to be asked again, unless something happens before."""
        return self._wakeups.next()

    def _time(self, queue: EndpointQueue, now: int) -> None:
        due = queue.next_due()
        if due is not None:
            # due already, and not started: there was no room in flight for it; it is looked at again soon
            self._wakeups.wake_at(queue.webhook, due if due > now else now + 50)

    def answered(self, attempt: DeliveryAttempt, answer: WebhookResponse, now: int) -> deliveries.Outcome:
        """A try has ended."""
        self._recorder.now = now
        endpoint, delivery, _ = attempt
        queue = self.queues[endpoint.id]
        hook = (self._endpoints.get(endpoint.id) or endpoint).webhook
        patience = self._rules.disable_after if self._decides(endpoint) else NEVER
        result = queue.answered(delivery.ref, answer, now, self._jitter(), hook.rotated_at, patience)
        self._recorder.attempt(queue, result, answer)
        self._no_memory.clear()
        self._note(queue)
        return result.decision.outcome

    def not_sent(self, attempt: DeliveryAttempt, wait: int, now: int) -> None:
        """A try was not made, for a lack on this side; another is in ``wait`` ms, up to twice as many."""
        self._recorder.now = now
        queue = self.queues[attempt.endpoint.id]
        result = queue.not_sent(attempt.delivery.ref, wait, now, self._jitter())
        if result is not None:
            self._recorder.attempt(queue, result)
        self._note(queue)

    def _decides(self, endpoint: Endpoint) -> bool:
        """Whether this partition sees enough of the endpoint to give it up."""
        return self.partition == self._home(endpoint) or CONFIGURED.issuperset(endpoint.webhook.events)

    def _home(self, endpoint: Endpoint) -> int:
        """Where the events of the endpoint's owner are, those of the configuration aside."""
        return partition_of(endpoint.webhook.customer_id.encode(), self._rules.partitions)

    # -- looking after

    def tick(self, now: int) -> list[tuple[Endpoint, str]]:
        """To be asked every second or so; endpoints that are to be disabled, and why."""
        self._recorder.now = now
        self._no_memory.clear()
        limit, oldest = self._rules.backlog, now - self._rules.oldest
        for id in self._behind:
            queue = self.queues[id]
            since = queue.ranges.oldest()
            if queue.ranges.behind(self.next) > limit:
                queue.disable(f"more than {limit} records wait to be considered")
            elif since is not None and since < oldest and any(s.resolved for s in queue.ranges):
                queue.disable("its backlog is older than what the log keeps for sure")
        disabling = [queue for queue in self.queues.values() if queue.disabling and not queue.closed]
        found = [(self._endpoints.active(queue.webhook), queue.disabling or "") for queue in disabling]
        return [(endpoint, reason) for endpoint, reason in found if endpoint is not None]

    @property
    def unwritten(self) -> int:
        """Attempts that no transaction holds yet."""
        return len(self._recorder)

    @property
    def dirty(self) -> bool:
        """Whether there is something to write down beside the position."""
        return bool(self._dirty) or not self._recorder.empty

    def snapshot(self) -> TransactionRecords:
        """Everything that changed since the last one, and the position that it belongs to."""
        pairs: list[tuple[bytes, bytes | None]] = []
        for id in sorted(self._dirty):
            pairs += self._changes(self.queues[id])
        self._dirty.clear()
        position = BacklogPosition(self.next, self._endpoints.next, self._endpoints.newest, self._endpoints.epoch or "")
        pairs.append((backlog.POSITION, backlog.encode(position)))
        return TransactionRecords(pairs, self._recorder.take())

    def _changes(self, queue: EndpointQueue) -> list[tuple[bytes, bytes | None]]:
        id = queue.webhook
        found = list(changes(queue, id in self._known))
        queue.written()
        if not queue.idle:
            self._known.add(id)
            return found
        self._known.discard(id)
        if queue.closed:
            del self.queues[id]
            self._behind.pop(id, None)
        return found

    def _note(self, queue: EndpointQueue) -> None:
        """Something of the queue has changed."""
        id = queue.webhook
        if queue.touched or queue.changed:
            self._dirty.add(id)
        self._wakeups.wake_now(id)
        self._note_behind(queue)

    def _note_behind(self, queue: EndpointQueue) -> None:
        if queue.ranges or queue.unread:
            self._behind.setdefault(queue.webhook)
        else:
            self._behind.pop(queue.webhook, None)
