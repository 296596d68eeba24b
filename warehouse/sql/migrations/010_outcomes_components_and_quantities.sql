-- What outcomes, components and replays are summed from, so that these reports do not read every row. In
-- `by_outcome` an outcome is one row, whatever day its entries are of; entries of no outcome are all in the row of number 0.
-- Built at merges, as the projections of 009_daily_sums.sql are.
ALTER TABLE rev.entries ADD PROJECTION IF NOT EXISTS by_outcome
(
    SELECT
        toUInt64OrZero(substring(outcome_id, 4)), test,
        maxIf(recorded_at, kind IN ('event', 'registered')),
        maxIf(ifNull(toUnixTimestamp64Milli(expires_at), 9007199254740992), kind IN ('event', 'registered')),
        sumIf(if(kind = 'registered', price_on_success, price_bonus), kind IN ('event', 'registered')),
        max(indexOf(['succeeded', 'failed', 'expired'], verdict)),
        sumIf(total_cents, kind = 'charge' OR kind = 'void' AND config_type = 'charge'),
        countIf(kind = 'void' AND config_type != 'charge')
    GROUP BY toUInt64OrZero(substring(outcome_id, 4)), test
);

ALTER TABLE rev.entries ADD PROJECTION IF NOT EXISTS by_component
(
    SELECT
        toStartOfDay(event_time), test, kind, config_type, action,
        countIf(base_cents != 0), sum(base_cents),
        countIf(empty(lines) AND token_cents != 0), sumIf(tokens, empty(lines) AND token_cents != 0), sumIf(token_cents, empty(lines)),
        countIf(bonus_cents != 0), sum(bonus_cents),
        sumMap(tupleElement(lines, 1)::Array(String), tupleElement(lines, 2), tupleElement(lines, 5))
    GROUP BY toStartOfDay(event_time), test, kind, config_type, action
);

-- Events with quantities are plain now if these are whole numbers (replay.sql): they are summed by the names of their quantities.
ALTER TABLE rev.entries DROP PROJECTION IF EXISTS by_day;

ALTER TABLE rev.entries ADD PROJECTION IF NOT EXISTS by_day
(
    SELECT
        toStartOfDay(event_time), test, kind, config_type, customer_id, action, model, provider, outcome, verdict,
        mapKeys(quantities)::Array(String),
        greatest(
            tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
            arraySum(mapValues(quantities)) > 100000000,
            arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))),
        count(), sum(total_cents), sum(tokens), sum(ifNull(tokens_input, 0)), sum(ifNull(tokens_output, 0)),
        sumMap(mapKeys(quantities)::Array(String), mapValues(quantities)),
        max(event_time)
    GROUP BY
        toStartOfDay(event_time), test, kind, config_type, customer_id, action, model, provider, outcome, verdict,
        mapKeys(quantities)::Array(String),
        greatest(
            tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
            arraySum(mapValues(quantities)) > 100000000,
            arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities)))
);

ALTER TABLE rev.entries MATERIALIZE PROJECTION by_day;

ALTER TABLE rev.entries MATERIALIZE PROJECTION by_outcome;

ALTER TABLE rev.entries MATERIALIZE PROJECTION by_component;
