-- Sums by day, so that reports over millions of rows read thousands. `by_day` has what a price goes by and no agents;
-- `plain` events are those that a replay prices in sums (replay.sql).
-- Projections are built when parts are merged, not when a block is written: a block costs less, and what it holds is read
-- from its rows until then. A projection is a piece of its part, so it never differs from the rows (docs/decisions/0054).
ALTER TABLE rev.entries MODIFY SETTING materialize_projections_on_merge = 1;

ALTER TABLE rev.entries MODIFY SETTING materialize_projections_on_insert = 0;

ALTER TABLE rev.entries ADD PROJECTION IF NOT EXISTS by_day
(
    SELECT
        toStartOfDay(event_time), test, kind, config_type, customer_id, action, model, provider, outcome, verdict,
        greatest(
            notEmpty(quantities), tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000,
            ifNull(tokens_output, 0) > 1000000000),
        count(), sum(total_cents), sum(tokens), sum(ifNull(tokens_input, 0)), sum(ifNull(tokens_output, 0)),
        max(event_time)
    GROUP BY
        toStartOfDay(event_time), test, kind, config_type, customer_id, action, model, provider, outcome, verdict,
        greatest(
            notEmpty(quantities), tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000,
            ifNull(tokens_output, 0) > 1000000000)
);

ALTER TABLE rev.entries ADD PROJECTION IF NOT EXISTS by_day_and_agent
(
    SELECT
        toStartOfDay(event_time), test, kind, config_type, customer_id, agent_id, action, outcome, verdict,
        count(), sum(total_cents), sum(tokens)
    GROUP BY toStartOfDay(event_time), test, kind, config_type, customer_id, agent_id, action, outcome, verdict
);

ALTER TABLE rev.entries MATERIALIZE PROJECTION by_day;

ALTER TABLE rev.entries MATERIALIZE PROJECTION by_day_and_agent;
