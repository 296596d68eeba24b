-- Sums for a range of whole hours, by {key}. The two inner selects are written so that the projection
-- `hourly` can answer the first; voids are few. Grouped by the day inside, so that no sum of 64 bits
-- (tokens) or 38 digits (cents) is over more than one day of one name before it is widened.
WITH
    toStartOfHour(event_time) AS hour,
    toStartOfDay(toStartOfHour(event_time)) AS day
SELECT
    toString(key) AS name,
    sum(if(counts = 'event', sign * n, 0)) AS events,
    sum(if(counts = 'charge', sign * n, 0)) AS charges,
    toString(sum(if(counts = 'event', toInt256(sign) * toInt256(tokens_sum), 0))) AS tokens,
    toString(sum(toDecimal256(cents, 12))) AS total,
    toString(sumIf(toDecimal256(cents, 12), counts = 'charge')) AS charged
FROM
(
    SELECT {key:Identifier} AS key, kind AS counts, toInt64(1) AS sign, toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND test = {test:Bool}
        AND kind IN ('event', 'charge')
        AND toStartOfHour(event_time) >= toDateTime(intDiv({start:Int64}, 1000), 'UTC')
        AND toStartOfHour(event_time) < toDateTime(intDiv({end:Int64}, 1000), 'UTC')
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
    GROUP BY key, kind, day
    UNION ALL
    SELECT {key:Identifier} AS key, if(config_type = 'charge', 'charge', 'event') AS counts, toInt64(-1) AS sign, toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND test = {test:Bool}
        AND kind = 'void'
        AND toStartOfHour(event_time) >= toDateTime(intDiv({start:Int64}, 1000), 'UTC')
        AND toStartOfHour(event_time) < toDateTime(intDiv({end:Int64}, 1000), 'UTC')
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
    GROUP BY key, counts, day
)
GROUP BY key
ORDER BY sum(toDecimal256(cents, 12)) DESC, name
