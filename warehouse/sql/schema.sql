CREATE TABLE rev._deliveries
(
    `webhook_id` UInt64,
    `customer_id` LowCardinality(String),
    `delivery_id` String,
    `event_id` String,
    `type` LowCardinality(String),
    `partition` UInt16,
    `offset` UInt64,
    `index` UInt16,
    `attempt` UInt32,
    `at` Int64,
    `outcome` LowCardinality(String),
    `latency` UInt32,
    `status` Nullable(UInt16),
    `error` String,
    `answer` String,
    `next_at` Nullable(Int64),
    `replay` Bool,
    `gap` Bool,
    `reason` String,
    `first` UInt64,
    `last` UInt64,
    `since` Int64,
    `until` Int64,
    `log_partition` UInt16 COMMENT 'where in the topic rev.deliveries the record stands',
    `log_offset` UInt64,
    INDEX by_place (log_partition, log_offset) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(at, 'UTC'))
ORDER BY (webhook_id, log_partition, log_offset)
TTL toDateTime(fromUnixTimestamp64Milli(at, 'UTC')) + toIntervalDay(36);

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

CREATE TABLE rev._scenarios
(
    `name` String,
    `customer` String COMMENT 'whose events are replayed, empty for all',
    `changes` String COMMENT 'price rows as POST /api/admin/pricing takes them, JSON text',
    `saved_at` DateTime64(3, 'UTC'),
    `deleted` Bool
)
ENGINE = ReplacingMergeTree(saved_at)
ORDER BY name;

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
    `kind` LowCardinality(String) COMMENT 'event, registered, charge, waived, adjustment, void, rejected or config',
    `event_id` UInt64 COMMENT 'raw_offset * 2^16 + raw_partition * 2^10 + raw_index',
    `customer_id` LowCardinality(String),
    `api_key_id` UInt64,
    `agent_id` LowCardinality(String),
    `action` LowCardinality(String),
    `tokens_input` Nullable(UInt64),
    `tokens_output` Nullable(UInt64),
    `tokens` UInt64 COMMENT 'the total that was charged',
    `quantities` Map(LowCardinality(String), Decimal(38, 6)) COMMENT 'quantities of the event besides tokens_input and tokens_output',
    `outcome` LowCardinality(String) COMMENT 'success, failure, pending or empty',
    `base_cents` Decimal(38, 12),
    `token_cents` Decimal(38, 12),
    `bonus_cents` Decimal(38, 12),
    `quantity_cents` Decimal(38, 12) COMMENT 'cents for quantities that are not tokens',
    `total_cents` Decimal(38, 12),
    `lines` Array(Tuple(
        component LowCardinality(String),
        quantity Decimal(38, 6),
        rate Decimal(38, 12),
        per UInt64,
        cents Decimal(38, 12))) COMMENT 'quantity units at rate cents for every per of them cost cents',
    `credit_cents` Nullable(Decimal(38, 12)) COMMENT 'cents that prepaid credit paid; NULL for a customer without any grant until then',
    `draws` Array(Tuple(
        grant UInt64,
        cents Decimal(38, 12))) COMMENT 'cents drawn from each grant, by the event_id of its entry; negative where a void gives back',
    `budgets_exceeded` Array(UInt64) COMMENT 'budgets whose limit the amount exceeded, by the event_id of their entry',
    `price_id` UInt64 COMMENT '0: no price',
    `price_action` LowCardinality(String) COMMENT 'action of the price that matched, * for any',
    `price_model` LowCardinality(String) COMMENT 'model of the price that matched, empty for any',
    `price_provider` LowCardinality(String) COMMENT 'provider of the price that matched, empty for any',
    `price_base` Decimal(38, 12) COMMENT 'cents per event',
    `price_token` Decimal(38, 12) COMMENT 'cents per token',
    `price_bonus` Decimal(38, 12) COMMENT 'cents on success',
    `price_rates` Array(Tuple(
        name LowCardinality(String),
        rate Decimal(38, 12),
        per UInt64)) COMMENT 'rates of quantities in the price that matched: rate cents for every per units',
    `price_ignore_unknown` Bool COMMENT 'the price charges nothing for a quantity without a rate',
    `price_is_default` Bool,
    `price_offset` UInt64 COMMENT 'offset of the price record in the same partition of rev.raw',
    `model` LowCardinality(String),
    `provider` LowCardinality(String),
    `trace_id` String,
    `task_id` String,
    `outcome_id` String COMMENT 'oc_ and the event_id of what opened it',
    `on_expiry` LowCardinality(String) COMMENT 'whose price an expiry charges: failure, success or empty (failure)',
    `price_on_success` Decimal(38, 12) COMMENT 'cents, of a registered outcome; of a pending event it is price_bonus',
    `price_on_failure` Decimal(38, 12) COMMENT 'cents, of a registered outcome',
    `verdict` LowCardinality(String) COMMENT 'of kind charge and waived: succeeded, failed or expired',
    `idempotency_key` String,
    `body_hash` String,
    `test` Bool COMMENT 'made with a test key',
    `metadata` String COMMENT 'JSON text as it was sent',
    `expires_at` Nullable(DateTime64(3, 'UTC')),
    `event_time` DateTime64(3, 'UTC') COMMENT 'when it happened, as the sender says; else recorded_at',
    `recorded_at` DateTime64(3, 'UTC') COMMENT 'accepted time: append time in rev.raw',
    `reason` String COMMENT 'why it was rejected or voided',
    `original` Nullable(UInt64) COMMENT 'event_id of the entry that this one refers back to',
    `config_type` LowCardinality(String) COMMENT 'of config: the domain event, such as pricing.updated; of void: charge if it takes back one; of rejected: the command, if it was no meter command',
    `actor` String COMMENT 'of kind config and void: who did it',
    `detail` String COMMENT 'the object as the API shows it, JSON text: what was configured, or the outcome',
    `raw_partition` UInt16,
    `raw_offset` UInt64,
    `raw_index` UInt16,
    `entries_offset` UInt64 COMMENT 'offset of the record in the same partition of rev.entries',
    `import_id` LowCardinality(String) COMMENT 'label of the import that the event came with; the same of its charge and of voids',
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_event_id event_id TYPE minmax GRANULARITY 1,
    INDEX by_import_id import_id TYPE set(16) GRANULARITY 1,
    INDEX by_key_range idempotency_key TYPE minmax GRANULARITY 1,
    INDEX by_key idempotency_key TYPE bloom_filter(0.0001) GRANULARITY 1,
    PROJECTION hourly
    (
        SELECT
            customer_id,
            test,
            kind,
            config_type,
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
            config_type,
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
    ),
    PROJECTION by_day_and_agent
    (
        SELECT
            toStartOfDay(event_time),
            test,
            kind,
            config_type,
            customer_id,
            agent_id,
            action,
            outcome,
            verdict,
            count(),
            sum(total_cents),
            sum(tokens)
        GROUP BY
            toStartOfDay(event_time),
            test,
            kind,
            config_type,
            customer_id,
            agent_id,
            action,
            outcome,
            verdict
    ),
    PROJECTION by_outcome
    (
        SELECT
            toUInt64OrZero(substring(outcome_id, 4)),
            test,
            maxIf(recorded_at, (kind IN ('event', 'registered'))),
            maxIf(ifNull(toUnixTimestamp64Milli(expires_at), 9007199254740992), (kind IN ('event', 'registered'))),
            sumIf(if(kind = 'registered', price_on_success, price_bonus), (kind IN ('event', 'registered'))),
            max(indexOf(['succeeded', 'failed', 'expired'], verdict)),
            sumIf(total_cents, (kind = 'charge') OR ((kind = 'void') AND (config_type = 'charge'))),
            countIf((kind = 'void') AND (config_type != 'charge'))
        GROUP BY
            toUInt64OrZero(substring(outcome_id, 4)),
            test
    ),
    PROJECTION by_component
    (
        SELECT
            toStartOfDay(event_time),
            test,
            kind,
            config_type,
            action,
            countIf(base_cents != 0),
            sum(base_cents),
            countIf(empty(lines) AND (token_cents != 0)),
            sumIf(tokens, empty(lines) AND (token_cents != 0)),
            sumIf(token_cents, empty(lines)),
            countIf(bonus_cents != 0),
            sum(bonus_cents),
            sumMap(CAST(tupleElement(lines, 1), 'Array(String)'), tupleElement(lines, 2), tupleElement(lines, 5))
        GROUP BY
            toStartOfDay(event_time),
            test,
            kind,
            config_type,
            action
    ),
    PROJECTION by_day
    (
        SELECT
            toStartOfDay(event_time),
            test,
            kind,
            config_type,
            customer_id,
            action,
            model,
            provider,
            outcome,
            verdict,
            CAST(mapKeys(quantities), 'Array(String)'),
            greatest(tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000, arraySum(mapValues(quantities)) > 100000000, arraySum(CAST(mapValues(quantities), 'Array(Decimal(38, 0))')) != arraySum(mapValues(quantities))),
            count(),
            sum(total_cents),
            sum(tokens),
            sum(ifNull(tokens_input, 0)),
            sum(ifNull(tokens_output, 0)),
            sumMap(CAST(mapKeys(quantities), 'Array(String)'), mapValues(quantities)),
            max(event_time)
        GROUP BY
            toStartOfDay(event_time),
            test,
            kind,
            config_type,
            customer_id,
            action,
            model,
            provider,
            outcome,
            verdict,
            CAST(mapKeys(quantities), 'Array(String)'),
            greatest(tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000, arraySum(mapValues(quantities)) > 100000000, arraySum(CAST(mapValues(quantities), 'Array(Decimal(38, 0))')) != arraySum(mapValues(quantities)))
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
    `config_type` LowCardinality(String),
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
    config_type,
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
    config_type,
    action,
    agent_id,
    toStartOfHour(event_time);

CREATE VIEW rev.lines
(
    `event_id` UInt64,
    `kind` LowCardinality(String),
    `customer_id` LowCardinality(String),
    `agent_id` LowCardinality(String),
    `action` LowCardinality(String),
    `model` LowCardinality(String),
    `provider` LowCardinality(String),
    `event_time` DateTime64(3, 'UTC'),
    `component` LowCardinality(String),
    `quantity` Decimal(38, 6),
    `rate` Decimal(38, 12),
    `per` UInt64,
    `cents` Decimal(38, 12)
)
AS SELECT
    event_id,
    kind,
    customer_id,
    agent_id,
    action,
    model,
    provider,
    event_time,
    line.component AS component,
    if(kind = 'void', -line.quantity, line.quantity) AS quantity,
    line.rate AS rate,
    line.per AS per,
    line.cents AS cents
FROM rev.entries
ARRAY JOIN CAST(arrayConcat(if(base_cents = 0, [], [('event', toDecimal128(1, 6), price_base, 1, base_cents)]), if(notEmpty(lines) OR (token_cents = 0), [], [('tokens', toDecimal128(tokens, 6), price_token, 1, token_cents)]), lines, if(bonus_cents = 0, [], [(if((kind = 'charge') OR (config_type = 'charge'), 'outcome', 'success'), toDecimal128(1, 6), abs(bonus_cents), 1, bonus_cents)])), 'Array(Tuple(component LowCardinality(String), quantity Decimal(38, 6), rate Decimal(38, 12), per UInt64, cents Decimal(38, 12)))') AS line
WHERE (NOT test) AND (kind IN ('event', 'charge', 'adjustment', 'void'));

CREATE VIEW rev.outcomes
(
    `outcome_id` String,
    `customer_id` LowCardinality(String),
    `task_id` String,
    `agent_id` String,
    `action` String,
    `opened_by` String,
    `event_id` UInt64,
    `price_on_success_cents` Decimal(38, 12),
    `price_on_failure_cents` Decimal(38, 12),
    `on_expiry` String,
    `opened_at` DateTime64(3, 'UTC'),
    `expires_at` Nullable(DateTime64(3, 'UTC')),
    `status` String,
    `resolved_at` Nullable(DateTime64(3, 'UTC')),
    `resolution_ms` Nullable(Int64),
    `charge_cents` Nullable(Decimal(38, 12)),
    `revenue_cents` Decimal(38, 12),
    `voided` Bool,
    `voided_at` Nullable(DateTime64(3, 'UTC')),
    `closed_by` Nullable(UInt64),
    `detail` String,
    `test` Bool
)
AS SELECT
    outcome_id,
    customer_id,
    anyIf(e.task_id, opens) AS task_id,
    anyIf(e.agent_id, opens) AS agent_id,
    anyIf(e.action, opens) AS action,
    anyIf(kind, opens) AS opened_by,
    anyIf(e.event_id, opens) AS event_id,
    anyIf(if(kind = 'registered', price_on_success, price_bonus), opens) AS price_on_success_cents,
    anyIf(price_on_failure, opens) AS price_on_failure_cents,
    anyIf(if(e.on_expiry = '', 'failure', e.on_expiry), opens) AS on_expiry,
    anyIf(recorded_at, opens) AS opened_at,
    anyIf(e.expires_at, opens) AS expires_at,
    if(countIf(closes) = 0, 'pending', anyIf(verdict, closes)) AS status,
    anyOrNullIf(recorded_at, closes) AS resolved_at,
    dateDiff('millisecond', opened_at, resolved_at) AS resolution_ms,
    anyOrNullIf(total_cents, closes) AS charge_cents,
    sumIf(total_cents, closes OR takes_back) AS revenue_cents,
    toBool((countIf(takes_back) > 0) OR ((minIf(e.event_id, kind = 'void') < ifNull(closed_by, 9007199254740992)) AND (countIf(kind = 'void') > 0))) AS voided,
    anyOrNullIf(recorded_at, kind = 'void') AS voided_at,
    anyOrNullIf(e.event_id, closes) AS closed_by,
    if(countIf(closes) = 0, anyIf(e.detail, opens), anyIf(e.detail, closes)) AS detail,
    anyIf(e.test, opens) AS test
FROM
(
    SELECT
        *,
        (kind = 'registered') OR (kind = 'event') AS opens,
        (kind = 'charge') OR (kind = 'waived') AS closes,
        (kind = 'void') AND (config_type = 'charge') AS takes_back
    FROM rev.entries
    WHERE (outcome_id != '') AND (kind IN ('event', 'registered', 'charge', 'waived', 'void'))
) AS e
GROUP BY
    customer_id,
    outcome_id;

CREATE VIEW rev.outcomes_by_agent
(
    `customer_id` LowCardinality(String),
    `agent_id` String,
    `opened` UInt64,
    `pending` UInt64,
    `succeeded` UInt64,
    `failed` UInt64,
    `expired` UInt64,
    `closed` UInt64,
    `success_rate` Nullable(Decimal(38, 12)),
    `revenue_cents` Decimal(38, 12)
)
AS SELECT
    customer_id,
    agent_id,
    count() AS opened,
    countIf(status = 'pending') AS pending,
    countIf(status = 'succeeded') AS succeeded,
    countIf(status = 'failed') AS failed,
    countIf(status = 'expired') AS expired,
    (succeeded + failed) + expired AS closed,
    toDecimal128(succeeded, 12) / nullIf(closed, 0) AS success_rate,
    sum(o.revenue_cents) AS revenue_cents
FROM rev.outcomes AS o
WHERE NOT test
GROUP BY
    customer_id,
    agent_id;

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
    `events` Int64,
    `revenue_cents` Decimal(38, 12),
    `tokens` Int64
)
AS SELECT
    customer_id,
    action,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, (kind = 'void') AND (config_type != 'charge'))) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, (kind = 'void') AND (config_type != 'charge'))) AS tokens
