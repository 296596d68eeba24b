-- What was accepted in [start, end), without test entries, of everyone (a row without names, the first) and of each agent of a
-- customer, the largest total first: meter events less voided ones, verdicts, what was charged less voids; and what the
-- minutes after {start} had: how many had events, the most events and the most cents of one.
SELECT
    customer,
    agent,
    sum(event_count) AS events,
    sum(failed_count) AS failed,
    sum(ended_count) AS ended,
    toString(sum(cents)) AS total,
    countIf(event_count > 0) AS minutes,
    max(event_count) AS most_events,
    toString(max(cents)) AS most
FROM
(
    SELECT
        if(is_all, '', customer_id) AS customer,
        if(is_all, '', agent_id) AS agent,
        sum(n) AS event_count,
        sum(failures) AS failed_count,
        sum(verdicts) AS ended_count,
        sum(toDecimal256(cents_sum, 12)) AS cents
    FROM
    (
        SELECT
            toString(customer_id) AS customer_id,
            toString(agent_id) AS agent_id,
            intDiv(toUnixTimestamp64Milli(recorded_at) - {start:Int64}, 60000) AS minute,
            toInt64(countIf(kind = 'event')) - toInt64(countIf(kind = 'void' AND config_type != 'charge')) AS n,
            countIf(kind = 'event' AND outcome = 'failure' OR kind IN ('charge', 'waived') AND verdict = 'failed') AS failures,
            countIf(kind = 'event' AND outcome IN ('success', 'failure') OR kind IN ('charge', 'waived') AND verdict != '')
                AS verdicts,
            sum(total_cents) AS cents_sum
        FROM rev.entries
        WHERE kind IN ('event', 'charge', 'waived', 'adjustment', 'void')
            AND test = false
            AND recorded_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND recorded_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        GROUP BY customer_id, agent_id, minute
    )
    ARRAY JOIN [true, false] AS is_all
    GROUP BY customer, agent, minute
)
GROUP BY customer, agent
ORDER BY customer != '', sum(cents) DESC, events DESC, customer, agent
LIMIT {limit:UInt32}
-- No projection has sums of a minute, and looking for one among the newest parts costs as much as reading them.
SETTINGS optimize_use_projections = 0
