"""Which lanes are to be looked at, and when: at once, or at the earliest time that was asked for. Pure."""

from heapq import heappop, heappush


class Alarms:
    """Times are ms UTC. Each alarm goes off once."""

    def __init__(self) -> None:
        self._at_once: set[int] = set()
        self._heap: list[tuple[int, int]] = []
        self._due: dict[int, int] = {}

    def at_once(self, id: int) -> None:
        self._at_once.add(id)

    def at(self, id: int, due: int) -> None:
        """Not later than ``due``."""
        known = self._due.get(id)
        if known is None or due < known:
            self._due[id] = due
            heappush(self._heap, (due, id))

    def take(self, now: int) -> set[int]:
        """All that go off now."""
        while self._heap and self._heap[0][0] <= now:
            due, id = heappop(self._heap)
            if self._due.get(id) == due:  # else an earlier one came after it
                del self._due[id]
                self._at_once.add(id)
        found, self._at_once = self._at_once, set()
        return found

    def next(self) -> int | None:
        """When :meth:`take` may have something that it has not now."""
        return self._heap[0][0] if self._heap else None
