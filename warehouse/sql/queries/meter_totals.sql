-- Usage by customer, hour of the event time and rule: what was accepted until {since}, and until {as_of}. A rule is a
-- metric and an action, empty for any. Of hours in [{start}, {end}) in which something was accepted between the two;
-- voids take back. Test entries are left out.
WITH changed AS
(
    SELECT customer_id, toStartOfHour(event_time) AS hour
    FROM rev.entries
    WHERE NOT test
        AND (kind = 'event' OR (kind = 'void' AND config_type != 'charge'))
        AND recorded_at > fromUnixTimestamp64Milli({since:Int64}, 'UTC')
        AND recorded_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
        AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    GROUP BY customer_id, hour
)
SELECT
    customer,
    hour,
    rule,
    toString(sumIf(units, earlier)) AS before,
    toString(sum(units)) AS after
FROM
(
    SELECT
        toString(customer_id) AS customer,
        toInt64(toUnixTimestamp(toStartOfHour(event_time))) * 1000 AS hour,
        toUInt32(number - 1) AS rule,
        recorded_at <= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AS earlier,
        toDecimal256(if(kind = 'void', -1, 1), 6) * multiIf(
            metric = 'events', toDecimal256(1, 6),
            metric = 'tokens', toDecimal256(tokens, 6),
            metric = 'tokens_input', toDecimal256(ifNull(tokens_input, 0), 6),
            metric = 'tokens_output', toDecimal256(ifNull(tokens_output, 0), 6),
            toDecimal256(quantities[metric], 6)) AS units
    FROM rev.entries
    ARRAY JOIN
        {metrics:Array(String)} AS metric,
        {actions:Array(String)} AS of_action,
        arrayEnumerate({metrics:Array(String)}) AS number
    WHERE NOT test
        AND (kind = 'event' OR (kind = 'void' AND config_type != 'charge'))
        AND recorded_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
        AND event_time >= (SELECT min(hour) FROM changed)
        AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND (customer_id, toStartOfHour(event_time)) IN (SELECT customer_id, hour FROM changed)
        AND (of_action = '' OR action = of_action)
)
GROUP BY customer, hour, rule
ORDER BY customer, hour, rule
