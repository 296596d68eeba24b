"""Endpoint queues of one partition: which to check and when, which to read for, which to write. Pure.

Each queue reports its own changes and the consequences are derived on demand, so that no caller of a queue
can forget them.
"""

from collections.abc import Iterator

from notifier import backlog
from notifier.backlog_codec import changes, read_queues
from notifier.delivery import OffsetRange
from notifier.endpoint_queue import EndpointQueue
from notifier.endpoints import Endpoint
from notifier.resource_limits import ResourceLimits
from notifier.wakeups import WakeupQueue

SCARCE = 50
"""Wait, ms, before a due queue that found no room in flight is checked again."""


class Queues:
    """All queues of a partition. ``limits``: of the process, shared with other partitions."""

    def __init__(self, limits: ResourceLimits) -> None:
        self._limits = limits
        self._all: dict[int, EndpointQueue] = {}
        self._changed: dict[int, None] = {}
        self._unwritten: set[int] = set()
        self._behind: dict[int, None] = {}
        """Queues that need something read, in the order of their turns."""
        self._no_memory: set[int] = set()
        self._wakeups = WakeupQueue()
        self._known: set[int] = set()
        """Queues that rev.backlogs has a record of."""

    def __iter__(self) -> Iterator[EndpointQueue]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, endpoint: int) -> EndpointQueue | None:
        return self._all.get(endpoint)

    def __getitem__(self, endpoint: int) -> EndpointQueue:
        return self._all[endpoint]

    def of(self, endpoint: Endpoint) -> EndpointQueue:
        """Return the endpoint's queue; create it if there is none."""
        queue = self._all.get(endpoint.id)
        if queue is None:
            queue = EndpointQueue(endpoint.id, endpoint.webhook.customer_id, self._limits, self._note)
            self._all[endpoint.id] = queue
        return queue

    def restore(self, pairs: dict[bytes, bytes]) -> None:
        """Restore the queues from the records of rev.backlogs."""
        self._all = read_queues(pairs, self._limits, self._note)
        self._known = set(self._all)
        self._changed.clear()

    def look_at(self, queue: EndpointQueue) -> None:
        """Check the queue again: its endpoint has changed."""
        self._note(queue)

    def look_at_all(self) -> None:
        """Check every queue once, changed or not."""
        self._changed.update(dict.fromkeys(self._all))

    def release(self) -> None:
        """Stop all queues and free what they hold of the limits."""
        for queue in self._all.values():
            queue.release()

    # -- sending

    def due(self, now: int) -> list[EndpointQueue]:
        """Return the queues that may have something to send now; pass each to :meth:`started` afterwards."""
        self._settle()
        return [queue for id in self._wakeups.take(now) if (queue := self._all.get(id)) is not None]

    def started(self, queue: EndpointQueue, now: int) -> None:
        """Schedule the queue's next wake-up: what it had to send now is in flight."""
        due = queue.next_due()
        if due is not None:
            self._wakeups.wake_at(queue.webhook, due if due > now else now + SCARCE)

    def next_due(self) -> int | None:
        """Return when :meth:`due` next has something, unless something changes before."""
        return self._wakeups.next()

    # -- reading

    def behind(self) -> list[EndpointQueue]:
        """Return the queues that lag or lack bodies."""
        self._settle()
        return [self._all[id] for id in self._behind]

    def unresolved(self) -> list[tuple[EndpointQueue, OffsetRange]]:
        """Return the ranges whose start has to be looked up by time."""
        return [(queue, one) for queue in self.behind() for one in queue.ranges if not one.resolved]

    def wanted(self) -> int | None:
        """Return the offset that the next queue in turn needs read; None if no queue needs any."""
        for queue in self.behind():
            id = queue.webhook
            found = None if id in self._no_memory else queue.wanted()
            if found is not None:
                del self._behind[id]
                self._behind[id] = None
                return found
        return None

    def found_no_memory(self, queue: EndpointQueue) -> None:
        """Read nothing for the queue before :meth:`retry_memory`."""
        self._no_memory.add(queue.webhook)

    def retry_memory(self) -> None:
        """Read for all queues again: memory may be free."""
        self._no_memory.clear()

    # -- writing down

    @property
    def dirty(self) -> bool:
        """True if any change is not written yet."""
        self._settle()
        return bool(self._unwritten)

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return the records of rev.backlogs for all unwritten changes, which then count as written."""
        self._settle()
        pairs: list[tuple[bytes, bytes | None]] = []
        for id in sorted(self._unwritten):
            queue = self._all[id]
            pairs += changes(queue, id in self._known)
            queue.written()
            if not queue.idle:
                self._known.add(id)
                continue
            self._known.discard(id)
            if queue.closed:
                del self._all[id]
                self._behind.pop(id, None)
        self._unwritten.clear()
        return pairs

    def _note(self, queue: EndpointQueue) -> None:
        self._changed[queue.webhook] = None

    def _settle(self) -> None:
        """Apply the consequences of the changes since the last call."""
        changed, self._changed = self._changed, {}
        for id in changed:
            queue = self._all.get(id)
            if queue is None:
                continue
            if queue.touched or queue.changed:
                self._unwritten.add(id)
            self._wakeups.wake_now(id)
            if queue.ranges or queue.unread:
                self._behind.setdefault(id)
            else:
                self._behind.pop(id, None)


def position_of(pairs: dict[bytes, bytes]) -> backlog.BacklogPosition | None:
    """Return the position in the records of rev.backlogs; None if the partition never had an owner."""
    found = pairs.get(backlog.POSITION)
    return None if found is None else backlog.decode_position(found)
