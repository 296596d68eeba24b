"""Names and meanings of this service's metrics."""

from prometheus_client import Counter, Gauge

FAILED = Counter("rev_collector_failed", "Customers that could not be invoiced; the log names them")
WAITING = Gauge("rev_collector_waiting", "1 while a month is due and its invoices cannot be made yet")
NOTICES = Gauge("rev_collector_unsent_notices", "Notices of invoices that customers' webhooks do not hear of yet")
WRITTEN = Counter("rev_collector_records", "Records written to rev.invoices")
UNSENT = Gauge("rev_collector_unsent_invoices", "Invoices that Stripe does not have as they are yet")
REFUSED = Gauge(
    "rev_collector_refused_invoices", "Invoices that Stripe refuses; an administrator has to push them again"
)
PUSH_FAILURES = Counter("rev_collector_push_failures", "Attempts to bring an invoice to Stripe that failed")
METER_EVENTS = Counter("rev_collector_meter_events", "Meter events that Stripe took")
METER_FAILURES = Counter("rev_collector_meter_failures", "Attempts to bring usage to Stripe that failed")
METER_REFUSED = Gauge(
    "rev_collector_refused_meter_events", "Meter events that Stripe refuses; they are sent again hourly"
)
METER_DROPPED = Counter(
    "rev_collector_dropped_meter_events", "Meter events that Stripe took and dropped later, as it reports"
)
METER_UNTIL = Gauge(
    "rev_collector_metered_until_timestamp_seconds",
    "The accepted time until which Stripe has the usage; 0: not metered",
)
REPORTS = Counter("rev_collector_stripe_reports", "Reports of Stripe, by what became of them", ["outcome"])
