CREATE TABLE rev._log
(
    `epoch` String,
    `stored_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY epoch;

CREATE TABLE rev._migrations
(
    `number` UInt32,
    `name` String,
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY number;

CREATE TABLE rev._seen
(
    `raw_partition` UInt16,
    `after` Int64 COMMENT '-1: the ledger held nothing of the partition',
    `seen` UInt64 COMMENT 'the next offset that was to be read',
    `noted_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(seen)
ORDER BY raw_partition;

CREATE TABLE rev.entries
(
    `kind` LowCardinality(String) COMMENT 'event, charge, void, rejected or config',
    `event_id` UInt64 COMMENT 'raw_offset * 2^16 + raw_partition * 2^10 + raw_index',
    `customer_id` LowCardinality(String),
    `api_key_id` UInt64,
    `agent_id` LowCardinality(String),
    `action` LowCardinality(String),
    `tokens_input` Nullable(UInt64),
    `tokens_output` Nullable(UInt64),
    `tokens` UInt64 COMMENT 'the total that was charged',
    `outcome` LowCardinality(String) COMMENT 'success, failure, pending or empty',
    `base_cents` Decimal(38, 12),
    `token_cents` Decimal(38, 12),
    `bonus_cents` Decimal(38, 12),
    `total_cents` Decimal(38, 12),
    `price_id` UInt64 COMMENT '0: no price',
    `price_action` LowCardinality(String) COMMENT 'action of the price that matched, * for any',
    `price_base` Decimal(38, 12) COMMENT 'cents per event',
    `price_token` Decimal(38, 12) COMMENT 'cents per token',
    `price_bonus` Decimal(38, 12) COMMENT 'cents on success',
    `price_is_default` Bool,
    `price_offset` UInt64 COMMENT 'offset of the price record in the same partition of rev.raw',
    `model` LowCardinality(String),
    `provider` LowCardinality(String),
    `trace_id` String,
    `task_id` String,
    `outcome_id` String,
    `idempotency_key` String,
    `body_hash` String,
    `test` Bool COMMENT 'made with a test key',
    `metadata` String COMMENT 'JSON text as it was sent',
    `expires_at` Nullable(DateTime64(3, 'UTC')),
    `event_time` DateTime64(3, 'UTC') COMMENT 'when it happened, as the sender says; else recorded_at',
    `recorded_at` DateTime64(3, 'UTC') COMMENT 'accepted time: append time in rev.raw',
    `reason` String COMMENT 'why it was rejected or voided',
    `original` Nullable(UInt64) COMMENT 'event_id of the entry that this one refers back to',
    `config_type` LowCardinality(String) COMMENT 'of kind config: the domain event, such as pricing.updated',
    `actor` String COMMENT 'of kind config: who changed it',
    `detail` String COMMENT 'of kind config: the object as JSON text',
    `raw_partition` UInt16,
    `raw_offset` UInt64,
    `raw_index` UInt16,
    `entries_offset` UInt64 COMMENT 'offset of the record in the same partition of rev.entries',
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    PROJECTION hourly
    (
        SELECT
            customer_id,
            test,
            kind,
            action,
            agent_id,
            toStartOfHour(event_time),
            count(),
            sum(total_cents),
            sum(tokens)
        GROUP BY
            customer_id,
            test,
            kind,
            action,
            agent_id,
            toStartOfHour(event_time)
    ),
    PROJECTION watermark
    (
        SELECT
            raw_partition,
            count(),
            max(entries_offset)
        GROUP BY raw_partition
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (customer_id, event_id, kind);

CREATE VIEW rev.hourly
(
    `customer_id` LowCardinality(String),
    `test` Bool,
    `kind` LowCardinality(String),
    `action` LowCardinality(String),
    `agent_id` LowCardinality(String),
    `hour` DateTime('UTC'),
    `entries` UInt64,
    `cents` Decimal(38, 12),
    `token_sum` UInt64
)
AS SELECT
    customer_id,
    test,
    kind,
    action,
    agent_id,
    toStartOfHour(event_time) AS hour,
    count() AS entries,
    sum(total_cents) AS cents,
    sum(tokens) AS token_sum
FROM rev.entries
GROUP BY
    customer_id,
    test,
    kind,
    action,
    agent_id,
    toStartOfHour(event_time);

CREATE VIEW rev.price_changes
(
    `recorded_at` DateTime64(3, 'UTC'),
    `change` LowCardinality(String),
    `actor` String,
    `price_id` UInt64,
    `customer_id` String,
    `action_type` String,
    `detail` String
)
AS SELECT
    recorded_at,
    config_type AS change,
    actor,
    JSONExtractUInt(detail, 'id') AS price_id,
    JSONExtractString(detail, 'customer_id') AS customer_id,
    JSONExtractString(detail, 'action_type') AS action_type,
    detail
FROM rev.entries
WHERE (kind = 'config') AND (config_type LIKE 'pricing.%');

CREATE VIEW rev.rejections
(
    `recorded_at` DateTime64(3, 'UTC'),
    `customer_id` LowCardinality(String),
    `event_id` UInt64,
    `agent_id` LowCardinality(String),
    `action` LowCardinality(String),
    `reason` String,
    `idempotency_key` String,
    `test` Bool
)
AS SELECT
    recorded_at,
    customer_id,
    event_id,
    agent_id,
    action,
    reason,
    idempotency_key,
    test
FROM rev.entries
WHERE kind = 'rejected';

CREATE VIEW rev.revenue_by_action
(
    `customer_id` LowCardinality(String),
    `action` LowCardinality(String),
    `day` Date,
    `events` UInt64,
    `revenue_cents` Decimal(38, 12),
    `tokens` UInt64
)
AS SELECT
    customer_id,
    action,
    toDate(hour) AS day,
    sumIf(entries, kind = 'event') AS events,
    sum(cents) AS revenue_cents,
    sumIf(token_sum, kind = 'event') AS tokens
FROM rev.hourly
WHERE (NOT test) AND (kind IN ('event', 'charge', 'void'))
GROUP BY
    customer_id,
    action,
    day;

CREATE VIEW rev.revenue_by_agent
(
    `customer_id` LowCardinality(String),
    `agent_id` LowCardinality(String),
    `day` Date,
    `events` UInt64,
    `revenue_cents` Decimal(38, 12),
    `tokens` UInt64
)
AS SELECT
    customer_id,
    agent_id,
    toDate(hour) AS day,
    sumIf(entries, kind = 'event') AS events,
    sum(cents) AS revenue_cents,
    sumIf(token_sum, kind = 'event') AS tokens
FROM rev.hourly
WHERE (NOT test) AND (kind IN ('event', 'charge', 'void'))
GROUP BY
    customer_id,
    agent_id,
    day;

CREATE VIEW rev.revenue_by_customer
(
    `customer_id` LowCardinality(String),
    `day` Date,
    `events` UInt64,
    `revenue_cents` Decimal(38, 12),
    `tokens` UInt64
)
AS SELECT
    customer_id,
    toDate(hour) AS day,
    sumIf(entries, kind = 'event') AS events,
    sum(cents) AS revenue_cents,
    sumIf(token_sum, kind = 'event') AS tokens
FROM rev.hourly
WHERE (NOT test) AND (kind IN ('event', 'charge', 'void'))
GROUP BY
    customer_id,
    day;
