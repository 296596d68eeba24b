-- Sums over all customers by {key}, without test entries: of [start, end), and of [before_start, before_end) to compare
-- with. The {most} largest totals, then by name. A void takes off where its original had counted and changes no verdict.
-- The whole days of both, [first, last) and [before_first, before_last), are written so that a projection by day can answer
-- them (see dashboard_totals.sql).
SELECT
    name,
    sum(if(is_now AND NOT is_charge, sign * n, 0)) AS events,
    sum(if(is_now AND is_charge, sign * n, 0)) AS charges,
    toString(sum(if(is_now AND NOT is_charge, toInt256(sign) * toInt256(tokens_sum), toInt256(0)))) AS token_sum,
    toString(sumIf(toDecimal256(cents, 12), is_now)) AS total,
    toString(sumIf(toDecimal256(cents, 12), NOT is_now)) AS before,
    toUInt64(sumIf(n, is_now AND (kind = 'event' AND outcome = 'success' OR closes AND verdict = 'succeeded'))) AS succeeded,
    toUInt64(sumIf(n, is_now AND (kind = 'event' AND outcome IN ('success', 'failure') OR closes AND verdict != ''))) AS ended
FROM
(
    SELECT
        toString(key) AS name, is_now, kind, outcome, verdict, n, tokens_sum, cents,
        kind IN ('charge', 'waived') AS closes,
        kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
        multiIf(kind = 'void', toInt64(-1), kind IN ('waived', 'adjustment'), toInt64(0), toInt64(1)) AS sign
    FROM
    (
        SELECT
            {key:Identifier} AS key, kind, config_type, outcome, verdict,
            toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
                AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC') AS is_now,
            toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'waived', 'adjustment', 'void')
            AND ({agent:String} = '' OR agent_id = {agent:String})
            AND ({action:String} = '' OR action = {action:String})
            AND (toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
                    AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
                OR toStartOfDay(event_time) >= toDateTime(intDiv({before_first:Int64}, 1000), 'UTC')
                    AND toStartOfDay(event_time) < toDateTime(intDiv({before_last:Int64}, 1000), 'UTC'))
        GROUP BY key, kind, config_type, outcome, verdict, is_now, toStartOfDay(event_time)
        UNION ALL
        SELECT
            {key:Identifier} AS key, kind, config_type, outcome, verdict,
            event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AS is_now,
            toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'waived', 'adjustment', 'void')
            AND ({agent:String} = '' OR agent_id = {agent:String})
            AND ({action:String} = '' OR action = {action:String})
            AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
                OR {before_start:Int64} < {before_first:Int64} AND event_time >= fromUnixTimestamp64Milli({before_start:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({before_first:Int64}, 'UTC')
                OR {before_last:Int64} < {before_end:Int64} AND event_time >= fromUnixTimestamp64Milli({before_last:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({before_end:Int64}, 'UTC'))
        GROUP BY key, kind, config_type, outcome, verdict, is_now
    )
)
GROUP BY name
ORDER BY sumIf(toDecimal256(cents, 12), is_now) DESC, name
LIMIT {most:UInt32}
