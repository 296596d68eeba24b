"""Names and meanings of this service's metrics."""

from prometheus_client import Counter, Gauge, Histogram

OPEN = Gauge("rev_expirer_open", "Open outcomes", ["partition"])
DUE = Gauge("rev_expirer_due", "Outcomes and months that are due and not closed yet", ["partition"])
OVERDUE = Gauge(
    "rev_expirer_oldest_overdue_seconds", "Seconds for which the earliest of them has been due", ["partition"]
)
REMINDERS = Counter("rev_expirer_reminders", "Commands appended to rev.raw that close what is due")
REMINDERS_LOST = Counter(
    "rev_expirer_reminders_lost", "Such commands that may not be in rev.raw; they are sent again", ["error"]
)
HANDING_OVER = Gauge(
    "rev_expirer_handing_over", "Partitions that were given to another expirer and that it has not announced yet"
)
CLOSED = Counter("rev_expirer_closed", "Outcomes closed in rev.state after an expire command", ["verdict"])
LATENESS = Histogram(
    "rev_expirer_lateness_seconds",
    "Seconds from expires_at to the accepted time of the command that closed the outcome as expired",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600),
)
HEARTBEAT = Histogram(
    "rev_expirer_heartbeat_seconds",
    "Seconds from sending a heartbeat to its acknowledgement; the clock lags by the least of the last ten",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
)
HEARTBEATS_LOST = Counter("rev_expirer_heartbeats_lost", "Heartbeats that were not acknowledged")
