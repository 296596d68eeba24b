"""Metrics of this service: their names and meanings.

Only endpoints that lag or fail are named, the worst TOLD of each partition, so that the number of series
does not grow with the number of customers.
"""

from prometheus_client import Counter, Gauge, Histogram

TOLD = 20

ATTEMPTS = Counter(
    "rev_notifier_attempts", "Deliveries by what became of them: delivered, retry, dead, dropped", ["outcome"]
)
SECONDS = Histogram(
    "rev_notifier_attempt_seconds",
    "One attempt, from the request to the end of the answer",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
DELAY = Histogram(
    "rev_notifier_delay_seconds",
    "From the accepted time of an event to the end of its first delivery",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600),
)
NOT_SENT = Counter(
    "rev_notifier_not_sent",
    "Tries that could not be made, this side being out of descriptors, ports or memory; they count for nothing",
)
GAPS = Counter("rev_notifier_gaps", "Ranges of the log that an endpoint was not sent; each can be replayed")
DISABLED = Counter("rev_notifier_disabled", "Endpoints that the notifier gave up")
FAULTS = Counter("rev_notifier_dead_letters", "Records of rev.entries that cannot be read or rendered")
WAITING = Gauge("rev_notifier_waiting", "Deliveries in hand that have not ended, retries included", ["partition"])
RETRIES = Gauge("rev_notifier_retries", "Deliveries that failed and wait to be tried again", ["partition"])
IN_FLIGHT = Gauge("rev_notifier_in_flight", "Requests under way", ["partition"])
LAGGING = Gauge("rev_notifier_lagging_endpoints", "Endpoints that do not stand at the tail", ["partition"])
FAILING = Gauge("rev_notifier_failing_endpoints", "Endpoints whose last deliveries failed", ["partition"])
BEHIND = Gauge(
    "rev_notifier_endpoint_lag_records", "Records that a lagging endpoint has not considered", ["partition", "endpoint"]
)
AGE = Gauge(
    "rev_notifier_endpoint_age_seconds", "How long ago the oldest of them was accepted", ["partition", "endpoint"]
)
TAIL = Gauge("rev_notifier_tail_lag_records", "Records of rev.entries that were not matched yet", ["partition"])
BODIES = Gauge("rev_notifier_body_bytes", "Bodies in memory")
FLUSHES = Counter("rev_notifier_flushes", "Transactions written")
FLUSH = Histogram(
    "rev_notifier_flush_seconds", "One transaction", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
)
STALE = Gauge("rev_notifier_stale_view", "1: the configuration cannot be confirmed, so nothing is sent")
UNREADABLE = Counter("rev_notifier_unreadable_secrets", "Tries that were not made since the secret cannot be decrypted")
