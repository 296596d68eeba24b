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
REPORTS = Counter("rev_collector_stripe_reports", "Reports of Stripe, by what became of them", ["outcome"])
