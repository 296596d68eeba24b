-- What closed these outcomes of a customer, each named by the event id of what opened it. It comes after that.
SELECT assumeNotNull(original) AS original, event_id, kind, detail
FROM rev.entries
WHERE customer_id = {customer:String}
    AND event_id > {least:UInt64}
    AND kind IN ('charge', 'waived')
    AND original IN {events:Array(UInt64)}
