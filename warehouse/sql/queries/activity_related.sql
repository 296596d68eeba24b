-- An entry and those that refer to it, in the order of the log: what closed its outcome, and voids of either.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE customer_id = {customer:String}
    AND event_id >= {event:UInt64}
    AND
    (
        event_id = {event:UInt64}
        OR original = {event:UInt64}
        OR {outcome:String} != '' AND outcome_id = {outcome:String}
    )
ORDER BY event_id, kind
LIMIT {limit:UInt32}
