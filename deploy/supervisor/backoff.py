"""How long a child that died waits before it is started again. Pure: the clock is the caller's."""

from dataclasses import dataclass


@dataclass
class Backoff:
    """Doubles from ``first`` to ``longest`` seconds; a child that was up for ``settled``
    seconds begins again at ``first``."""

    first: float = 0.02
    longest: float = 5.0
    settled: float = 5.0
    _next: float = 0.0

    def after(self, up: float) -> float:
        """Seconds to wait now that the child has died after ``up`` seconds."""
        delay = self.first if up >= self.settled or not self._next else self._next
        self._next = min(delay * 2, self.longest)
        return delay
