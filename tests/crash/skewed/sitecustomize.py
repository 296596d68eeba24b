"""Put on PYTHONPATH by test_clocks.py: this process's wall clock is an hour ahead, or as many seconds as SKEW says."""

import datetime
import os
import time

SKEW = int(os.environ.get("SKEW", "3600"))

_REAL, _REAL_NS = time.time, time.time_ns
time.time = lambda: _REAL() + SKEW
time.time_ns = lambda: _REAL_NS() + SKEW * 10**9


class _Off(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return super().now(tz) + datetime.timedelta(seconds=SKEW)


datetime.datetime = _Off  # type: ignore[misc]
