-- The charged events of one customer and mode that have one of these idempotency keys. Only the skip indexes keep
-- this from reading all keys of the customer.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE customer_id = {customer:String}
    AND kind = 'event'
    AND test = {test:Bool}
    AND idempotency_key IN {keys:Array(String)}
ORDER BY event_id
