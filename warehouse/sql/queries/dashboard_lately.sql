-- What was accepted at or after {since} (ms), of all customers, without test entries: meter events less voided ones, and
-- what was charged, less voids.
SELECT
    toInt64(sum(multiIf(kind = 'event', 1, kind = 'void' AND config_type != 'charge', -1, 0))) AS events,
    toString(sum(total_cents)) AS total
FROM rev.entries
WHERE kind IN ('event', 'charge', 'adjustment', 'void')
    AND test = false
    AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
