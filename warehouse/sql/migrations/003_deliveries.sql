-- Every attempt at a webhook delivery, and every stretch of events that an endpoint was not sent (a gap), as
-- the topic rev.deliveries has them (schemas/deliveries.py): times are ms. No money is in here: a record that
-- is written twice is replaced, not fenced, so it is read with FINAL. People read rev.webhook_deliveries.
CREATE TABLE IF NOT EXISTS rev._deliveries
(
    webhook_id UInt64,
    customer_id LowCardinality(String),
    delivery_id String,
    event_id String,
    type LowCardinality(String),
    `partition` UInt16,
    `offset` UInt64,
    `index` UInt16,
    attempt UInt32,
    at Int64,
    outcome LowCardinality(String),
    latency UInt32,
    status Nullable(UInt16),
    error String,
    answer String,
    next_at Nullable(Int64),
    replay Bool,
    gap Bool,
    reason String,
    first UInt64,
    last UInt64,
    since Int64,
    until Int64,
    log_partition UInt16 COMMENT 'where in the topic rev.deliveries the record stands',
    log_offset UInt64,
    INDEX by_place (log_partition, log_offset) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(at, 'UTC'))
ORDER BY (webhook_id, log_partition, log_offset)
TTL toDateTime(fromUnixTimestamp64Milli(at, 'UTC')) + INTERVAL 36 DAY;

CREATE OR REPLACE VIEW rev.webhook_deliveries AS
SELECT
    webhook_id,
    customer_id,
    delivery_id,
    event_id,
    type,
    attempt,
    fromUnixTimestamp64Milli(at, 'UTC') AS attempted_at,
    if(gap, 'gap', outcome) AS result,
    latency AS latency_ms,
    status AS http_status,
    if(gap, reason, error) AS why,
    if(isNull(next_at), NULL, fromUnixTimestamp64Milli(assumeNotNull(next_at), 'UTC')) AS next_attempt_at,
    replay
FROM rev._deliveries FINAL;
