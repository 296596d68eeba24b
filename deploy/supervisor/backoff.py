"""Delay before a child that died is restarted. Pure: the caller has the clock."""

from dataclasses import dataclass


@dataclass
class Backoff:
    """Delay that doubles from ``first`` to ``longest`` seconds.

    A child that was up for ``settled`` seconds begins again at ``first``.
    """

    first: float = 0.02
    longest: float = 5.0
    settled: float = 5.0
    _next: float = 0.0

    def after(self, up: float) -> float:
        """Return the seconds to wait after a child died that was up for ``up`` seconds."""
        delay = self.first if up >= self.settled or not self._next else self._next
        self._next = min(delay * 2, self.longest)
        return delay
