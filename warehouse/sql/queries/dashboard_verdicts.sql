-- How the work of all customers in [start, end) ended, without test entries: verdicts that came with the events
-- themselves, and outcomes that were closed in that time. A void changes no verdict.
SELECT
    countIf(kind = 'event' AND outcome = 'success') + countIf(kind IN ('charge', 'waived') AND verdict = 'succeeded')
        AS succeeded,
    countIf(kind = 'event' AND outcome = 'failure') + countIf(kind IN ('charge', 'waived') AND verdict = 'failed')
        AS failed,
    countIf(kind IN ('charge', 'waived') AND verdict = 'expired') AS expired
FROM rev.entries
WHERE test = false
    AND kind IN ('event', 'charge', 'waived')
    AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
