-- The days of the month from which customers' billing periods run, as they were set.
SELECT customer_id, toUInt32(JSONExtractUInt(detail, 'billing_anchor')) AS day, toUnixTimestamp64Milli(recorded_at) AS at
FROM rev.entries
WHERE kind = 'config' AND config_type = 'billing_anchor.updated'
    AND ({customer:String} = '' OR customer_id = {customer:String})
ORDER BY event_id
