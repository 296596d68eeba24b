-- Sums over all customers in [start, end), without test entries: the whole days of the range, [first, last), written so that
-- the projection `by_day_and_agent` can answer them, and what lies before and after them from the rows. Grouped by the day
-- inside, so that no sum of 64 bits (tokens) or 38 digits (cents) is over more than one day of one agent before it is
-- widened. A void takes off where its original had counted.
SELECT
    sum(event_count) AS events,
    sum(charge_count) AS charges,
    toString(sum(tokens_counted)) AS tokens,
    toString(sum(cents_counted)) AS total,
    countIf(event_count > 0) AS agents
FROM
(
    SELECT
        agent_id,
        sum(if(is_charge, 0, sign * n)) AS event_count,
        sum(if(is_charge, sign * n, 0)) AS charge_count,
        sum(if(is_charge, 0, toInt256(sign) * toInt256(tokens_sum))) AS tokens_counted,
        sum(toDecimal256(cents, 12)) AS cents_counted
    FROM
    (
        SELECT
            agent_id,
            kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
            multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
            toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
            AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
        GROUP BY agent_id, kind, config_type, toStartOfDay(event_time)
        UNION ALL
        SELECT
            agent_id,
            kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
            multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
            toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
        GROUP BY agent_id, kind, config_type
    )
    GROUP BY agent_id
)
