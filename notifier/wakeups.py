"""Which queues are to be looked at, and when: at once, or at the earliest time that was asked for. Pure."""

from heapq import heappop, heappush


class WakeupQueue:
    """Times are ms UTC. Each wake-up happens once."""

    def __init__(self) -> None:
        self._now: set[int] = set()
        self._heap: list[tuple[int, int]] = []
        self._due: dict[int, int] = {}

    def wake_now(self, id: int) -> None:
        self._now.add(id)

    def wake_at(self, id: int, due: int) -> None:
        """Not later than ``due``."""
        known = self._due.get(id)
        if known is None or due < known:
            self._due[id] = due
            heappush(self._heap, (due, id))

    def take(self, now: int) -> set[int]:
        """All that are due now."""
        while self._heap and self._heap[0][0] <= now:
            due, id = heappop(self._heap)
            if self._due.get(id) == due:  # else an earlier one came after it
                del self._due[id]
                self._now.add(id)
        found, self._now = self._now, set()
        return found

    def next(self) -> int | None:
        """When :meth:`take` may have something that it has not now."""
        return self._heap[0][0] if self._heap else None
