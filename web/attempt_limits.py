"""Limits on attempts, per client and in total. Pure: the clock (seconds, monotonic) is passed in.

An attempt is counted before it is looked at, so that many at once are counted as well. What was no attempt after all,
such as a login that succeeds, is taken off again.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

MOST_CLIENTS = 10_000
"""Clients that are kept; the one that was seen first is forgotten first. The total counts in any case."""


class Allowance(NamedTuple):
    """How many attempts a client, and all together, have in ``window`` seconds."""

    window: float
    per_client: int
    in_total: int


LOGINS = Allowance(window=300.0, per_client=5, in_total=100)
SIGNUPS = Allowance(window=3600.0, per_client=5, in_total=100)


class AttemptLimits:
    def __init__(self, allowance: Allowance, clock: Callable[[], float]) -> None:
        self._allowance = allowance
        self._clock = clock
        self._clients: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def attempt(self, client: str) -> float:
        """Count an attempt and return 0; or return the seconds to wait, and count nothing."""
        now = self._clock()
        mine = self._clients.setdefault(client, deque())
        wait = max(
            self._wait(mine, self._allowance.per_client, now), self._wait(self._all, self._allowance.in_total, now)
        )
        if wait > 0:
            return wait
        mine.append(now)
        self._all.append(now)
        self._clients.move_to_end(client)
        while len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0

    def forget(self, client: str) -> None:
        """Take the client's attempts off."""
        for at in self._clients.pop(client, ()):
            if at in self._all:
                self._all.remove(at)

    def _wait(self, attempts: deque[float], most: int, now: float) -> float:
        """Drop what is over; return the seconds until one more attempt is allowed."""
        window = self._allowance.window
        while attempts and attempts[0] <= now - window:
            attempts.popleft()
        return attempts[0] + window - now if len(attempts) >= most else 0.0
