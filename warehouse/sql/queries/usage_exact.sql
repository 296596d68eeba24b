-- within: usage_ranked
-- Sums for any range and any filter, by {key}: the same numbers as usage_hours.sql, from the rows themselves.
SELECT
    toString(key) AS one,
    sum(if(counts = 'event', n, 0)) AS event_count,
    sum(if(counts = 'charge', n, 0)) AS charge_count,
    sum(if(counts = 'event', tokens_sum, toInt256(0))) AS tokens_counted,
    sum(cents) AS cents_counted,
    sumIf(cents, counts = 'charge') AS cents_charged
FROM
(
    SELECT
        {key:Identifier} AS key,
        if(kind = 'charge' OR kind = 'void' AND config_type = 'charge', 'charge', 'event') AS counts,
        sum(multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1))) AS n,
        sum(if(kind = 'void', -toInt256(tokens), toInt256(tokens))) AS tokens_sum,
        sum(toDecimal256(total_cents, 12)) AS cents
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND test = {test:Bool}
        AND kind IN ('event', 'charge', 'adjustment', 'void')
        AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
        AND ({model:String} = '' OR model = {model:String})
    GROUP BY key, counts
)
GROUP BY key
