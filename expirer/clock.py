"""What time the broker has, told from the append times of our own heartbeats. Pure.

A heartbeat is sent at one moment of our monotonic clock and acknowledged at another; the broker
stamped it in between. So at the acknowledgement the broker's clock showed at least that stamp,
and when it was sent at most that. From then on the monotonic clock counts. This machine's wall
clock is never looked at.
"""

from collections import deque
from typing import NamedTuple

MILLION = 1_000_000
KEPT = 10
"""Heartbeats that are believed; so the two clocks may drift apart by as much as in that many seconds."""


class _Bounds(NamedTuple):
    """Least and most that the broker's clock is ahead of ours, ns."""

    least: int
    most: int


class BrokerClock:
    """Never ahead of the broker's clock, as long as that is not set back; when it is, the next
    heartbeat notices. Behind it by the quickest acknowledgement of the last few heartbeats."""

    def __init__(self) -> None:
        self._beats: deque[_Bounds] = deque(maxlen=KEPT)
        self._least = 0
        self._last: int | None = None

    def observe(self, sent: int, stamp: int, acknowledged: int) -> None:
        """A heartbeat: our monotonic clock before and after it, ns; the broker's stamp, ms UTC."""
        ahead = stamp * MILLION
        newest = _Bounds(ahead - acknowledged, ahead + MILLION - sent)
        if any(heartbeat.least > newest.most for heartbeat in self._beats):
            self._beats.clear()  # set back: what was true before is not any more
        self._beats.append(newest)
        self._least = max(heartbeat.least for heartbeat in self._beats)
        self._last = acknowledged

    @property
    def known(self) -> bool:
        return self._last is not None

    def now(self, monotonic: int) -> int:
        """ms UTC by the broker's clock. ``monotonic``: ours, ns. Only once a heartbeat was observed."""
        return (self._least + monotonic) // MILLION

    def age(self, monotonic: int) -> float:
        """Seconds since the last heartbeat was acknowledged; infinite if none was."""
        return float("inf") if self._last is None else (monotonic - self._last) / 1e9
