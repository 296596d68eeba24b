"""The times at which the blocks of one process are written: all its partitions at once.

A statement costs the engine tens of ms however small it is, and one carries the blocks of every partition that are
ready (ledger/insert_batcher.py). So partitions share their write times, and the interval grows with the duration of the
last statement: a busy machine gets fewer, larger blocks (docs/decisions/0006). No I/O.
"""

from collections.abc import Callable

LINGER = 0.3
"""Minimum seconds from the start of one write to that of the next."""
MAX_LINGER = 0.6
"""Maximum seconds, so that an entry can be queried within a second."""
FACTOR = 8
"""Between the two, the interval is this many times the duration of the last write."""
GATHER = 0.1
"""Minimum seconds that the first record after a pause waits: what arrived during a long write is read in several
pieces, and the first is small."""


class InsertSchedule:
    """A schedule shared by a process. ``clock``: monotonic seconds; ``linger``: see LINGER, smaller in tests."""

    def __init__(self, clock: Callable[[], float], linger: float = LINGER) -> None:
        self._clock = clock
        self._linger = linger
        self._begin = -MAX_LINGER
        self._took = 0.0
        self._next = float("-inf")

    def due(self) -> float:
        """Return when to write a block whose first record was just read."""
        now = self._clock()
        if self._next <= now:
            distance = min(max(self._linger, FACTOR * self._took), max(self._linger, MAX_LINGER))
            self._next = max(self._begin + distance, now + min(self._linger, GATHER))
        return self._next

    def begins(self) -> None:
        """Note that a write begins."""
        self._begin = self._clock()

    def took(self, seconds: float) -> None:
        """Note the duration of a write."""
        self._took = seconds
