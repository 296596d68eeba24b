-- The outcomes of all customers that are still open at {now}, without test outcomes, and what they would add if all
-- succeeded: the bonus that an event deferred, the price that a registered task has on success.
SELECT count() AS outcomes, toString(sum(toDecimal256(if(kind = 'registered', price_on_success, price_bonus), 12))) AS total
FROM rev.entries
WHERE test = false
    AND (kind = 'registered' OR kind = 'event' AND outcome = 'pending')
    AND (expires_at IS NULL OR expires_at > fromUnixTimestamp64Milli({now:Int64}, 'UTC'))
    AND event_id NOT IN
    (
        SELECT assumeNotNull(original)
        FROM rev.entries
        WHERE kind IN ('charge', 'waived', 'void') AND outcome_id != '' AND original IS NOT NULL
    )
