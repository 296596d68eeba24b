-- What the outcomes that are still open would add if all succeeded: the bonus that an event deferred, the price
-- that a registered task has on success.
SELECT toString(sum(toDecimal256(if(kind = 'registered', price_on_success, price_bonus), 12))) AS total
FROM rev.entries
WHERE customer_id = {customer:String}
    AND test = {test:Bool}
    AND (kind = 'registered' OR kind = 'event' AND outcome = 'pending')
    AND (expires_at IS NULL OR expires_at > fromUnixTimestamp64Milli({now:Int64}, 'UTC'))
    AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND ({agent:String} = '' OR agent_id = {agent:String})
    AND ({action:String} = '' OR action = {action:String})
    AND ({model:String} = '' OR model = {model:String})
    AND event_id NOT IN
    (
        SELECT assumeNotNull(original)
        FROM rev.entries
        WHERE customer_id = {customer:String} AND kind IN ('charge', 'waived', 'void') AND original IS NOT NULL
    )
