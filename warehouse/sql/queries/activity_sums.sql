-- Sums over all customers by {key}, without test entries: of [start, end), and of [before_start, before_end) to compare
-- with. The {most} largest totals, then by name. A void takes off where its original had counted and changes no verdict.
SELECT
    name,
    toInt64(sumIf(sign, is_now AND NOT is_charge)) AS events,
    toInt64(sumIf(sign, is_now AND is_charge)) AS charges,
    toString(sumIf(toInt256(sign) * toInt256(tokens), is_now AND NOT is_charge)) AS token_sum,
    toString(sumIf(toDecimal256(total_cents, 12), is_now)) AS total,
    toString(sumIf(toDecimal256(total_cents, 12), NOT is_now)) AS before,
    countIf(is_now AND (kind = 'event' AND outcome = 'success' OR verdict = 'succeeded')) AS succeeded,
    countIf(is_now AND (kind = 'event' AND outcome IN ('success', 'failure') OR verdict != '')) AS ended
FROM
(
    SELECT
        toString({key:Identifier}) AS name,
        event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AS is_now,
        kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
        multiIf(kind = 'void', -1, kind IN ('waived', 'adjustment'), 0, 1) AS sign,
        kind, outcome, if(kind IN ('charge', 'waived'), entries.verdict, '') AS verdict, tokens, total_cents
    FROM rev.entries AS entries
    WHERE test = false
        AND kind IN ('event', 'charge', 'waived', 'adjustment', 'void')
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
        AND
        (
            event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            OR event_time >= fromUnixTimestamp64Milli({before_start:Int64}, 'UTC')
            AND event_time < fromUnixTimestamp64Milli({before_end:Int64}, 'UTC')
        )
)
GROUP BY name
ORDER BY sumIf(toDecimal256(total_cents, 12), is_now) DESC, name
LIMIT {most:UInt32}
