-- Meter events of all customers that fit every filter ('' fits any): priced ones, and those that were refused after they
-- were accepted. A refused change of configuration has the customer `_config` and no tag. Newest first, after a place
-- in that order. They are found by a few columns; only what is returned is read as a whole.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE (customer_id, event_id) IN
(
    SELECT customer_id, event_id
    FROM rev.entries
    WHERE (kind = 'event' OR kind = 'rejected' AND config_type = '')
        AND customer_id != '_config'
        AND toUInt8(test) IN {tests:Array(UInt8)}
        AND ({customer:String} = '' OR customer_id = {customer:String})
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
        AND ({model:String} = '' OR model = {model:String})
        AND ({provider:String} = '' OR provider = {provider:String})
        AND ({task_id:String} = '' OR task_id = {task_id:String})
        AND ({trace_id:String} = '' OR trace_id = {trace_id:String})
        AND ({metadata:String} = '' OR position(metadata, {metadata:String}) > 0)
        AND ({outcome:String} = '' OR outcome = {outcome:String})
        AND ({idempotency_key:String} = '' OR idempotency_key = {idempotency_key:String})
        AND ({import_id:String} = '' OR import_id = {import_id:String})
        AND
        (
            {status:String} = ''
            OR {status:String} = 'rejected' AND kind = 'rejected'
            OR {status:String} IN ('priced', 'voided') AND kind = 'event' AND ({status:String} = 'voided') = (event_id IN
            (
                SELECT assumeNotNull(original) FROM rev.entries WHERE kind = 'void' AND original IS NOT NULL
            ))
        )
        AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
        AND recorded_at <= fromUnixTimestamp64Milli({before_time:Int64}, 'UTC')
        AND (toUnixTimestamp64Milli(recorded_at), event_id) < ({before_time:Int64}, {before_id:UInt64})
    ORDER BY recorded_at DESC, event_id DESC
    LIMIT {limit:UInt32}
)
    AND (kind = 'event' OR kind = 'rejected' AND config_type = '')
    AND entries.recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY entries.recorded_at DESC, event_id DESC
