-- What analysts read: names in rev without a leading underscore. Test keys are left out but where a
-- column says so. Revenue counts every entry with its sign: a void is negative. Events are meter events.
CREATE OR REPLACE VIEW rev.hourly AS
SELECT
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
GROUP BY customer_id, test, kind, action, agent_id, toStartOfHour(event_time);

CREATE OR REPLACE VIEW rev.revenue_by_customer AS
SELECT
    customer_id,
    toDate(hour) AS day,
    sumIf(entries, kind = 'event') AS events,
    sum(cents) AS revenue_cents,
    sumIf(token_sum, kind = 'event') AS tokens
FROM rev.hourly
WHERE NOT test AND kind IN ('event', 'charge', 'void')
GROUP BY customer_id, day;

CREATE OR REPLACE VIEW rev.revenue_by_agent AS
SELECT
    customer_id,
    agent_id,
    toDate(hour) AS day,
    sumIf(entries, kind = 'event') AS events,
    sum(cents) AS revenue_cents,
    sumIf(token_sum, kind = 'event') AS tokens
FROM rev.hourly
WHERE NOT test AND kind IN ('event', 'charge', 'void')
GROUP BY customer_id, agent_id, day;

CREATE OR REPLACE VIEW rev.revenue_by_action AS
SELECT
    customer_id,
    action,
    toDate(hour) AS day,
    sumIf(entries, kind = 'event') AS events,
    sum(cents) AS revenue_cents,
    sumIf(token_sum, kind = 'event') AS tokens
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
