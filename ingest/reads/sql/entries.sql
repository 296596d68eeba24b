-- Entries with everything that they hold, by their ids, of a customer or ('') of anyone.
SELECT
    kind, event_id, customer_id, agent_id, action, tokens, tokens_input, tokens_output, outcome,
    toString(base_cents) AS base,
    toString(token_cents) AS token,
    toString(bonus_cents) AS bonus,
    toString(total_cents) AS total,
    price_id, price_action,
    toString(entries.price_base) AS price_base,
    toString(entries.price_token) AS price_token,
    toString(entries.price_bonus) AS price_bonus,
    price_is_default, price_offset, model, provider, trace_id, task_id, outcome_id, idempotency_key, metadata, test,
    toUnixTimestamp64Milli(entries.expires_at) AS expires_at,
    toUnixTimestamp64Milli(entries.event_time) AS event_time,
    toUnixTimestamp64Milli(entries.recorded_at) AS recorded_at,
    reason, import_id, on_expiry, detail
FROM rev.entries AS entries
WHERE event_id IN {events:Array(UInt64)} AND ({customer:String} = '' OR customer_id = {customer:String})
