"""Put on PYTHONPATH by test_clocks.py: this process's wall clock is an hour ahead."""

import datetime
import time

_REAL, _REAL_NS = time.time, time.time_ns
time.time = lambda: _REAL() + 3600
time.time_ns = lambda: _REAL_NS() + 3600 * 10**9


class _Ahead(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return super().now(tz) + datetime.timedelta(hours=1)


datetime.datetime = _Ahead  # type: ignore[misc]
