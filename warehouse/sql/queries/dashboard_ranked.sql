-- Sums over all customers in [start, end), without test entries, by {key}: the {most} largest totals and all others as one
-- last row without a name. `peers`: how many different {peer} have events or charges left (0 for the others).
-- Its whole days, [first, last), are written so that a projection by day can answer them (see dashboard_totals.sql).
SELECT
    if(rank > {most:UInt32}, '', any(one)) AS name,
    if(rank > {most:UInt32}, count(), 0) AS others,
    sum(event_count) AS events,
    sum(charge_count) AS charges,
    toString(sum(tokens_counted)) AS tokens,
    toString(sum(cents_counted)) AS total,
    if(rank > {most:UInt32}, 0, any(peer_count)) AS peers
FROM
(
    SELECT *, least(row_number() OVER (ORDER BY cents_counted DESC, one), {most:UInt32} + 1) AS rank
    FROM
    (
        SELECT
            one,
            sum(events_of_peer) AS event_count,
            sum(charges_of_peer) AS charge_count,
            sum(tokens_of_peer) AS tokens_counted,
            sum(cents_of_peer) AS cents_counted,
            countIf(events_of_peer > 0 OR charges_of_peer > 0) AS peer_count
        FROM
        (
            SELECT
                toString(key) AS one,
                other,
                sum(if(is_charge, 0, sign * n)) AS events_of_peer,
                sum(if(is_charge, sign * n, 0)) AS charges_of_peer,
                sum(if(is_charge, 0, toInt256(sign) * toInt256(tokens_sum))) AS tokens_of_peer,
                sum(toDecimal256(cents, 12)) AS cents_of_peer
            FROM
            (
                SELECT
                    {key:Identifier} AS key,
                    {peer:Identifier} AS other,
                    kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
                    multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
                    toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
                FROM rev.entries
                WHERE test = false
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
                    AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
                GROUP BY key, other, kind, config_type, toStartOfDay(event_time)
                UNION ALL
                SELECT
                    {key:Identifier} AS key,
                    {peer:Identifier} AS other,
                    kind = 'charge' OR kind = 'void' AND config_type = 'charge' AS is_charge,
                    multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1)) AS sign,
                    toInt64(count()) AS n, sum(tokens) AS tokens_sum, sum(total_cents) AS cents
                FROM rev.entries
                WHERE test = false
                    AND kind IN ('event', 'charge', 'adjustment', 'void')
                    AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                            AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                        OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                            AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
                GROUP BY key, other, kind, config_type
            )
            GROUP BY key, other
        )
        GROUP BY one
    )
)
GROUP BY rank
ORDER BY rank
