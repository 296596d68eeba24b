-- Sums over one customer, agent or action or ('') all, in a range of whole hours, of test entries or the others, by
-- {bucket} (hour or day) and {key}. Keys that are not among the {most} largest of the whole range share the name ''.
-- A bucket without entries has no row. Days are written so that the projection `by_day`, or with an agent the one
-- `by_day_and_agent`, can answer them (see dashboard_totals.sql); hours are those of a day or two, from the rows.
WITH
    toStartOfHour(event_time) AS hour,
    toStartOfDay(event_time) AS day
SELECT
    toInt64(toUnixTimestamp(at)) * 1000 AS start,
    if(rank > {most:UInt32}, '', one) AS name,
    sum(event_count) AS events,
    toString(sum(cents_counted)) AS total
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY whole DESC, one) AS rank
    FROM
    (
        SELECT *, sum(cents_counted) OVER (PARTITION BY one) AS whole
        FROM
        (
            SELECT
                at,
                toString(key) AS one,
                sum(if(is_charge, 0, sign * n)) AS event_count,
                sum(toDecimal256(cents, 12)) AS cents_counted
            FROM
            (
                SELECT
                    {bucket:Identifier} AS at,
                    {key:Identifier} AS key,
                    kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
                    multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
                    toInt64(count()) AS n, sum(total_cents) AS cents
                FROM rev.entries
                WHERE test = {test:Bool}
                    AND ({customer:String} = '' OR customer_id = {customer:String})
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND ({agent:String} = '' OR agent_id = {agent:String})
                    AND ({action:String} = '' OR action = {action:String})
                    AND {bucket:Identifier} >= toDateTime(intDiv({start:Int64}, 1000), 'UTC')
                    AND {bucket:Identifier} < toDateTime(intDiv({end:Int64}, 1000), 'UTC')
                GROUP BY at, key, kind, config_type
            )
            GROUP BY at, key
        )
    )
)
GROUP BY start, name
ORDER BY start, name
