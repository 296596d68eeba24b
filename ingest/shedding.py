"""How far each shard is behind, as this gateway sees it, and whom to let wait. Pure.

A shard's lag is the age of the oldest acknowledged append of this gateway that the shard's
position has not passed. Appends are kept in buckets of 10 ms, so the memory of a long
outage is bounded. Only appends that asked for an answer are kept: an answer is what moves
the position. The clock (seconds, monotonic) is passed in.
"""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum

WAIT_UNTIL = 1.0
"""Seconds of lag from which on a 202 is given at once."""
REFUSE_FROM = 10.0
"""Seconds of lag from which on those with most unanswered events get a 429."""
BUCKET = 0.01
"""Seconds of appends that are remembered together."""
MAX_BUCKETS = 8192


class Load(Enum):
    """What a request may expect of its shard."""

    ANSWER = "answer"
    ACCEPT = "accept"
    REFUSE = "refuse"


class _Bucket:
    __slots__ = ("began", "events", "last")

    def __init__(self, began: float, last: int) -> None:
        self.began = began
        self.last = last
        self.events: Counter[str] = Counter()


class _Shard:
    def __init__(self) -> None:
        self.buckets: deque[_Bucket] = deque()
        self.unanswered: Counter[str] = Counter()

    def forget_below(self, position: int) -> None:
        """Drop what the shard has read; ``position`` is the next offset that it will read."""
        while self.buckets and self.buckets[0].last < position:
            for customer, events in self.buckets.popleft().events.items():
                left = self.unanswered[customer] - events
                if left > 0:
                    self.unanswered[customer] = left
                else:
                    del self.unanswered[customer]


class Shedder:
    """The gateway's estimate of every shard's lag. ``positions``: next raw offset by shard."""

    def __init__(self, clock: Callable[[], float], positions: dict[int, int]) -> None:
        self._clock = clock
        self._positions = positions
        self._shards: dict[int, _Shard] = {}

    def lag(self, shard: int) -> float:
        """Seconds; 0 when nothing is unanswered."""
        held = self._shards.get(shard)
        if held is None:
            return 0.0
        held.forget_below(self._positions.get(shard, -1))
        return self._clock() - held.buckets[0].began if held.buckets else 0.0

    def judge(self, shard: int, customer: str) -> Load:
        """What a new command of the customer may expect. Refused are those who have at least
        the average of what is unanswered: one of many small customers never is."""
        lag = self.lag(shard)
        if lag <= WAIT_UNTIL:
            return Load.ANSWER
        unanswered = self._shards[shard].unanswered
        if lag > REFUSE_FROM and unanswered[customer] * len(unanswered) >= unanswered.total() > 0:
            return Load.REFUSE
        return Load.ACCEPT

    def due(self, shard: int) -> bool:
        """Whether a command that waits for no answer should ask for one all the same, so that
        the shard's position is learned also when nobody waits."""
        held = self._shards.get(shard)
        return held is None or not held.buckets or self._clock() - held.buckets[-1].began >= BUCKET

    def appended(self, shard: int, offset: int, customer: str, events: int) -> None:
        """An append that asked for an answer was acknowledged."""
        held = self._shards.setdefault(shard, _Shard())
        held.forget_below(self._positions.get(shard, -1))
        if offset < self._positions.get(shard, -1):
            return
        now = self._clock()
        buckets = held.buckets
        if not buckets or (now - buckets[-1].began >= BUCKET and len(buckets) < MAX_BUCKETS):
            buckets.append(_Bucket(now, offset))
        bucket = buckets[-1]
        bucket.last = max(bucket.last, offset)
        bucket.events[customer] += events
        held.unanswered[customer] += events

    def lags(self) -> dict[int, float]:
        """Seconds by shard, of every shard that was ever appended to."""
        return {shard: self.lag(shard) for shard in self._shards}
