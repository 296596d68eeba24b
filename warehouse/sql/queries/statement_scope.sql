-- The entries of a statement: one customer's of [start, end) that were accepted until as_of, and earlier ones that were
-- accepted after late_after. A void of what an earlier invoice holds is left out, since it is for that invoice's credit
-- note: its original is from before start and was accepted until late_after, but not before invoicing began (first).
-- An event cannot be later than its accepted time by more than a few minutes, so `since` bounds the months to read.
WITH
late_voids AS
(
    SELECT assumeNotNull(original) AS original
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND kind = 'void'
        AND event_time < fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND recorded_at > fromUnixTimestamp64Milli({late_after:Int64}, 'UTC')
        AND recorded_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
),
invoiced AS
(
    SELECT event_id
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND event_id IN (SELECT original FROM late_voids)
        AND kind IN ('event', 'charge')
        AND recorded_at <= fromUnixTimestamp64Milli({late_after:Int64}, 'UTC')
        AND (event_time >= fromUnixTimestamp64Milli({first:Int64}, 'UTC')
            OR recorded_at > fromUnixTimestamp64Milli({first:Int64}, 'UTC'))
),
scope AS
(
    SELECT *, toBool(event_time < fromUnixTimestamp64Milli({start:Int64}, 'UTC')) AS late
    FROM rev.entries
    WHERE customer_id = {customer:String}
        AND test = {test:Bool}
        AND kind IN ('event', 'charge', 'adjustment', 'void')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
        AND recorded_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
        AND (event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            OR recorded_at > fromUnixTimestamp64Milli({late_after:Int64}, 'UTC'))
        AND NOT (kind = 'void'
            AND event_time < fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND ifNull(original, 0) IN (SELECT event_id FROM invoiced))
)
{sums}
