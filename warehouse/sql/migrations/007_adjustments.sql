-- Adjustments settle a customer's month of a price row: they are revenue, and count no event.
CREATE OR REPLACE VIEW rev.revenue_by_customer AS
SELECT
    customer_id,
    toDate(hour) AS day,
    toInt64(sumIf(entries, kind = 'event')) - toInt64(sumIf(entries, kind = 'void' AND config_type != 'charge')) AS events,
    sum(cents) AS revenue_cents,
    toInt64(sumIf(token_sum, kind = 'event')) - toInt64(sumIf(token_sum, kind = 'void' AND config_type != 'charge')) AS tokens
FROM rev.hourly
WHERE NOT test AND kind IN ('event', 'charge', 'adjustment', 'void')
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
WHERE NOT test AND kind IN ('event', 'charge', 'adjustment', 'void')
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
WHERE NOT test AND kind IN ('event', 'charge', 'adjustment', 'void')
GROUP BY customer_id, action, day;

CREATE OR REPLACE VIEW rev.lines AS
SELECT
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
ARRAY JOIN arrayConcat(
    if(base_cents = 0, [], [('event', toDecimal128(1, 6), price_base, 1, base_cents)]),
    if(notEmpty(lines) OR token_cents = 0, [], [('tokens', toDecimal128(tokens, 6), price_token, 1, token_cents)]),
    lines,
    if(bonus_cents = 0, [], [(
        if(kind = 'charge' OR config_type = 'charge', 'outcome', 'success'),
        toDecimal128(1, 6), abs(bonus_cents), 1, bonus_cents)]))::Array(Tuple(
        component LowCardinality(String),
        quantity Decimal(38, 6),
        rate Decimal(38, 12),
        per UInt64,
        cents Decimal(38, 12))) AS line
WHERE NOT test AND kind IN ('event', 'charge', 'adjustment', 'void');

ALTER TABLE rev.entries COMMENT COLUMN kind 'event, registered, charge, waived, adjustment, void, rejected or config';
