-- 1 if a partition has an entry that was accepted after a time, else 0.
SELECT count() AS number
FROM
(
    SELECT 1
    FROM rev.entries
    WHERE raw_partition = {partition:UInt16}
        AND recorded_at > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
    LIMIT 1
)
