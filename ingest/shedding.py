"""Load shedding: estimates how far each shard is behind and decides which requests wait. Pure.

A shard's lag is the age of the oldest acknowledged append of this gateway that the shard's
position has not passed. Appends are kept in buckets of 10 ms, so the memory of a long
outage is bounded. Only appends that want a reply are kept, since a reply is what moves
the position. The clock (seconds, monotonic) is passed in.

A reply can be lost, and then only a later one gives the position. So what was learned
before a silence counts against nobody, and a shard that refuses accepts one command now
and then to get a reply.
"""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum

WAIT_UNTIL = 1.0
"""Seconds of lag above which a 202 is returned at once."""
REFUSE_FROM = 10.0
"""Seconds of lag above which the customers with most unanswered events get a 429."""
BUCKET = 0.01
"""Seconds of appends that share a bucket."""
MAX_BUCKETS = 8192
PROBE = 0.5
"""Seconds without an append after which a refusing shard accepts one."""
SILENCE = 1.0
"""Seconds without an append after which older ones no longer count."""


class ShardLoad(Enum):
    """The way in which a request is served: await the reply, accept at once, or refuse."""

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
        """Time when the last append was acknowledged."""

    def silence(self, now: float) -> float:
        """Return the seconds since the last append."""
        return now - self.latest

    def forget(self, position: int, now: float) -> None:
        """Drop what the shard has read, and everything after a silence.

        ``position`` is the next offset that the shard will read.
        """
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
        """Return the lag in seconds; 0 when nothing is unanswered."""
        held = self._shards.get(shard)
        if held is None:
            return 0.0
        now = self._clock()
        held.forget(self._positions.get(shard, -1), now)
        return now - held.buckets[0].began if held.buckets else 0.0

    def decide(self, shard: int, customer: str) -> ShardLoad:
        """Decide how to serve a new command of the customer.

        Refuse only customers with at least the average number of unanswered events: one of many small
        customers is never refused.
        """
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
        """True if a command that does not wait should still get a reply.

        Such replies give the shard's position when nobody waits.
        """
        held = self._shards.get(shard)
        return held is None or not held.buckets or self._clock() - held.buckets[-1].began >= BUCKET

    def appended(self, shard: int, offset: int, customer: str, events: int) -> None:
        """Record that an append that wants a reply was acknowledged."""
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
        """Return the lag in seconds of every shard that was ever appended to."""
        return {shard: self.lag(shard) for shard in self._shards}
