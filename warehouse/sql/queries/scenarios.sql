-- Saved scenarios, the newest first.
SELECT name, customer, changes, toUnixTimestamp64Milli(saved.saved_at) AS saved_at
FROM rev._scenarios AS saved FINAL
WHERE NOT deleted
ORDER BY saved.saved_at DESC, name
LIMIT {limit:UInt32}
