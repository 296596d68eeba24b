"""Put on PYTHONPATH by the outcome tests: the wall clock of the expirer alone is off by REV_TEST_SKEW
seconds; `steps`: it jumps between an hour ahead and an hour behind every five seconds."""

import datetime
import os
import sys
import time

HOUR = 3600
_REAL, _REAL_NS, _MONOTONIC = time.time, time.time_ns, time.monotonic


def _off() -> int:
    skew = os.environ["REV_TEST_SKEW"]
    if skew != "steps":
        return int(skew)
    return HOUR if int(_MONOTONIC() / 5) % 2 else -HOUR


class _Off(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return super().now(tz) + datetime.timedelta(seconds=_off())


if "expirer" in sys.orig_argv:
    time.time = lambda: _REAL() + _off()
    time.time_ns = lambda: _REAL_NS() + _off() * 10**9
    datetime.datetime = _Off  # type: ignore[misc]
