-- Sums over all customers in [start, end), without test entries: whole hours up to {whole} from the projection
-- `hourly`, the rest from the rows. A void takes off where its original had counted (see usage_hours.sql).
WITH
    toStartOfHour(event_time) AS hour,
    toStartOfDay(toStartOfHour(event_time)) AS day
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
            AND toStartOfHour(event_time) >= toDateTime(intDiv({start:Int64}, 1000), 'UTC')
            AND toStartOfHour(event_time) < toDateTime(intDiv({whole:Int64}, 1000), 'UTC')
        GROUP BY agent_id, kind, config_type, day
        UNION ALL
        SELECT
            agent_id,
            kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
            multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
            toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND event_time >= fromUnixTimestamp64Milli({whole:Int64}, 'UTC')
            AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        GROUP BY agent_id, kind, config_type
    )
    GROUP BY agent_id
)
