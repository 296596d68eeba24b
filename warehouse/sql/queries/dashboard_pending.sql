-- The outcomes of all customers that are still open at {now}, without test outcomes, and what they would add if all
-- succeeded: the bonus that an event deferred, the price that a registered task has on success. The inner query is that
-- of dashboard_outcomes.sql; what no entry opened has no due.
SELECT count() AS outcomes, toString(sum(toDecimal256(on_success, 12))) AS total
FROM
(
    SELECT
        toUInt64OrZero(substring(outcome_id, 4)) AS number,
        maxIf(ifNull(toUnixTimestamp64Milli(expires_at), 9007199254740992), kind IN ('event', 'registered')) AS due,
        sumIf(if(kind = 'registered', price_on_success, price_bonus), kind IN ('event', 'registered')) AS on_success,
        max(indexOf(['succeeded', 'failed', 'expired'], verdict)) AS ended,
        countIf(kind = 'void' AND config_type != 'charge') AS voids
    FROM rev.entries
    WHERE test = false AND toUInt64OrZero(substring(outcome_id, 4)) != 0
    GROUP BY number
)
WHERE due > {now:Int64} AND ended = 0 AND voids = 0
