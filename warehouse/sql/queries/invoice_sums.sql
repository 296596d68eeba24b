-- For a period, what each customer's entries add up to (`month` is 0), as statement_scope.sql selects them for one
-- customer, and what was voided of each earlier invoice since it was final: the first period of {ends} and {closes} (by
-- month: the end of a closed period, and until when its entries were accepted) that holds the original.
-- Test entries are left out, and entries that cost nothing.
WITH
late_voids AS
(
    SELECT
        customer_id,
        assumeNotNull(original) AS original,
        total_cents,
        ifNull(credit_cents, toDecimal128(0, 12)) AS credit
    FROM rev.entries
    WHERE kind = 'void'
        AND NOT test
        AND total_cents != 0
        AND event_time < fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND recorded_at > fromUnixTimestamp64Milli({late_after:Int64}, 'UTC')
        AND recorded_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
),
invoiced AS
(
    SELECT
        event_id,
        arrayFirstIndex(
            (end, until) -> toUnixTimestamp64Milli(event_time) < end AND toUnixTimestamp64Milli(recorded_at) <= until,
            {ends:Array(Int64)},
            {closes:Array(Int64)}) AS closed
    FROM rev.entries
    WHERE (customer_id, event_id) IN (SELECT customer_id, original FROM late_voids)
        AND kind IN ('event', 'charge')
        AND recorded_at <= fromUnixTimestamp64Milli({late_after:Int64}, 'UTC')
        AND (event_time >= fromUnixTimestamp64Milli({first:Int64}, 'UTC')
            OR recorded_at > fromUnixTimestamp64Milli({first:Int64}, 'UTC'))
)
SELECT
    customer,
    month,
    entries,
    cents,
    credit
FROM
(
    SELECT
        toString(customer_id) AS customer,
        toUInt32(0) AS month,
        count() AS entries,
        toString(sum(toDecimal256(total_cents, 12))) AS cents,
        toString(sum(toDecimal256(ifNull(credit_cents, toDecimal128(0, 12)), 12))) AS credit
    FROM rev.entries
    WHERE NOT test
        AND total_cents != 0
        AND kind IN ('event', 'charge', 'adjustment', 'void')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
        AND recorded_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
        AND (event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            OR recorded_at > fromUnixTimestamp64Milli({late_after:Int64}, 'UTC'))
        AND NOT (kind = 'void'
            AND event_time < fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND ifNull(original, 0) IN (SELECT event_id FROM invoiced))
    GROUP BY customer_id
    UNION ALL
    SELECT
        toString(v.customer_id) AS customer,
        toUInt32(i.closed) AS month,
        count() AS entries,
        toString(sum(toDecimal256(v.total_cents, 12))) AS cents,
        toString(sum(toDecimal256(v.credit, 12))) AS credit
    FROM late_voids AS v
    INNER JOIN invoiced AS i ON i.event_id = v.original
    GROUP BY v.customer_id, i.closed
)
ORDER BY customer, month
