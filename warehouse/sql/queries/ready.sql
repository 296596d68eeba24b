-- Answers when the engine is up and the ledger's table is there.
SELECT toUInt64(count()) AS number FROM (SELECT kind FROM rev.entries LIMIT 1)
