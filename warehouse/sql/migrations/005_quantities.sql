-- Quantities, and the lines that they are charged in. An amount is base + token + bonus + quantity; lines explain
-- token_cents and quantity_cents, and are empty where all that was charged by quantity is tokens at price_token.
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS quantity_cents Decimal(38, 12)
    COMMENT 'cents for quantities that are not tokens' AFTER bonus_cents;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS quantities Map(LowCardinality(String), Decimal(38, 6))
    COMMENT 'quantities of the event besides tokens_input and tokens_output' AFTER tokens;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS lines Array(Tuple(
    component LowCardinality(String),
    quantity Decimal(38, 6),
    rate Decimal(38, 12),
    per UInt64,
    cents Decimal(38, 12)))
    COMMENT 'quantity units at rate cents for every per of them cost cents' AFTER total_cents;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS price_model LowCardinality(String)
    COMMENT 'model of the price that matched, empty for any' AFTER price_action;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS price_provider LowCardinality(String)
    COMMENT 'provider of the price that matched, empty for any' AFTER price_model;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS price_rates
    Array(Tuple(name LowCardinality(String), rate Decimal(38, 12), per UInt64))
    COMMENT 'rates of quantities in the price that matched: rate cents for every per units' AFTER price_bonus;
ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS price_ignore_unknown Bool
    COMMENT 'the price charges nothing for a quantity without a rate' AFTER price_rates;

-- What each component earned, line by line, test entries left out. A void's lines are negative.
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
WHERE NOT test AND kind IN ('event', 'charge', 'void');
