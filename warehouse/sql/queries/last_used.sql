-- When each of these API keys last metered something that the ledger has.
SELECT api_key_id AS id, toUnixTimestamp64Milli(max(recorded_at)) AS at
FROM rev.entries
WHERE api_key_id IN {keys:Array(UInt64)}
GROUP BY api_key_id
ORDER BY api_key_id
