-- The last priced meter events of all customers, without test events, accepted at or after {since}. The parts of the
-- table know their first and last recorded_at, so that a recent {since} reads the newest parts alone.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE kind = 'event'
    AND test = false
    AND entries.recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY entries.recorded_at DESC, event_id DESC
LIMIT {limit:UInt32}