FROM rev.hourly
WHERE (NOT test) AND (kind IN ('event', 'charge', 'adjustment', 'void'))
GROUP BY
    customer_id,
    action,
    day;

CREATE VIEW rev.revenue_by_agent
(
    `customer_id` LowCardinality(String),
    `agent_id` LowCardinality(String),
    `day` Date,
    `events` Int64,
    `revenue_cents` Decimal(38, 12),
    `tokens` Int64
)
AS SELECT
    customer_id,
    agent_id,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, (kind = 'void') AND (config_type != 'charge'))) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, (kind = 'void') AND (config_type != 'charge'))) AS tokens
FROM rev.hourly
WHERE (NOT test) AND (kind IN ('event', 'charge', 'adjustment', 'void'))
GROUP BY
    customer_id,
    agent_id,
    day;

CREATE VIEW rev.revenue_by_customer
(
    `customer_id` LowCardinality(String),
    `day` Date,
    `events` Int64,
    `revenue_cents` Decimal(38, 12),
    `tokens` Int64
)
AS SELECT
    customer_id,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, (kind = 'void') AND (config_type != 'charge'))) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, (kind = 'void') AND (config_type != 'charge'))) AS tokens
FROM rev.hourly
WHERE (NOT test) AND (kind IN ('event', 'charge', 'adjustment', 'void'))
GROUP BY
    customer_id,
    day;

CREATE VIEW rev.webhook_deliveries
(
    `webhook_id` UInt64,
    `customer_id` LowCardinality(String),
    `delivery_id` String,
    `event_id` String,
    `type` LowCardinality(String),
    `attempt` UInt32,
    `attempted_at` DateTime64(3, 'UTC'),
    `result` String,
    `latency_ms` UInt32,
    `http_status` Nullable(UInt16),
    `why` String,
    `next_attempt_at` Nullable(DateTime64(3, 'UTC')),
    `replay` Bool
)
AS SELECT
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
FROM rev._deliveries
FINAL;
