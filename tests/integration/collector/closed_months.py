"""The month that can be invoiced now."""

import time

from schemas.limits import HOUR
from schemas.months import month_of, month_range


def closed_month() -> str:
    """The last month whose grace period is over; events may still be sent with a time at its end."""
    now = time.time_ns() // 1_000_000 - 2 * HOUR
    return month_of(month_range(month_of(now)).start - 1)
