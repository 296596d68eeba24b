-- The last priced meter events of all customers, without test events, accepted at or after {since}. The parts of the
-- table know their first and last recorded_at, so that a recent {since} reads the newest parts alone. They are found by a
-- few columns; only what is returned is read as a whole.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE (customer_id, event_id) IN
(
    SELECT customer_id, event_id
    FROM rev.entries
    WHERE kind = 'event'
        AND test = false
        AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    ORDER BY recorded_at DESC, event_id DESC
    LIMIT {limit:UInt32}
)
    AND kind = 'event'
    AND entries.recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY entries.recorded_at DESC, event_id DESC
