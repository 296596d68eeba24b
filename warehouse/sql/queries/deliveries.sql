-- Attempts at the deliveries of one endpoint, and its gaps, newest first, before a place in their order.
SELECT
    log_partition, log_offset, delivery_id, event_id, type, `partition`, `offset`, `index`, attempt, at, outcome, latency, status,
    error, answer, next_at, replay, gap, reason, since, until
FROM rev._deliveries FINAL
WHERE webhook_id = {webhook:UInt64}
    AND (at, log_partition, log_offset) < ({before_time:Int64}, {before_partition:UInt16}, {before_offset:UInt64})
    AND ({delivery:String} = '' OR delivery_id = {delivery:String})
ORDER BY at DESC, log_partition DESC, log_offset DESC
LIMIT {limit:UInt32}
