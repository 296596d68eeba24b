-- What opened outcomes of one customer, newest first: registrations and pending events. With a status,
-- those that stand so at {now}: what no entry has closed yet is expired from its expires_at on.
SELECT
    kind, event_id, customer_id, agent_id, action, task_id, on_expiry, test, detail,
    toString(entries.price_bonus) AS price_bonus,
    toUnixTimestamp64Milli(entries.expires_at) AS expires_at,
    toUnixTimestamp64Milli(entries.recorded_at) AS recorded_at
FROM rev.entries AS entries
WHERE customer_id = {customer:String}
    AND event_id <= {at_most:UInt64}
    AND (kind = 'registered' OR kind = 'event' AND outcome = 'pending')
    AND toUInt8(test) IN {tests:Array(UInt8)}
    AND ({agent:String} = '' OR agent_id = {agent:String})
    AND entries.recorded_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND entries.recorded_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND
    (
        {status:String} = ''
        OR event_id IN
        (
            SELECT assumeNotNull(original)
            FROM rev.entries
            WHERE customer_id = {customer:String} AND kind IN ('charge', 'waived') AND verdict = {status:String}
                AND original IS NOT NULL
        )
        OR {status:String} = if(entries.expires_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC'), 'expired', 'pending')
            AND event_id NOT IN
            (
                SELECT assumeNotNull(original)
                FROM rev.entries
                WHERE customer_id = {customer:String} AND kind IN ('charge', 'waived') AND original IS NOT NULL
            )
    )
ORDER BY event_id DESC
LIMIT {limit:UInt32}
