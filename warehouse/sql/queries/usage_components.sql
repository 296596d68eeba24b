-- What each component of prices cost, by model if {by_model}: units and cents, less voided ones. The
-- adjustment of a month is of no further units.
SELECT
    component,
    of_model AS model,
    toString(units) AS quantity,
    toString(cents) AS total,
    counted AS entries
FROM
(
    SELECT
        line.1 AS component,
        if({by_model:Bool}, toString(model), '') AS of_model,
        sum(if(kind = 'void', -toDecimal256(line.2, 6), toDecimal256(line.2, 6))) AS units,
        sum(toDecimal256(line.5, 12)) AS cents,
        sum(multiIf(kind = 'void', toInt64(-1), kind = 'adjustment', toInt64(0), toInt64(1))) AS counted
    FROM rev.entries
    ARRAY JOIN arrayConcat(
        if(base_cents = 0, [], [('event', toDecimal128(1, 6), price_base, 1, base_cents)]),
        if(notEmpty(lines) OR token_cents = 0, [], [('tokens', toDecimal128(tokens, 6), price_token, 1, token_cents)]),
        lines,
        if(bonus_cents = 0, [], [(
            if(kind = 'charge' OR config_type = 'charge', 'outcome', 'success'),
            toDecimal128(1, 6), abs(bonus_cents), 1, bonus_cents)]))::Array(Tuple(
            component String,
            quantity Decimal(38, 6),
            rate Decimal(38, 12),
            per UInt64,
            cents Decimal(38, 12))) AS line
    WHERE customer_id = {customer:String}
        AND test = {test:Bool}
        AND kind IN ('event', 'charge', 'adjustment', 'void')
        AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND ({agent:String} = '' OR agent_id = {agent:String})
        AND ({action:String} = '' OR action = {action:String})
        AND ({model:String} = '' OR model = {model:String})
    GROUP BY component, of_model
)
ORDER BY cents DESC, component, model
LIMIT {most:UInt32}
