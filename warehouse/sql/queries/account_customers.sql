-- Customers with their sums in [start, end) and in [before_start, before_end), without test entries: everyone who has a
-- key, was named by a platform key, or metered; {search} is a part of the id or of the name. `found`: how many there are.
-- The whole days of both, [first, last) and [before_first, before_last), are written so that the projection `by_day` can
-- answer them (see dashboard_totals.sql); what lies before and after them is read from the rows.
SELECT
    id,
    name,
    test,
    metered,
    events,
    events_before,
    toString(cents) AS total,
    toString(cents_before) AS total_before,
    count() OVER () AS found
FROM
(
    SELECT
        one AS id,
        if(max(changed) != '', max(changed), max(first)) AS name,
        toBool(max(is_test)) AS test,
        toBool(max(is_metered)) AS metered,
        sum(event_count) AS events,
        sum(event_count_before) AS events_before,
        sum(cents_counted) AS cents,
        sum(cents_counted_before) AS cents_before
    FROM
    (
        SELECT
            JSONExtractString(detail, 'customer_id') AS one,
            argMaxIf(JSONExtractString(detail, 'name'), event_id, config_type LIKE 'customer.%') AS changed,
            argMinIf(JSONExtractString(detail, 'customer_name'), event_id,
                config_type = 'key.created' AND JSONExtractString(detail, 'customer_name') != '') AS first,
            toUInt8(argMaxIf(JSONExtractBool(detail, 'test'), event_id, config_type LIKE 'customer.%')) AS is_test,
            -- a key, as any change, makes an owner's customer of it
            toUInt8(argMax(JSONExtractBool(detail, 'metered'), event_id)) AS is_metered,
            toInt64(0) AS event_count, toInt64(0) AS event_count_before,
            toDecimal256(0, 12) AS cents_counted, toDecimal256(0, 12) AS cents_counted_before
        FROM rev.entries
        WHERE customer_id = '_config' AND kind = 'config'
            AND (config_type LIKE 'customer.%' OR config_type = 'key.created')
        GROUP BY one
        HAVING one != '*'
        UNION ALL
        SELECT
            customer_id, '', '', 0, 0,
            sum(if(is_charge OR is_before, 0, sign * n)),
            sum(if(is_charge OR NOT is_before, 0, sign * n)),
            sumIf(toDecimal256(sum_cents, 12), NOT is_before),
            sumIf(toDecimal256(sum_cents, 12), is_before)
        FROM
        (
            SELECT
                customer_id, is_before, n, sum_cents,
                kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
                multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign
            FROM
            (
                SELECT
                    customer_id, kind, config_type, toInt64(count()) AS n, sum(total_cents) AS sum_cents,
                    toStartOfDay(event_time) < toDateTime(intDiv({first:Int64}, 1000), 'UTC') AS is_before
                FROM rev.entries
                WHERE test = false
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND (toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
                            AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
                        OR toStartOfDay(event_time) >= toDateTime(intDiv({before_first:Int64}, 1000), 'UTC')
                            AND toStartOfDay(event_time) < toDateTime(intDiv({before_last:Int64}, 1000), 'UTC'))
                GROUP BY customer_id, kind, config_type, is_before, toStartOfDay(event_time)
                UNION ALL
                SELECT
                    customer_id, kind, config_type, toInt64(count()), sum(total_cents),
                    event_time < fromUnixTimestamp64Milli({start:Int64}, 'UTC') AS is_before
                FROM rev.entries
                WHERE test = false
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                            AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                        OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                            AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
                        OR {before_start:Int64} < {before_first:Int64} AND event_time >= fromUnixTimestamp64Milli({before_start:Int64}, 'UTC')
                            AND event_time < fromUnixTimestamp64Milli({before_first:Int64}, 'UTC')
                        OR {before_last:Int64} < {before_end:Int64} AND event_time >= fromUnixTimestamp64Milli({before_last:Int64}, 'UTC')
                            AND event_time < fromUnixTimestamp64Milli({before_end:Int64}, 'UTC'))
                GROUP BY customer_id, kind, config_type, is_before
            )
        )
        GROUP BY customer_id
    )
    GROUP BY id
)
WHERE positionCaseInsensitiveUTF8(concat(id, '\n', name), {search:String}) > 0
ORDER BY cents DESC, events DESC, id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
