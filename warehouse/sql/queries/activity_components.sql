-- What each component of an action earned in [start, end): units less voided ones, and cents. As rev.lines has them. The
-- whole days, [first, last), are written so that the projection `by_component` can answer them; `by_line` has what is
-- charged in lines: names, units, cents. All other sums have what is not.
WITH
    sums AS
    (
        SELECT
            kind, config_type,
            countIf(base_cents != 0) AS bases, sum(base_cents) AS base,
            countIf(empty(lines) AND token_cents != 0) AS token_charges,
            sumIf(tokens, empty(lines) AND token_cents != 0) AS token_units,
            sumIf(token_cents, empty(lines)) AS token,
            countIf(bonus_cents != 0) AS bonuses, sum(bonus_cents) AS bonus,
            sumMap(tupleElement(lines, 1)::Array(String), tupleElement(lines, 2), tupleElement(lines, 5)) AS by_line
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND action = {action:String}
            AND toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
            AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
        GROUP BY kind, config_type, toStartOfDay(event_time)
        UNION ALL
        SELECT
            kind, config_type,
            countIf(base_cents != 0), sum(base_cents),
            countIf(empty(lines) AND token_cents != 0), sumIf(tokens, empty(lines) AND token_cents != 0),
            sumIf(token_cents, empty(lines)),
            countIf(bonus_cents != 0), sum(bonus_cents),
            sumMap(tupleElement(lines, 1)::Array(String), tupleElement(lines, 2), tupleElement(lines, 5))
        FROM rev.entries
        WHERE test = false
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND action = {action:String}
            AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
        GROUP BY kind, config_type
    )
SELECT
    line.1 AS component,
    toString(sum(line.2)) AS units,
    toString(sum(line.3)) AS total
FROM
(
    SELECT
        if(kind = 'void', toInt256(-1), toInt256(1)) AS sign,
        if(kind = 'charge' OR config_type = 'charge', 'outcome', 'success') AS bonus_name,
        arrayConcat(
            if(bases = 0, [], [('event', toDecimal256(sign * bases, 6), toDecimal256(base, 12))]),
            if(token_charges = 0, [], [('tokens', toDecimal256(sign * toInt256(token_units), 6), toDecimal256(token, 12))]),
            if(bonuses = 0, [], [(bonus_name, toDecimal256(sign * bonuses, 6), toDecimal256(bonus, 12))]),
            arrayMap((name, unit, cent) -> (name, sign * toDecimal256(unit, 6), toDecimal256(cent, 12)), by_line.1, by_line.2, by_line.3)
        ) AS found
    FROM sums
)
ARRAY JOIN found AS line
GROUP BY component
ORDER BY sum(line.3) DESC, component
SETTINGS optimize_functions_to_subcolumns = 0
