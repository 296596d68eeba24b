-- within: usage_ranked
-- Sums for a range of whole hours, by {key}. The inner select is written so that the projection `hourly` can
-- answer it. Grouped by the day inside, so that no sum of 64 bits (tokens) or 38 digits (cents) is over more
-- than one day of one name before it is widened. A void takes off where its original had counted.
SELECT
    toString(key) AS one,
    sum(if(is_charge, 0, sign * n)) AS event_count,
    sum(if(is_charge, sign * n, 0)) AS charge_count,
    sum(if(is_charge, 0, toInt256(sign) * toInt256(tokens_sum))) AS tokens_counted,
    sum(toDecimal256(cents, 12)) AS cents_counted,
    sumIf(toDecimal256(cents, 12), is_charge) AS cents_charged
FROM
(
    SELECT
        {key:Identifier} AS key,
        kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
        multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
        toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND test = {test:Bool}
        AND kind IN ('event', 'charge', 'adjustment', 'void')
        AND toStartOfHour(event_time) >= toDateTime(intDiv({start:Int64}, 1000), 'UTC')
        AND toStartOfHour(event_time) < toDateTime(intDiv({end:Int64}, 1000), 'UTC')
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
    GROUP BY key, kind, config_type, day
)
GROUP BY key
