-- The outcomes of all customers that were opened in [start, end), without test outcomes, by how they stand: an open one
-- that is past its time counts as expired, though no entry has closed it yet. `charged`: charges less what was voided.
-- `awaited`: what the pending ones that are not voided add if all succeed. As rev.outcomes has them, written so that the
-- projection `by_outcome` can answer the inner query.
SELECT
    multiIf(verdict_told != '', toString(verdict_told), due <= fromUnixTimestamp64Milli({now:Int64}, 'UTC'), 'expired', 'pending')
        AS name,
    count() AS outcomes,
    toString(sum(toDecimal256(charge, 12))) AS charged,
    toString(sumIf(toDecimal256(on_success, 12), name = 'pending' AND voids = 0)) AS awaited
FROM
(
    SELECT
        toUInt64OrZero(substring(outcome_id, 4)) AS number,
        countIf(kind IN ('event', 'registered')) AS opened,
        maxIf(recorded_at, kind IN ('event', 'registered')) AS opened_at,
        maxIf(expires_at, kind IN ('event', 'registered')) AS due,
        sumIf(if(kind = 'registered', price_on_success, price_bonus), kind IN ('event', 'registered')) AS on_success,
        max(verdict) AS verdict_told,
        sumIf(total_cents, kind = 'charge' OR kind = 'void' AND config_type = 'charge') AS charge,
        countIf(kind = 'void' AND config_type != 'charge') AS voids
    FROM rev.entries
    WHERE test = false AND toUInt64OrZero(substring(outcome_id, 4)) != 0
    GROUP BY number
)
WHERE opened > 0
    AND opened_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND opened_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY name
ORDER BY name
