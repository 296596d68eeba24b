"""Names and meanings of this service's metrics."""

from prometheus_client import Counter, Gauge

FAILED = Counter("rev_collector_failed", "Customers that could not be invoiced; the log names them")
WAITING = Gauge("rev_collector_waiting", "1 while a month is due and its invoices cannot be made yet")
WRITTEN = Counter("rev_collector_records", "Records written to rev.invoices")
