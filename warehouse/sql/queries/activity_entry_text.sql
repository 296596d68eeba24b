-- An entry as one line of JSON, with every column that the table has.
SELECT formatRowNoNewline('JSONEachRow', *) AS text
FROM rev.entries
WHERE customer_id = {customer:String} AND event_id = {event:UInt64} AND kind = {kind:String}
LIMIT 1
