"""Metrics of this service: their names and meanings.

Only endpoints that lag or fail are named, the worst TOLD of each partition, so that the number of series
does not grow with the number of customers.
"""

from prometheus_client import Counter, Gauge, Histogram

TOLD = 20

ATTEMPTS = Counter("rev_notifier_attempts", "Attempts by result: delivered, retry, dead, dropped", ["outcome"])
SECONDS = Histogram(
    "rev_notifier_attempt_seconds",
    "Seconds from the request of an attempt to the end of the response",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
DELAY = Histogram(
    "rev_notifier_delay_seconds",
    "Seconds from the accepted time of an event to the end of its first delivery",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600),
)
NOT_SENT = Counter(
    "rev_notifier_not_sent",
    "Attempts not made since the notifier lacks descriptors, ports or memory; they do not count as attempts",
)
GAPS = Counter("rev_notifier_gaps", "Gaps: ranges of events that an endpoint did not receive; each can be replayed")
DISABLED = Counter("rev_notifier_disabled", "Endpoints that the notifier disabled")
FAULTS = Counter("rev_notifier_dead_letters", "Records of rev.entries that cannot be read or rendered")
WAITING = Gauge(
    "rev_notifier_waiting", "Deliveries in the queues that have not ended, including retries", ["partition"]
)
RETRIES = Gauge("rev_notifier_retries", "Deliveries that failed and wait for a retry", ["partition"])
IN_FLIGHT = Gauge("rev_notifier_in_flight", "Requests in progress", ["partition"])
LAGGING = Gauge("rev_notifier_lagging_endpoints", "Endpoints that are behind the end of the log", ["partition"])
FAILING = Gauge("rev_notifier_failing_endpoints", "Endpoints whose last deliveries failed", ["partition"])
BEHIND = Gauge(
    "rev_notifier_endpoint_lag_records", "Records that a lagging endpoint has not processed", ["partition", "endpoint"]
)
AGE = Gauge(
    "rev_notifier_endpoint_age_seconds", "Seconds since the oldest of them was accepted", ["partition", "endpoint"]
)
TAIL = Gauge("rev_notifier_tail_lag_records", "Records of rev.entries that were not matched yet", ["partition"])
BODIES = Gauge("rev_notifier_body_bytes", "Bytes of delivery bodies in memory")
FLUSHES = Counter("rev_notifier_flushes", "Transactions written")
FLUSH = Histogram(
    "rev_notifier_flush_seconds",
    "Seconds of one transaction",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
STALE = Gauge("rev_notifier_stale_view", "1 if the configuration cannot be confirmed, so that nothing is sent")
UNREADABLE = Counter("rev_notifier_unreadable_secrets", "Attempts not made since the secret cannot be decrypted")
