"""Queues to check and when: at once, or at the earliest requested time. Pure."""

from heapq import heappop, heappush


class WakeupQueue:
    """Wake-ups by queue id, each of which happens once. Times are ms UTC."""

    def __init__(self) -> None:
        self._now: set[int] = set()
        self._heap: list[tuple[int, int]] = []
        self._due: dict[int, int] = {}

    def wake_now(self, id: int) -> None:
        self._now.add(id)

    def wake_at(self, id: int, due: int) -> None:
        """Wake the queue no later than ``due``."""
        known = self._due.get(id)
        if known is None or due < known:
            self._due[id] = due
            heappush(self._heap, (due, id))

    def take(self, now: int) -> set[int]:
        """Return all ids that are due now."""
        while self._heap and self._heap[0][0] <= now:
            due, id = heappop(self._heap)
            if self._due.get(id) == due:  # else a later call set an earlier time
                del self._due[id]
                self._now.add(id)
        found, self._now = self._now, set()
        return found

    def next(self) -> int | None:
        """Return when :meth:`take` may next have something that it does not have now."""
        return self._heap[0][0] if self._heap else None
