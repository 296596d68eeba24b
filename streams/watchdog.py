"""Detection of a consumer that has gone silent (seen in aiokafka after a broker restart). No I/O."""

from streams.clients import Clock

SILENT = "silent"
STUCK = "stuck"


class Watchdog:
    """A watchdog with a limit of ``limit`` seconds without a fetch, or at one position below the known end."""

    def __init__(self, limit: float, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._fetched: int | None = None
        self._position = -1
        self.reset()

    def reset(self) -> None:
        """Restart the timing: the consumer was just created or just returned records."""
        self._heard = self._moved = self._clock()

    def observe(self, position: int, end: int | None, fetched: int | None) -> str | None:
        """Return why the consumer must be replaced, or None. ``position``: next offset; ``end``: the stable end that it
        knows, or None; ``fetched``: mark of its last fetch, which changes with each one."""
        now = self._clock()
        if fetched != self._fetched:
            self._fetched, self._heard = fetched, now
        if position != self._position or end is None or position >= end:
            self._position, self._moved = position, now
        if now - self._heard > self._limit:
            return SILENT
        return STUCK if now - self._moved > self._limit else None
