-- The one statement that writes the ledger. Conditional both ways: nothing at or below the partition's
-- maximum passes (another writer was here), and nothing at all passes unless the maximum has reached the
-- record before this block and the stage holds the block's last record (no gap). 'resync:' in a message tells
-- the writer to start over; any other throwIf is a record that must not enter the ledger.
INSERT INTO rev.entries
WITH
    throwIf(e.kind = '' OR e.index > 1023 OR raw_offset >= 137438953472, 'an entry without a kind or without an event id')
        + throwIf(e.kind = 'event' AND e.total != e.base + e.token + e.bonus, 'an event whose parts are not its total')
        + throwIf(ifNull(e.price, -1) >= toInt64(length(prices)), 'an entry without its price') AS checked,
    prices[ifNull(e.price, -1) + 1 + checked] AS p
SELECT
    e.kind AS kind,
    bitOr(bitOr(bitShiftLeft(raw_offset, 16), bitShiftLeft(toUInt64({partition}), 10)), toUInt64(e.index)) AS event_id,
    customer_id,
    api_key_id,
    e.event.agent_id AS agent_id,
    e.event.action AS action,
    e.event.tokens_input AS tokens_input,
    e.event.tokens_output AS tokens_output,
    e.event.tokens AS tokens,
    e.event.outcome AS outcome,
    e.base AS base_cents,
    e.token AS token_cents,
    e.bonus AS bonus_cents,
    e.total AS total_cents,
    p.id AS price_id,
    p.action_type AS price_action,
    p.rates.base AS price_base,
    p.rates.token AS price_token,
    p.rates.bonus AS price_bonus,
    p.is_default AS price_is_default,
    p.offset AS price_offset,
    e.event.model AS model,
    e.event.provider AS provider,
    e.event.trace_id AS trace_id,
    e.event.task_id AS task_id,
    e.outcome_id AS outcome_id,
    e.event.idempotency_key AS idempotency_key,
    e.body_hash AS body_hash,
    test,
    e.event.metadata AS metadata,
    fromUnixTimestamp64Milli(coalesce(e.expires_at, e.event.expires_at), 'UTC') AS expires_at,
    fromUnixTimestamp64Milli(coalesce(e.event.event_time, recorded_ms), 'UTC') AS event_time,
    fromUnixTimestamp64Milli(recorded_ms, 'UTC') AS recorded_at,
    e.reason AS reason,
    e.original AS original,
    e.type AS config_type,
    e.actor AS actor,
    e.detail AS detail,
    {partition} AS raw_partition,
    raw_offset,
    e.index AS raw_index,
    entries_offset
FROM
(
    SELECT entries_offset, customer_id, api_key_id, test, prices, entries,
        assumeNotNull(s.raw_offset) AS raw_offset, assumeNotNull(s.recorded_at) AS recorded_ms
    FROM {stage} AS s
    WHERE toInt64(entries_offset) >
    (
        WITH (SELECT max(toInt64(entries_offset)) FROM {stage}) AS staged
        SELECT if(count() = 0, -1, toInt64(max(entries_offset))) AS done
        FROM rev.entries
        WHERE raw_partition = {partition}
        HAVING throwIf(done < {after}, 'resync: a gap before the block') = 0
            AND throwIf(staged < {last}, 'resync: the stage does not hold the block') = 0
    )
    AND throwIf(
        customer_id = '' OR isNull(s.raw_offset) OR isNull(s.recorded_at) OR empty(entries),
        'a record without its address, time, customer or entries') = 0
    LIMIT 1 BY entries_offset
)
ARRAY JOIN entries AS e
