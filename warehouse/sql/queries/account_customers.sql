-- Customers with their sums in [start, end) and in [before_start, before_end), without test entries: everyone who has a
-- key, was named by a platform key, or metered; {search} is a part of the id or of the name. `found`: how many there are.
-- Written so that the projection `hourly` can answer the sums of whole hours (see usage_hours.sql); what follows
-- {before_whole}, the last whole hour before {before_end}, is read from the rows.
WITH toStartOfDay(toStartOfHour(event_time)) AS day
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
                    toStartOfHour(event_time) < toDateTime(intDiv({start:Int64}, 1000), 'UTC') AS is_before
                FROM rev.entries
                WHERE test = false
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND (toStartOfHour(event_time) >= toDateTime(intDiv({start:Int64}, 1000), 'UTC')
                            AND toStartOfHour(event_time) < toDateTime(intDiv({end:Int64}, 1000), 'UTC')
                        OR toStartOfHour(event_time) >= toDateTime(intDiv({before_start:Int64}, 1000), 'UTC')
                            AND toStartOfHour(event_time) < toDateTime(intDiv({before_whole:Int64}, 1000), 'UTC'))
                GROUP BY customer_id, kind, config_type, is_before, day
                UNION ALL
                SELECT customer_id, kind, config_type, toInt64(count()), sum(total_cents), true
                FROM rev.entries
                WHERE test = false
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND event_time >= fromUnixTimestamp64Milli({before_whole:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({before_end:Int64}, 'UTC')
                GROUP BY customer_id, kind, config_type
            )
        )
        GROUP BY customer_id
    )
    GROUP BY id
)
WHERE positionCaseInsensitiveUTF8(concat(id, '\n', name), {search:String}) > 0
ORDER BY cents DESC, events DESC, id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
