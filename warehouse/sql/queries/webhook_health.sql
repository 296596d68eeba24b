-- What became of the attempts at each of these endpoints since {since} (ms), and the last one. Deliveries that were dropped
-- without a try, and gaps, are no attempts.
SELECT
    webhook_id AS webhook,
    countIf(NOT gap AND outcome != 'dropped') AS attempts,
    countIf(NOT gap AND outcome = 'delivered') AS delivered,
    countIf(NOT gap AND outcome = 'dead') AS dead,
    countIf(NOT gap AND outcome = 'dropped') AS dropped,
    countIf(gap) AS gaps,
    toUInt32(quantileExactIf(0.5)(latency, NOT gap AND outcome = 'delivered')) AS latency,
    maxIf(at, NOT gap AND outcome != 'dropped') AS last,
    argMaxIf(outcome, (at, log_partition, log_offset), NOT gap AND outcome != 'dropped') AS last_outcome
FROM rev._deliveries FINAL
WHERE webhook_id IN {webhooks:Array(UInt64)} AND at >= {since:Int64}
GROUP BY webhook_id
ORDER BY webhook_id
