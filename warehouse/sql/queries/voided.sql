-- Which of these events were voided, and why. A void comes after what it voids.
SELECT assumeNotNull(original) AS original, reason
FROM rev.entries
WHERE customer_id = {customer:String}
    AND event_id > {least:UInt64}
    AND kind = 'void'
    AND original IN {events:Array(UInt64)}
