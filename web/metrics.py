"""The metrics of `rev web`: names and descriptions only."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "rev_web_request_seconds",
    "Time from a request's head to its answer, by route and status.",
    ["route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BUGS = Counter("rev_web_unexpected_errors_total", "Requests answered 500; each is a bug, its traceback is in the log.")
SIGNUPS = Counter("rev_web_signups_total", "Sign-up attempts that were not refused as invalid, by result.", ["result"])
LOGINS = Counter("rev_web_logins_total", "Login attempts, by result.", ["result"])
PORTAL_LOGINS = Counter(
    "rev_web_portal_logins_total", "Attempts to sign in to the customer portal, by result.", ["result"]
)
LIVE_LISTENERS = Gauge("rev_web_live_listeners", "Streams of what was just metered that are open.")
LIVE_DROPPED = Counter("rev_web_live_dropped_total", "Streams that were ended because the browser did not keep up.")


@cache
def request_seconds(route: str, status: int) -> Histogram:
    """Return the child of REQUESTS for one combination; routes are templates, so there are few."""
    return REQUESTS.labels(route, str(status))
