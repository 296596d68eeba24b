-- What analysts read: names in rev without a leading underscore. Test keys are left out but where a
-- column says so. Revenue counts every entry with its sign: a void is negative. Events are meter events, and
-- a voided one counts no more, nor do its tokens; config_type tells the void of a charge from that of an event.
CREATE OR REPLACE VIEW rev.hourly AS
SELECT
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
GROUP BY customer_id, test, kind, config_type, action, agent_id, toStartOfHour(event_time);

CREATE OR REPLACE VIEW rev.revenue_by_customer AS
SELECT
    customer_id,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, kind = 'void' AND config_type != 'charge')) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, kind = 'void' AND config_type != 'charge')) AS tokens
FROM rev.hourly
WHERE NOT test AND kind IN ('event', 'charge', 'void')
GROUP BY customer_id, day;

CREATE OR REPLACE VIEW rev.revenue_by_agent AS
SELECT
    customer_id,
    agent_id,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, kind = 'void' AND config_type != 'charge')) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, kind = 'void' AND config_type != 'charge')) AS tokens
FROM rev.hourly
WHERE NOT test AND kind IN ('event', 'charge', 'void')
GROUP BY customer_id, agent_id, day;

CREATE OR REPLACE VIEW rev.revenue_by_action AS
SELECT
    customer_id,
    action,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, kind = 'void' AND config_type != 'charge')) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, kind = 'void' AND config_type != 'charge')) AS tokens
FROM rev.hourly
WHERE NOT test AND kind IN ('event', 'charge', 'void')
GROUP BY customer_id, action, day;

CREATE OR REPLACE VIEW rev.rejections AS
SELECT
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

CREATE OR REPLACE VIEW rev.price_changes AS
SELECT
    recorded_at,
    config_type AS change,
    actor,
    JSONExtractUInt(detail, 'id') AS price_id,
    JSONExtractString(detail, 'customer_id') AS customer_id,
    JSONExtractString(detail, 'action_type') AS action_type,
    detail
FROM rev.entries
WHERE kind = 'config' AND config_type LIKE 'pricing.%';

-- One row for each outcome, as the ledger has it now. An outcome whose time is over is pending until the
-- entry that closes it is here. Of its entries exactly one opens it, at most one closes it.
CREATE OR REPLACE VIEW rev.outcomes AS
SELECT
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
    -- its charge was taken back; or the event was, while it could still charge
    toBool(countIf(takes_back) > 0 OR minIf(e.event_id, kind = 'void') < ifNull(closed_by, 9007199254740992) AND countIf(kind = 'void') > 0) AS voided,
    anyOrNullIf(recorded_at, kind = 'void') AS voided_at,
    anyOrNullIf(e.event_id, closes) AS closed_by,
    if(countIf(closes) = 0, anyIf(e.detail, opens), anyIf(e.detail, closes)) AS detail,
    anyIf(e.test, opens) AS test
FROM
(
    SELECT
        *,
        kind = 'registered' OR kind = 'event' AS opens,
        kind = 'charge' OR kind = 'waived' AS closes,
        kind = 'void' AND config_type = 'charge' AS takes_back
    FROM rev.entries
    WHERE outcome_id != '' AND kind IN ('event', 'registered', 'charge', 'waived', 'void')
) AS e
GROUP BY customer_id, outcome_id;

CREATE OR REPLACE VIEW rev.outcomes_by_agent AS
SELECT
    customer_id,
    agent_id,
    count() AS opened,
    countIf(status = 'pending') AS pending,
    countIf(status = 'succeeded') AS succeeded,
    countIf(status = 'failed') AS failed,
    countIf(status = 'expired') AS expired,
    succeeded + failed + expired AS closed,
    toDecimal128(succeeded, 12) / nullIf(closed, 0) AS success_rate,
    sum(o.revenue_cents) AS revenue_cents
FROM rev.outcomes AS o
WHERE NOT test
GROUP BY customer_id, agent_id;
