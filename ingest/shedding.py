"""How far each shard is behind, as this gateway sees it, and whom to let wait. Pure.

A shard's lag is the age of the oldest acknowledged append of this gateway that the shard's
position has not passed. Appends are kept in buckets of 10 ms, so the memory of a long
outage is bounded. Only appends that asked for an answer are kept: an answer is what moves
the position. The clock (seconds, monotonic) is passed in.

An answer can be lost, and then only a later one tells the position. So what was learned
before a silence is not held against anyone, and a shard that refuses lets one command in
now and then to ask.
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
PROBE = 0.5
"""Seconds without an append after which a refusing shard lets one in."""
SILENCE = 1.0
"""Seconds without an append after which older ones say nothing about the shard any more."""


class ShardLoad(Enum):
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
        self.latest = 0.0
        """When the last append was acknowledged."""

    def silence(self, now: float) -> float:
        """Seconds since the last append."""
        return now - self.latest

    def forget(self, position: int, now: float) -> None:
        """Drop what the shard has read (``position`` is the next offset that it will read), and
        everything after a silence."""
        if self.silence(now) > SILENCE:
            self.buckets.clear()
            self.unanswered.clear()
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
        now = self._clock()
        held.forget(self._positions.get(shard, -1), now)
        return now - held.buckets[0].began if held.buckets else 0.0

    def decide(self, shard: int, customer: str) -> ShardLoad:
        """What a new command of the customer may expect. Refused are those who have at least
        the average of what is unanswered: one of many small customers never is."""
        lag = self.lag(shard)
        if lag <= WAIT_UNTIL:
            return ShardLoad.ANSWER
        held = self._shards[shard]
        if lag <= REFUSE_FROM or held.silence(self._clock()) > PROBE:
            return ShardLoad.ACCEPT
        unanswered = held.unanswered
        average_or_more = unanswered[customer] * len(unanswered) >= unanswered.total()
        return ShardLoad.REFUSE if average_or_more else ShardLoad.ACCEPT

    def due(self, shard: int) -> bool:
        """Whether a command that waits for no answer should ask for one all the same, so that
        the shard's position is learned also when nobody waits."""
        held = self._shards.get(shard)
        return held is None or not held.buckets or self._clock() - held.buckets[-1].began >= BUCKET

    def appended(self, shard: int, offset: int, customer: str, events: int) -> None:
        """An append that asked for an answer was acknowledged."""
        held = self._shards.setdefault(shard, _Shard())
        now, position = self._clock(), self._positions.get(shard, -1)
        held.forget(position, now)
        if offset < position:
            return
        held.latest = now
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
