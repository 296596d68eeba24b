-- The outcomes of all customers that were opened in [start, end), without test outcomes, by how they stand: an open one
-- that is past its time counts as expired, though no entry has closed it yet. `charged`: charges less what was voided.
-- `awaited`: what the pending ones that are not voided add if all succeed. As rev.outcomes has them. The innermost query is
-- written so that the projection `by_outcome` can answer it; names and wide sums are made of few rows.
SELECT
    ['pending', 'succeeded', 'failed', 'expired'][if(ended = 0 AND is_over, 3, ended) + 1] AS name,
    sum(n) AS outcomes,
    toString(sum(charge_sum)) AS charged,
    toString(sumIf(awaited_sum, name = 'pending')) AS awaited
FROM
(
    SELECT
        ended,
        due <= {now:Int64} AS is_over,
        count() AS n,
        sum(toDecimal256(charge, 12)) AS charge_sum,
        sumIf(toDecimal256(on_success, 12), voids = 0) AS awaited_sum
    FROM
    (
        SELECT
            toUInt64OrZero(substring(outcome_id, 4)) AS number,
            maxIf(recorded_at, kind IN ('event', 'registered')) AS opened_at,
            maxIf(ifNull(toUnixTimestamp64Milli(expires_at), 9007199254740992), kind IN ('event', 'registered')) AS due,
            sumIf(if(kind = 'registered', price_on_success, price_bonus), kind IN ('event', 'registered')) AS on_success,
            max(indexOf(['succeeded', 'failed', 'expired'], verdict)) AS ended,
            sumIf(total_cents, kind = 'charge' OR kind = 'void' AND config_type = 'charge') AS charge,
            countIf(kind = 'void' AND config_type != 'charge') AS voids
        FROM rev.entries
        WHERE test = false AND toUInt64OrZero(substring(outcome_id, 4)) != 0
        GROUP BY number
    )
    -- what no entry opened has no due
    WHERE due > 0
        AND opened_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND opened_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    GROUP BY ended, is_over
)
GROUP BY name
ORDER BY name
