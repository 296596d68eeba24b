-- The outcomes of all customers that are still open at {now}, without test outcomes, and what they would add if all
-- succeeded: the bonus that an event deferred, the price that a registered task has on success. The inner query is that
-- of dashboard_outcomes.sql.
SELECT count() AS outcomes, toString(sum(toDecimal256(on_success, 12))) AS total
FROM
(
    SELECT
        toUInt64OrZero(substring(outcome_id, 4)) AS number,
        countIf(kind IN ('event', 'registered')) AS opened,
        maxIf(expires_at, kind IN ('event', 'registered')) AS due,
        sumIf(if(kind = 'registered', price_on_success, price_bonus), kind IN ('event', 'registered')) AS on_success,
        max(verdict) AS verdict_told,
        countIf(kind = 'void' AND config_type != 'charge') AS voids
    FROM rev.entries
    WHERE test = false AND toUInt64OrZero(substring(outcome_id, 4)) != 0
    GROUP BY number
)
WHERE opened > 0 AND verdict_told = '' AND voids = 0
    AND (due IS NULL OR due > fromUnixTimestamp64Milli({now:Int64}, 'UTC'))
