"""The metrics of the gateway: names and descriptions only."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "rev_ingest_request_seconds",
    "Seconds from a request's head to its response, by route and status.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EVENTS = Counter("rev_ingest_events_total", "Meter events whose append was acknowledged.")
UNANSWERED = Counter(
    "rev_ingest_unanswered_total", "Commands answered 202 because the pricer's reply did not arrive in time."
)
SHED = Counter("rev_ingest_shed_total", "Requests that were not served in full because a shard lags.", ["how"])
NOT_RECORDED = Counter("rev_ingest_not_recorded_total", "Requests answered 503 not_recorded, by reason.", ["reason"])
UNKNOWN = Counter("rev_ingest_unknown_total", "Requests answered 503 unknown: the command may be in the log.")
LOOKALIKES = Counter(
    "rev_ingest_lookalike_customers_total",
    "Requests for a customer that nobody created and whose id looks like an older one; the response warns.",
)
NOT_LISTED = Counter(
    "rev_ingest_customers_not_listed_total",
    "Requests for a new customer that could not be listed at once; the next request tries again.",
)
DIALECT_EVENTS = Counter(
    "rev_ingest_dialect_events_total",
    "Events that clients of other products sent, by dialect and by what became of them.",
    ["dialect", "result"],
)
UNPRICED = Counter("rev_ingest_unpriced_events_total", "Events whose action has no price, or a quantity no rate.")
BUGS = Counter(
    "rev_ingest_unexpected_errors_total", "Requests answered 500; each is a bug, and its traceback is in the log."
)
MALFORMED = Counter("rev_ingest_malformed_total", "Requests answered 400 because they are not valid HTTP.")
SHARD_LAG = Gauge(
    "rev_ingest_shard_lag_seconds", "Age of this gateway's oldest append without a reply, by shard.", ["shard"]
)
DISK_FREE = Gauge("rev_ingest_disk_free_bytes", "Bytes free under REV_DATA.")
VIEW_AGE = Gauge("rev_ingest_config_age_seconds", "Seconds since a fetch last confirmed the configuration view.")


@cache
def request_seconds(method: str, route: str, status: int) -> Histogram:
    """Return the child of REQUESTS for one combination; routes are templates, so there are few."""
    return REQUESTS.labels(method, route, str(status))
