"""The broker's time, estimated from the append times of our own heartbeats. Pure.

A heartbeat is sent at one moment of our monotonic clock and acknowledged at another; the broker stamps it in between.
So at the acknowledgement the broker's clock showed at least that stamp, and at the sending at most that. From then on
the monotonic clock counts. This machine's wall clock is never used.
"""

from collections import deque
from typing import NamedTuple

MILLION = 1_000_000
KEPT = 10
"""Number of heartbeats used, so the two clocks may drift apart by as much as they do in that many seconds."""


class _Bounds(NamedTuple):
    """The least and the most that the broker's clock is ahead of ours, in ns."""

    least: int
    most: int


class BrokerClock:
    """An estimate that is never ahead of the broker's clock unless that is set back, which the next heartbeat detects.
    It is behind by the quickest acknowledgement of the last few heartbeats."""

    def __init__(self) -> None:
        self._beats: deque[_Bounds] = deque(maxlen=KEPT)
        self._least = 0
        self._last: int | None = None

    def observe(self, sent: int, stamp: int, acknowledged: int) -> None:
        """Add a heartbeat: our monotonic clock before and after it, in ns; the broker's stamp, in ms UTC."""
        ahead = stamp * MILLION
        newest = _Bounds(ahead - acknowledged, ahead + MILLION - sent)
        if any(heartbeat.least > newest.most for heartbeat in self._beats):
            self._beats.clear()  # set back: earlier bounds no longer hold
        self._beats.append(newest)
        self._least = max(heartbeat.least for heartbeat in self._beats)
        self._last = acknowledged

    @property
    def known(self) -> bool:
        return self._last is not None

    def now(self, monotonic: int) -> int:
        """Return the broker's time in ms UTC. ``monotonic`` is our clock in ns. Requires an observed heartbeat."""
        return (self._least + monotonic) // MILLION

    def age(self, monotonic: int) -> float:
        """Return the seconds since the last heartbeat was acknowledged; infinite if none was."""
        return float("inf") if self._last is None else (monotonic - self._last) / 1e9
