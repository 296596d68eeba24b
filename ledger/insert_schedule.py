"""When the blocks of one process are written: all its partitions at the same moments.

A statement costs the engine tens of ms however small it is, and one carries the blocks of every
partition that are there at once (ledger/insert_batcher.py). So partitions share their moments, and the
distance between them grows with what the last statement took: a busy machine gets fewer, larger
blocks (docs/decisions/0006). No I/O may come in here.
"""

from collections.abc import Callable

LINGER = 0.3
"""Seconds from the beginning of one write to that of the next, at least."""
MAX_LINGER = 0.6
"""…and at most, so that an entry can be queried within a second."""
FACTOR = 8
"""In between, so many times what the last write took."""
GATHER = 0.1
"""Seconds that the first record after a pause waits in any case: what came during a long write is
read in several pieces, and the first is small."""


class InsertSchedule:
    """``clock``: seconds that only go forward; ``linger``: see LINGER, smaller in tests."""

    def __init__(self, clock: Callable[[], float], linger: float = LINGER) -> None:
        self._clock = clock
        self._linger = linger
        self._begin = -MAX_LINGER
        self._took = 0.0
        self._next = float("-inf")

    def due(self) -> float:
        """When a block is to be written whose first record was read just now."""
        now = self._clock()
        if self._next <= now:
            distance = min(max(self._linger, FACTOR * self._took), max(self._linger, MAX_LINGER))
            self._next = max(self._begin + distance, now + min(self._linger, GATHER))
        return self._next

    def begins(self) -> None:
        """A block is being written."""
        self._begin = self._clock()

    def took(self, seconds: float) -> None:
        """A block was written in so many seconds."""
        self._took = seconds
