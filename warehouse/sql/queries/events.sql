-- Meter events of one customer, newest first: priced ones, and those that were refused after they were accepted
-- (a refused command of another kind has its tag in config_type).
-- An id is larger than that of every event that the customer's shard accepted before.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE customer_id = {customer:String}
    AND event_id >= {at_least:UInt64}
    AND event_id <= {at_most:UInt64}
    AND (kind = 'event' OR kind = 'rejected' AND config_type = '')
    AND toUInt8(test) IN {tests:Array(UInt8)}
    AND ({agent:String} = '' OR agent_id = {agent:String})
    AND ({action:String} = '' OR action = {action:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND ({idempotency_key:String} = '' OR idempotency_key = {idempotency_key:String})
    AND ({import_id:String} = '' OR import_id = {import_id:String})
    AND entries.event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND entries.event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY event_id DESC
LIMIT {limit:UInt32}
