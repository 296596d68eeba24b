-- The customers that metered or registered something for this task since a time: two are enough to know that it is not one.
SELECT DISTINCT customer_id
FROM rev.entries
WHERE task_id = {task:String}
    AND kind IN ('event', 'registered')
    AND test IN {tests:Array(UInt8)}
    AND event_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY customer_id
LIMIT 2
