-- How the work of all customers in [start, end) ended, without test entries: verdicts that came with the events
-- themselves, and outcomes that were closed in that time. A void changes no verdict. The whole days, [first, last), are
-- written so that the projection `by_day` can answer them.
SELECT
    sum(if(kind = 'event' AND outcome = 'success' OR closes AND verdict = 'succeeded', n, 0)) AS succeeded,
    sum(if(kind = 'event' AND outcome = 'failure' OR closes AND verdict = 'failed', n, 0)) AS failed,
    sum(if(closes AND verdict = 'expired', n, 0)) AS expired
FROM
(
    SELECT kind, kind IN ('charge', 'waived') AS closes, outcome, verdict, count() AS n
    FROM rev.entries
    WHERE test = false
        AND kind IN ('event', 'charge', 'waived')
        AND toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
        AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
    GROUP BY kind, outcome, verdict
    UNION ALL
    SELECT kind, kind IN ('charge', 'waived') AS closes, outcome, verdict, count() AS n
    FROM rev.entries
    WHERE test = false
        AND kind IN ('event', 'charge', 'waived')
        AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
            OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
    GROUP BY kind, outcome, verdict
)
