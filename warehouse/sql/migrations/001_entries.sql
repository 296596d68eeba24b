-- The ledger: one row for each entry, written once and never changed.
-- Amounts are cents. Bound on sums: an entry is at most 10^12 cents and Decimal(38, 12) holds 1.7 * 10^26
-- before it wraps, so a sum wraps only beyond 1.7 * 10^14 entries that all have the largest amount.
CREATE TABLE IF NOT EXISTS rev.entries
(
    kind LowCardinality(String) COMMENT 'event, registered, charge, waived, void, rejected or config',
    event_id UInt64 COMMENT 'raw_offset * 2^16 + raw_partition * 2^10 + raw_index',
    customer_id LowCardinality(String),
    api_key_id UInt64,
    agent_id LowCardinality(String),
    action LowCardinality(String),
    tokens_input Nullable(UInt64),
    tokens_output Nullable(UInt64),
    tokens UInt64 COMMENT 'the total that was charged',
    outcome LowCardinality(String) COMMENT 'success, failure, pending or empty',
    base_cents Decimal(38, 12),
    token_cents Decimal(38, 12),
    bonus_cents Decimal(38, 12),
    total_cents Decimal(38, 12),
    price_id UInt64 COMMENT '0: no price',
    price_action LowCardinality(String) COMMENT 'action of the price that matched, * for any',
    price_base Decimal(38, 12) COMMENT 'cents per event',
    price_token Decimal(38, 12) COMMENT 'cents per token',
    price_bonus Decimal(38, 12) COMMENT 'cents on success',
    price_is_default Bool,
    price_offset UInt64 COMMENT 'offset of the price record in the same partition of rev.raw',
    model LowCardinality(String),
    provider LowCardinality(String),
    trace_id String,
    task_id String,
    outcome_id String COMMENT 'oc_ and the event_id of what opened it',
    on_expiry LowCardinality(String) COMMENT 'whose price an expiry charges: failure, success or empty (failure)',
    price_on_success Decimal(38, 12) COMMENT 'cents, of a registered outcome; of a pending event it is price_bonus',
    price_on_failure Decimal(38, 12) COMMENT 'cents, of a registered outcome',
    verdict LowCardinality(String) COMMENT 'of kind charge and waived: succeeded, failed or expired',
    idempotency_key String,
    body_hash String,
    test Bool COMMENT 'made with a test key',
    metadata String COMMENT 'JSON text as it was sent',
    expires_at Nullable(DateTime64(3, 'UTC')),
    event_time DateTime64(3, 'UTC') COMMENT 'when it happened, as the sender says; else recorded_at',
    recorded_at DateTime64(3, 'UTC') COMMENT 'accepted time: append time in rev.raw',
    reason String COMMENT 'why it was rejected or voided',
    original Nullable(UInt64) COMMENT 'event_id of the entry that this one refers back to',
    config_type LowCardinality(String) COMMENT 'of config: the domain event, such as pricing.updated; of void: charge if it takes back one; of rejected: the command, if it was no meter command',
    actor String COMMENT 'of kind config and void: who did it',
    detail String COMMENT 'the object as the API shows it, JSON text: what was configured, or the outcome',
    raw_partition UInt16,
    raw_offset UInt64,
    raw_index UInt16,
    entries_offset UInt64 COMMENT 'offset of the record in the same partition of rev.entries',
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_event_id event_id TYPE minmax GRANULARITY 1,
    PROJECTION hourly
    (
        SELECT customer_id, test, kind, config_type, action, agent_id, toStartOfHour(event_time),
            count(), sum(total_cents), sum(tokens)
        GROUP BY customer_id, test, kind, config_type, action, agent_id, toStartOfHour(event_time)
    ),
    PROJECTION watermark
    (
        SELECT raw_partition, count(), max(entries_offset)
        GROUP BY raw_partition
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (customer_id, event_id, kind)
-- Blocks come several times a second: merging them by tens instead of fives halves what merges cost.
SETTINGS min_parts_to_merge_at_once = 10;

-- How far a writer has read a quiet partition: the log holds nothing for the ledger in (after, seen).
-- 'after' is the highest entries_offset that the ledger held then; where it holds less, the row says nothing.
CREATE TABLE IF NOT EXISTS rev._seen
(
    raw_partition UInt16,
    after Int64 COMMENT '-1: the ledger held nothing of the partition',
    seen UInt64 COMMENT 'the next offset that was to be read',
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(seen)
ORDER BY raw_partition;

-- Which log this ledger was written from (rev.config, key epoch). One row for ever.
CREATE TABLE IF NOT EXISTS rev._log
(
    epoch String,
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY epoch;
