"""Matches entries with queues: which endpoint wants which event, at the tail and for lagging queues. Pure.

Times are ms UTC and passed in.
"""

from notifier.delivery import EntryRef, OffsetRange
from notifier.endpoints import Endpoint, Endpoints
from notifier.entry_page import EntryLine, EntryPage
from notifier.events import DomainEvent, ReplayJob
from notifier.queues import Queues
from notifier.recorder import DeliveryRecorder, why
from notifier.refill import GONE, refill
from schemas.topics import CONFIG_KEY, partition_of


class Matcher:
    """Matcher of one partition. ``next``: next offset to match, -1 before :meth:`begin`. ``partitions``:
    number of partitions of rev.entries."""

    def __init__(
        self, partition: int, partitions: int, endpoints: Endpoints, queues: Queues, recorder: DeliveryRecorder
    ) -> None:
        self.partition = partition
        self.next = -1
        self._partitions = partitions
        self._endpoints = endpoints
        self._queues = queues
        self._recorder = recorder
        self._configuration = partition_of(CONFIG_KEY, partitions)
        self._seen = -1

    def begin(self, next: int, first: int, now: int) -> None:
        """Continue from ``next``; ``first``: where the log begins."""
        if next < first:
            for endpoint in self._endpoints.all():
                if self._concerns(endpoint):
                    lost = OffsetRange(next, first, endpoint.webhook.created_at)
                    self._recorder.gap(endpoint.id, endpoint.webhook.customer_id, lost, first, GONE, now)
        self.next = max(next, first)

    def tail(self, page: EntryPage, now: int) -> None:
        """Match the events that follow :attr:`next`."""
        for line in page.after(self.next):
            self.next, self._seen = line.offset + 1, line.at
            if line.key == CONFIG_KEY or self._endpoints.has(line.key):
                self._match(page, line, now)
        self.next = max(self.next, page.next)
        self._recorder.faults(page.faults)

    def catch_up(self, page: EntryPage, now: int) -> None:
        """Give every queue that lags or lacks a body what the page has for it."""
        for queue in self._queues.behind():
            endpoint = self._endpoints.active(queue.webhook)
            if endpoint is None or queue.closed or queue.disabling:
                continue
            if not refill(page, queue, endpoint, self._recorder, self.next, now):
                self._queues.found_no_memory(queue)
        self._recorder.faults(page.faults)

    def look_back(self, endpoint: Endpoint, since: int) -> None:
        """Add a range from ``since`` on: the endpoint may have been unknown when those events were matched."""
        if self.next < 0 or not self._concerns(endpoint):
            return
        queue = self._queues.of(endpoint)
        if queue.closed is not None:
            queue.reopen()
        if not 0 <= self._seen < since:  # nothing matched is that recent
            queue.add_range(OffsetRange(-1, self.next, since))

    def home(self, endpoint: Endpoint) -> int:
        """Return the partition of the events of the endpoint's owner, configuration events aside."""
        return partition_of(endpoint.webhook.customer_id.encode(), self._partitions)

    def _concerns(self, endpoint: Endpoint) -> bool:
        return self.partition in (self.home(endpoint), self._configuration)

    def _match(self, page: EntryPage, line: EntryLine, now: int) -> None:
        for event in page.events(line):
            for endpoint in self._endpoints.wanting(event):
                if event.at >= endpoint.webhook.created_at:
                    self._offer(page, line, event, endpoint, now)
            for endpoint in self._endpoints.missing(event):
                if event.at >= endpoint.webhook.created_at:
                    self._recorder.missed(endpoint, event)
        for job in page.jobs(line):
            self._replay(job, line.at, now)

    def _offer(self, page: EntryPage, line: EntryLine, event: DomainEvent, endpoint: Endpoint, now: int) -> None:
        queue = self._queues.of(endpoint)
        payload = None if queue.lagging else page.payload(line, event)
        if payload is None:
            return
        for result in queue.offer(EntryRef(event.offset, event.event_index), payload, now):
            self._recorder.attempt(queue, result, now)

    def _replay(self, job: ReplayJob, at: int, now: int) -> None:
        asked = job.command
        endpoint = self._endpoints.get(asked.id)
        here = asked.partition is None or asked.partition == self.partition
        if not here or endpoint is None or endpoint.webhook.customer_id != asked.customer_id:
            return
        index = asked.index or 0
        wanted = OffsetRange(-1, job.offset, asked.since or 0, replay=True)
        if asked.offset is not None:
            wanted = OffsetRange(asked.offset, asked.offset + 1, at, event_index=index, replay=True, only=index)
        if not endpoint.webhook.active:
            self._recorder.gap(asked.id, asked.customer_id, wanted, wanted.end or 0, why(endpoint), now)
            return
        self._queues.of(endpoint).add_range(wanted)
