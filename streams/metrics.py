"""Names and meanings of the metrics of the shared Kafka code."""

from prometheus_client import Counter, Gauge, Histogram

APPENDS = Counter("rev_appends", "Records appended and acknowledged", ["topic"])
APPENDS_REFUSED = Counter("rev_appends_not_recorded", "Appends refused before they entered the producer", ["topic"])
APPENDS_UNKNOWN = Counter("rev_appends_unknown", "Appends that may or may not have been recorded", ["topic"])
APPENDER_READY = Gauge("rev_appender_ready", "1 while appends are accepted", ["topic"])

CONSUMER_REBUILT = Counter("rev_consumer_rebuilt", "Consumers replaced, by what they read and why", ["of", "why"])
VIEW_POSITION = Gauge("rev_view_position", "Next offset that a compacted view will read", ["topic", "partition"])

DIRECT_FAILURES = Counter("rev_replies_not_direct", "Times that replies to a gateway could not be sent directly")
REPLIES_DROPPED = Counter("rev_replies_dropped", "Replies that could not be sent; their requests get a 202")

SHARD_STATE = Gauge(
    "rev_shard_state", "0 none, 1 restoring, 2 running, 3 failed, 4 stopped until an operator acts", ["shard"]
)
SHARD_POSITION = Gauge("rev_shard_position", "Next raw offset that the shard will apply", ["shard"])
SHARD_LAG = Gauge("rev_shard_lag_records", "Raw records that the shard has not applied yet", ["shard"])
SHARD_RECORDS = Counter("rev_shard_records", "Raw records applied and committed", ["shard"])
SHARD_FAILURES = Counter("rev_shard_failures", "Times that a shard was dropped and rebuilt", ["shard", "error"])
SHARD_FENCED = Counter("rev_shard_fenced", "Times that a shard's producer was fenced", ["shard"])
SHARD_REJECTED = Counter("rev_shard_rejected", "Records that could not be applied and went to rev.dead", ["shard"])
SHARD_RESTORE = Histogram(
    "rev_shard_restore_seconds",
    "Seconds from the fence to the first record",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
SHARD_REBUILT = Counter("rev_shard_checkpoint_discarded", "Local checkpoints discarded", ["why"])
SHARD_IDS_USED = Gauge("rev_shard_event_ids_used_ratio", "Fraction of the shard's event ids that is used", ["shard"])
TRANSACTION = Histogram(
    "rev_transaction_seconds",
    "Seconds from the first record of a transaction to its commit",
    buckets=(0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 5, 10),
)
OUTBOX = Gauge("rev_outbox_pending", "Records in the shard's outbox that are not acknowledged", ["shard"])
HOST_FAILURES = Counter(
    "rev_host_failures", "Failures of a host outside its shards; it joins its group again", ["error"]
)
REJOINS = Counter("rev_group_rejoins", "Times that a host joined its group with a new consumer", ["why"])

WORKER_FAILURES = Counter("rev_worker_failures", "Partition workers that failed and were restarted", ["of", "error"])
WORKER_ENDED = Gauge("rev_worker_ended", "1 if a partition has no worker until an operator acts", ["of", "partition"])
