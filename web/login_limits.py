"""Limits on login attempts, per client and in total. Pure: the clock (seconds, monotonic) is passed in.

An attempt is counted before the token is compared, so that many at once are counted as well. A success takes the
client's attempts off again.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW = 300.0
"""Seconds for which an attempt counts."""
PER_CLIENT = 5
IN_TOTAL = 100
MOST_CLIENTS = 10_000
"""Clients that are kept; the one that was seen first is forgotten first. The total counts in any case."""


class LoginLimits:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clients: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def attempt(self, client: str) -> float:
        """Count an attempt and return 0; or return the seconds to wait, and count nothing."""
        now = self._clock()
        mine = self._clients.setdefault(client, deque())
        wait = max(_wait(mine, PER_CLIENT, now), _wait(self._all, IN_TOTAL, now))
        if wait > 0:
            return wait
        mine.append(now)
        self._all.append(now)
        self._clients.move_to_end(client)
        while len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0

    def succeeded(self, client: str) -> None:
        """Forget the client's attempts."""
        for at in self._clients.pop(client, ()):
            if at in self._all:
                self._all.remove(at)


def _wait(attempts: deque[float], most: int, now: float) -> float:
    """Drop what is over; return the seconds until one more attempt is allowed."""
    while attempts and attempts[0] <= now - WINDOW:
        attempts.popleft()
    return attempts[0] + WINDOW - now if len(attempts) >= most else 0.0
