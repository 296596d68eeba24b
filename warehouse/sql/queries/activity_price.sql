-- The configuration entry that made a price record.
SELECT
    toUnixTimestamp64Milli(entries.recorded_at) AS at, actor, detail, JSONExtractString(detail, 'customer_id') AS customer
FROM rev.entries AS entries
WHERE customer_id = '_config'
    AND kind = 'config'
    AND config_type LIKE 'pricing.%'
    AND JSONExtractUInt(detail, 'id') = {price:UInt64}
ORDER BY event_id
LIMIT 1
