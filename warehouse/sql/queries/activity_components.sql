-- What each component of an action earned in [start, end): units less voided ones, and cents. As rev.lines has them, but
-- only entries with lines are taken apart; what all others have is summed as it is.
WITH
    scope AS
    (
        SELECT *, if(kind = 'void', toInt64(-1), toInt64(1)) AS sign
        FROM rev.entries
        WHERE NOT test
            AND kind IN ('event', 'charge', 'adjustment', 'void')
            AND action = {action:String}
            AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    )
SELECT
    component,
    toString(sum(units_sum)) AS units,
    toString(sum(cents_sum)) AS total
FROM
(
    SELECT
        line.1 AS component, line.2 AS units_sum, line.3 AS cents_sum
    FROM
    (
        SELECT
            [
                ('event', toDecimal256(sumIf(sign, base_cents != 0), 6), toDecimal256(sum(base_cents), 12), countIf(base_cents != 0)),
                (
                    'tokens',
                    toDecimal256(sumIf(sign * toInt128(tokens), empty(lines) AND token_cents != 0), 6),
                    toDecimal256(sumIf(token_cents, empty(lines)), 12),
                    countIf(empty(lines) AND token_cents != 0)
                ),
                (
                    'outcome',
                    toDecimal256(sumIf(sign, bonus_cents != 0 AND of_charge), 6),
                    toDecimal256(sumIf(bonus_cents, of_charge), 12),
                    countIf(bonus_cents != 0 AND of_charge)
                ),
                (
                    'success',
                    toDecimal256(sumIf(sign, bonus_cents != 0 AND NOT of_charge), 6),
                    toDecimal256(sumIf(bonus_cents, NOT of_charge), 12),
                    countIf(bonus_cents != 0 AND NOT of_charge)
                )
            ] AS of_entries
        FROM (SELECT *, kind = 'charge' OR config_type = 'charge' AS of_charge FROM scope)
    )
    ARRAY JOIN of_entries AS line
    WHERE line.4 > 0
    UNION ALL
    SELECT line.component, sum(sign * toDecimal256(line.quantity, 6)), sum(toDecimal256(line.cents, 12))
    FROM scope
    ARRAY JOIN lines AS line
    GROUP BY line.component
)
GROUP BY component
ORDER BY sum(cents_sum) DESC, component
