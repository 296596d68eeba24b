"""Names and meanings of this service's metrics."""

from prometheus_client import Counter, Gauge, Histogram

ROWS = Counter("rev_ledger_rows", "Rows written to rev.entries")
BLOCKS = Counter("rev_ledger_blocks", "Blocks written; one block is one part")
RETRIES = Counter(
    "rev_ledger_retries", "Times that a partition started over from the table's maximum, by error", ["error"]
)
LAG = Gauge("rev_ledger_lag_records", "Records of rev.entries that are not in the table yet", ["partition"])
LAST_INSERT = Gauge("rev_ledger_last_insert_timestamp_seconds", "Unix time of the last block written", ["partition"])
DELAY = Histogram(
    "rev_ledger_delay_seconds",
    "Seconds from the accepted time of a block's first record to the end of its insert",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 15, 60, 300, 3600),
)
HALTED = Gauge(
    "rev_ledger_halted", "1 if the partition stands still at a record that ClickHouse refuses", ["partition"]
)
WRONG_LOG = Gauge("rev_ledger_wrong_log", "1 if the ledger belongs to another log; nothing is written")
DELIVERIES = Counter("rev_ledger_deliveries", "Attempts at webhook deliveries written to rev.deliveries")
DELIVERY_RETRIES = Counter("rev_ledger_delivery_retries", "Times that copying the attempts started over", ["error"])
DELIVERIES_REFUSED = Counter(
    "rev_ledger_deliveries_refused", "Records of rev.deliveries that cannot become rows; they are in rev.dead"
)
