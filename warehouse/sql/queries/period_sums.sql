-- As invoice_sums.sql, for customers that each have a period of their own: `customers`, and in the same order the times of
-- their periods, and the ends and closes of those that were closed before. `since` is before all of them.
WITH
late_voids AS
(
    SELECT
        customer_id,
        indexOf({customers:Array(String)}, toString(customer_id)) AS place,
        assumeNotNull(original) AS original,
        total_cents,
        ifNull(credit_cents, toDecimal128(0, 12)) AS credit
    FROM rev.entries
    WHERE customer_id IN {customers:Array(String)}
        AND kind = 'void'
        AND NOT test
        AND total_cents != 0
        AND toUnixTimestamp64Milli(event_time) < {starts:Array(Int64)}[place]
        AND toUnixTimestamp64Milli(recorded_at) > {lates:Array(Int64)}[place]
        AND toUnixTimestamp64Milli(recorded_at) <= {as_ofs:Array(Int64)}[place]
),
invoiced AS
(
    SELECT
        event_id,
        indexOf({customers:Array(String)}, toString(customer_id)) AS place,
        arrayFirstIndex(
            (end, until) -> toUnixTimestamp64Milli(event_time) < end AND toUnixTimestamp64Milli(recorded_at) <= until,
            {ends:Array(Array(Int64))}[place],
            {closes:Array(Array(Int64))}[place]) AS closed
    FROM rev.entries
    WHERE (customer_id, event_id) IN (SELECT customer_id, original FROM late_voids)
        AND kind IN ('event', 'charge')
        AND toUnixTimestamp64Milli(recorded_at) <= {lates:Array(Int64)}[place]
        AND (toUnixTimestamp64Milli(event_time) >= {first:Int64} OR toUnixTimestamp64Milli(recorded_at) > {first:Int64})
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
    FROM
    (
        SELECT *, indexOf({customers:Array(String)}, toString(customer_id)) AS place
        FROM rev.entries
        WHERE customer_id IN {customers:Array(String)}
            AND NOT test
            AND total_cents != 0
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    )
    WHERE toUnixTimestamp64Milli(event_time) < {period_ends:Array(Int64)}[place]
        AND toUnixTimestamp64Milli(recorded_at) <= {as_ofs:Array(Int64)}[place]
        AND (toUnixTimestamp64Milli(event_time) >= {starts:Array(Int64)}[place]
            OR toUnixTimestamp64Milli(recorded_at) > {lates:Array(Int64)}[place])
        AND NOT (kind = 'void'
            AND toUnixTimestamp64Milli(event_time) < {starts:Array(Int64)}[place]
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
