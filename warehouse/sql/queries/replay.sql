-- What the events of [start, end) cost, and what they would cost at other prices, without test and voided events.
--
-- warehouse/replay.py numbers the names that rows of prices have, so that a row and an event are compared as integers:
-- `code` is those numbers of an event, 11 bits each, 0 for a name that no row has. A row has the code of its own names
-- and a shape (which of the four it names), and {masks} and {shapes} are the shapes in the order in which Rev tries
-- them. The first row that fits is the price: a change from 1 on, or 0 for one that stays; then events keep their cost.
--
-- An amount is linear in tokens, quantities and counts, so plain events are summed first and priced afterwards, if
-- {summed}: those of at most 10^9 tokens and 10^8 units that are whole numbers. No such event can cost more than an event
-- may, or have more decimals, and an Int64 holds their sums; whether a row has a rate for all is a matter of their names. Their
-- whole days, [first, last), are written so that the projection `by_day` can answer them: that an event is plain as one
-- number, since the engine takes an AND apart, and without subcolumns and lambdas, which no projection has. What was
-- voided is taken off again. Most have no quantities: their sums are read without the maps. Those whose bonus waits for
-- an outcome are summed with how that ended. All others, of which a range rarely has any, are priced one by one.
-- What a change charges in steps depends on what the customer has used before in the billing period, so its events are
-- priced one by one: `counted` has the count before each of them, of a quantity or of events, in the order of the log.
-- As on the shard, it counts by accepted time, from the period's beginning on, also what is before {start} or voided,
-- and nothing that has no rate. (What is refused for its amount counts: the amount depends on the count.)
-- {steps} are those of all such quantities: of which one, from and up to which count, and cents for a unit.
-- Decimal(76): the widest product is 10^12 units at 10^9 cents with 18 decimals.
-- A replay is asked for now and then and reads the most, so it takes two threads.
-- No event of the range is in a month before {month}; a table of many months is not read in whole.
WITH
    voided AS
    (
        SELECT customer_id, assumeNotNull(original) AS taken_back
        FROM rev.entries
        WHERE kind = 'void' AND test = false AND original IS NOT NULL
            AND ({customer:String} = '' OR customer_id = {customer:String})
            AND _partition_id >= {month:String}
    ),
    closed AS
    (
        SELECT
            assumeNotNull(original) AS opened_by,
            verdict,
            event_id IN (SELECT taken_back FROM voided) AS is_voided,
            if(is_voided, toDecimal128(0, 12), total_cents) AS charge
        FROM rev.entries
        WHERE kind IN ('charge', 'waived') AND test = false AND original IS NOT NULL AND action != 'outcome_charge'
            AND ({customer:String} = '' OR customer_id = {customer:String})
            AND _partition_id >= {month:String}
    ),
    plain AS
    (
        SELECT
            customer_id, action, model, provider, outcome, toDate(toStartOfDay(event_time)) AS day,
            toInt64(count()) AS n,
            toInt64(sum(tokens)) AS sum_tokens,
            toInt64(sum(ifNull(tokens_input, 0))) AS sum_input,
            toInt64(sum(ifNull(tokens_output, 0))) AS sum_output,
            emptyArrayString() AS names,
            (emptyArrayString(), []::Array(Decimal(38, 6))) AS units,
            sum(total_cents) AS sum_cents,
            toInt64(if(outcome = 'success', count(), 0)) AS wins,
            toInt64(0) AS waiting,
            toDecimal128(0, 12) AS waiting_cents
        FROM rev.entries
        WHERE kind = 'event' AND test = false AND outcome != 'pending'
            AND ({customer:String} = '' OR customer_id = {customer:String})
            AND toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
            AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
            AND empty(mapKeys(quantities)::Array(String))
            AND greatest(
                tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                arraySum(mapValues(quantities)) > 100000000,
                arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))) = 0
        GROUP BY customer_id, action, model, provider, outcome, toStartOfDay(event_time)
        UNION ALL
        SELECT
            customer_id, action, model, provider, outcome, toDate(toStartOfDay(event_time)) AS day,
            toInt64(count()) AS n,
            toInt64(sum(tokens)) AS sum_tokens,
            toInt64(sum(ifNull(tokens_input, 0))) AS sum_input,
            toInt64(sum(ifNull(tokens_output, 0))) AS sum_output,
            mapKeys(quantities)::Array(String) AS names,
            sumMap(mapKeys(quantities)::Array(String), mapValues(quantities)) AS units,
            sum(total_cents) AS sum_cents,
            toInt64(if(outcome = 'success', count(), 0)) AS wins,
            toInt64(0) AS waiting,
            toDecimal128(0, 12) AS waiting_cents
        FROM rev.entries
        WHERE kind = 'event' AND test = false AND outcome != 'pending'
            AND ({customer:String} = '' OR customer_id = {customer:String})
            AND toStartOfDay(event_time) >= toDateTime(intDiv({first:Int64}, 1000), 'UTC')
            AND toStartOfDay(event_time) < toDateTime(intDiv({last:Int64}, 1000), 'UTC')
            AND notEmpty(mapKeys(quantities)::Array(String))
            AND greatest(
                tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                arraySum(mapValues(quantities)) > 100000000,
                arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))) = 0
        GROUP BY customer_id, action, model, provider, outcome, names, toStartOfDay(event_time)
        UNION ALL
        SELECT
            customer_id, action, model, provider, outcome, toDate(event_time) AS day,
            toInt64(count()), toInt64(sum(tokens)), toInt64(sum(ifNull(tokens_input, 0))),
            toInt64(sum(ifNull(tokens_output, 0))),
            mapKeys(quantities)::Array(String) AS names,
            sumMap(mapKeys(quantities)::Array(String), mapValues(quantities)), sum(total_cents),
            toInt64(if(outcome = 'success', count(), 0)), toInt64(0), toDecimal128(0, 12)
        FROM rev.entries
        WHERE kind = 'event' AND test = false AND outcome != 'pending'
            AND ({customer:String} = '' OR customer_id = {customer:String})
            AND ({start:Int64} < {first:Int64} AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                OR {last:Int64} < {end:Int64} AND event_time >= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
            AND greatest(
                tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                arraySum(mapValues(quantities)) > 100000000,
                arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))) = 0
            AND _partition_id >= {month:String}
        GROUP BY customer_id, action, model, provider, outcome, names, day
        UNION ALL
        SELECT
            customer_id, action, model, provider, outcome, toDate(event_time) AS day,
            -toInt64(count()), -toInt64(sum(tokens)), -toInt64(sum(ifNull(tokens_input, 0))),
            -toInt64(sum(ifNull(tokens_output, 0))),
            mapKeys(quantities)::Array(String) AS names,
            sumMap(mapKeys(quantities)::Array(String), arrayMap(unit -> -unit, mapValues(quantities))), -sum(total_cents),
            -toInt64(if(outcome = 'success', count(), 0)), toInt64(0), toDecimal128(0, 12)
        FROM rev.entries
        WHERE (customer_id, event_id) IN voided
            AND kind = 'event' AND test = false AND outcome != 'pending'
            AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            AND greatest(
                tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                arraySum(mapValues(quantities)) > 100000000,
                arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))) = 0
            AND _partition_id >= {month:String}
        GROUP BY customer_id, action, model, provider, outcome, names, day
        UNION ALL
        SELECT
            customer_id, action, model, provider, 'pending', day,
            toInt64(count()), toInt64(sum(tokens)), toInt64(sum(ifNull(tokens_input, 0))),
            toInt64(sum(ifNull(tokens_output, 0))),
            names,
            sumMap(names, units), sum(total_cents + charge),
            toInt64(countIf(NOT is_voided AND (verdict = 'succeeded' OR verdict = 'expired' AND on_expiry = 'success'))),
            toInt64(countIf(verdict = '')), sumIf(price_bonus, verdict = '')
        FROM
        (
            SELECT
                event_id, customer_id, action, model, provider, on_expiry, tokens, tokens_input, tokens_output, total_cents,
                price_bonus,
                mapKeys(quantities)::Array(String) AS names,
                mapValues(quantities) AS units,
                toDate(event_time) AS day
            FROM rev.entries
            WHERE kind = 'event' AND test = false AND outcome = 'pending'
                AND ({customer:String} = '' OR customer_id = {customer:String})
                AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
                AND greatest(
                    tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                    arraySum(mapValues(quantities)) > 100000000,
                    arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))) = 0
                AND _partition_id >= {month:String}
        ) AS opened
        LEFT ANTI JOIN (SELECT taken_back FROM voided) AS void ON void.taken_back = opened.event_id
        LEFT ANY JOIN closed ON closed.opened_by = opened.event_id
        GROUP BY customer_id, action, model, provider, names, day
    ),
    (
        SELECT count() > 0
        FROM rev.entries
        WHERE kind = 'event' AND test = false
            AND ({customer:String} = '' OR customer_id = {customer:String})
            AND toStartOfDay(event_time) >= toStartOfDay(toDateTime(intDiv({start:Int64}, 1000), 'UTC'))
            AND toStartOfDay(event_time) < toDateTime(intDiv({end:Int64}, 1000), 'UTC') + 1
            AND greatest(
                tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                arraySum(mapValues(quantities)) > 100000000,
                arraySum(mapValues(quantities)::Array(Decimal(38, 0))) != arraySum(mapValues(quantities))) = 1
    ) AS some_are_alone,
    others AS
    (
        SELECT *
        FROM
        (
            SELECT
                event_id, customer_id, action, model, provider, outcome, on_expiry, tokens, tokens_input, tokens_output,
                quantities, total_cents, price_bonus,
                toDate(event_time) AS day
            FROM rev.entries
            WHERE kind = 'event' AND test = false
                AND ({customer:String} = '' OR customer_id = {customer:String})
                AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
                AND (NOT {summed:Bool} OR some_are_alone AND greatest(
                    tokens > 1000000000, ifNull(tokens_input, 0) > 1000000000, ifNull(tokens_output, 0) > 1000000000,
                    arraySum(quantities.values) > 100000000,
                    arraySum(quantities.values::Array(Decimal(38, 0))) != arraySum(quantities.values)) = 1
                    OR is_stepped)
                AND _partition_id >= {month:String}
        ) AS known
        -- a join, since a set would be asked for every row of the table
        LEFT ANTI JOIN (SELECT taken_back FROM voided) AS void ON void.taken_back = known.event_id
    ),
    counted AS
    (
        SELECT event_id AS counted_event, groupArray(name) AS counted_names, groupArray(count_before) AS counts_before
        FROM
        (
            SELECT
                event_id, name,
                sum(units) OVER (
                    PARTITION BY customer_id, change, period, name ORDER BY event_id
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS count_before
            FROM
            (
                SELECT
                    customer_id, event_id, change, if(began > 0, began, toInt64(toYYYYMM(recorded_at))) AS period,
                    arrayJoin(arrayFilter(used -> tier_of(change, used.1) > 0, all_used)) AS one,
                    one.1 AS name,
                    one.2 AS units
                FROM
                (
                    SELECT
                        customer_id, event_id, recorded_at, toUnixTimestamp64Milli(recorded_at) AS accepted,
                        matched AS change,
                        arrayConcat(
                            [('event', toDecimal128(1, 6))],
                            if(isNull(tokens_input), [], [('input', toDecimal128(ifNull(tokens_input, 0), 6))]),
                            if(isNull(tokens_output), [], [('output', toDecimal128(ifNull(tokens_output, 0), 6))]),
                            arrayMap(
                                (name, units) -> (name::String, units::Decimal(38, 6)),
                                mapKeys(quantities), mapValues(quantities))) AS all_used
                    FROM rev.entries
                    WHERE kind = 'event' AND test = false
                        AND ({customer:String} = '' OR customer_id = {customer:String})
                        AND _partition_id >= {counted_month:String}
                        AND is_stepped
                        AND empty(unknown_of(matched, arrayMap(name -> name::String, mapKeys(quantities))))
                ) AS event
                ASOF LEFT JOIN
                (
                    SELECT begun.1 AS anchored, begun.2 AS began
                    FROM (SELECT arrayJoin(arrayZip({anchored:Array(String)}, {began:Array(Int64)})) AS begun)
                ) AS billing_period
                ON event.customer_id = billing_period.anchored AND event.accepted >= billing_period.began
            )
        )
        GROUP BY event_id
    ),
    -- lists of one hold no name: then nothing has to be looked up
    if(length({customers:Array(String)}) = 1, 0,
        transform(customer_id, {customers:Array(String)}, range(length({customers:Array(String)})), 0))
    + if(length({actions:Array(String)}) = 1, 0, bitShiftLeft(
        transform(action, {actions:Array(String)}, range(length({actions:Array(String)})), 0), 11))
    + if(length({models:Array(String)}) = 1, 0, bitShiftLeft(
        transform(model, {models:Array(String)}, range(length({models:Array(String)})), 0), 22))
    + if(length({providers:Array(String)}) = 1, 0, bitShiftLeft(
        transform(provider, {providers:Array(String)}, range(length({providers:Array(String)})), 0), 33))
        AS code,
    arrayFirst(
        found -> found >= 0,
        arrayMap(
            (mask, shape) -> transform(
                bitAnd(code, mask) + shape, {codes:Array(UInt64)}, {changes:Array(Int16)}, toInt16(-1)
            ),
            {masks:Array(UInt64)}, {shapes:Array(UInt64)}
        )
    ) AS matched,
    length({stepped:Array(Int16)}) > 1 AND has({stepped:Array(Int16)}, matched) AS is_stepped,
    {base:Array(Decimal(76, 12))} AS base_rates,
    {token:Array(Decimal(76, 12))} AS token_rates,
    {bonus:Array(Decimal(76, 12))} AS bonus_rates,
    {rates:Array(Decimal(76, 12))} AS quantity_rates,
    -- 0 is no rate: the first of {rates} stands for it
    (number, name) -> transform(
        concat(toString(number), ':', name), {rated:Array(String)}, range(length({rated:Array(String)})), 0
    ) AS rate_of,
    -- 0 is no steps, likewise
    (number, name) -> transform(
        concat(toString(number), ':', name), {tiered:Array(String)}, range(length({tiered:Array(String)})), 0
    ) AS tier_of,
    (number, names) -> if(
        {ignoring:Array(Bool)}[number + 1], [],
        arrayFilter(
            name -> rate_of(number, name) = 0 AND tier_of(number, name) = 0
                AND name NOT IN ('input', 'output', 'cache_read', 'cache_write', 'reasoning'),
            names)) AS unknown_of,
    arrayZip(
        {step_of:Array(UInt16)}, {step_from:Array(Decimal(76, 6))}, {step_to:Array(Decimal(76, 6))},
        {step_rates:Array(Decimal(76, 12))}) AS steps,
    -- the parts of some units on each step that they reach
    (tier, used, units) -> arrayFilter(
        part -> part.1 > 0,
        arrayMap(
            step -> (
                if(step.1 = tier, greatest(least(used + units, step.3) - greatest(used, step.2), toDecimal256(0, 6)),
                    toDecimal256(0, 6)),
                step.4),
            steps)) AS parts_of
SELECT
    multiIf(
        grouping(customer_id) = 0, 'customer',
        grouping(day) = 0, 'day',
        grouping(reason) = 0, 'refused',
        grouping(action) = 0, 'action',
        'all') AS part,
    multiIf(part = 'customer', customer_id, part = 'day', toString(day), part IN ('action', 'refused'), action, '')
        AS name,
    if(part = 'refused', reason, '') AS why,
    sum(event_count) AS events,
    sum(repriced_count) AS repriced,
    sum(refused_count) AS refused,
    sum(waiting_count) AS waiting,
    toString(sum(actual_cents)) AS actual,
    toString(sum(replayed_cents)) AS replayed,
    toString(sum(waiting_actual_cents)) AS waiting_actual,
    toString(sum(waiting_replayed_cents)) AS waiting_replayed
FROM
(
    SELECT
        customer_id, action, day,
        if(change > 0 AND notEmpty(unknown), concat('no_rate:', unknown[1]), '') AS reason,
        toUInt64(n) AS event_count,
        if(change > 0, event_count, 0) AS repriced_count,
        if(reason != '', event_count, 0) AS refused_count,
        toUInt64(waits) AS waiting_count,
        cents AS actual_cents,
        multiIf(
            change <= 0, actual_cents,
            reason != '', toDecimal256(0, 12),
            base_rates[change + 1] * n + bonus_rates[change + 1] * successes
                + token_rates[change + 1] * toInt256(all_tokens)
                + arraySum(
                    (name, rate, amount) -> if(
                        rate > 0,
                        (
                            quantity_rates[rate + 1]
                            - if(
                                name IN ('input', 'output', 'cache_read', 'cache_write', 'reasoning'),
                                token_rates[change + 1], toDecimal256(0, 12))
                        ) * toInt256(amount),
                        toDecimal256(0, 12)),
                    kinds, numbers, amounts)) AS replayed_cents,
        waits_cents AS waiting_actual_cents,
        multiIf(reason != '', toDecimal256(0, 12), change > 0, bonus_rates[change + 1] * waits, waits_cents)
            AS waiting_replayed_cents
    FROM
    (
        SELECT
            *,
            matched AS change,
            unknown_of(change, names) AS unknown,
            arrayConcat(['input', 'output'], units.1) AS kinds,
            arrayConcat([toInt256(all_input), toInt256(all_output)], arrayMap(unit -> toInt256(unit), units.2)) AS amounts,
            arrayMap(name -> rate_of(change, name), kinds) AS numbers
        FROM
        (
            SELECT
                customer_id, action, day, code, part.names AS names,
                sum(part.n) AS n,
                sum(part.wins) AS successes,
                sum(part.waiting) AS waits,
                sum(toDecimal256(part.waiting_cents, 12)) AS waits_cents,
                sum(sum_tokens) AS all_tokens,
                sum(sum_input) AS all_input,
                sum(sum_output) AS all_output,
                sumMap(part.units.1, part.units.2) AS units,
                sum(toDecimal256(sum_cents, 12)) AS cents
            FROM plain AS part
            WHERE {summed:Bool} AND NOT is_stepped
            GROUP BY customer_id, action, day, code, names
            HAVING n > 0
        )
    )
    UNION ALL
    SELECT
        customer_id, action, day, reason,
        count() AS event_count,
        countIf(change > 0) AS repriced_count,
        countIf(reason != '') AS refused_count,
        countIf(waits) AS waiting_count,
        sum(cents) AS actual_cents,
        sum(multiIf(change <= 0, cents, reason != '', toDecimal256(0, 12), at_once + later)) AS replayed_cents,
        sum(if(waits, toDecimal256(price_bonus, 12), toDecimal256(0, 12))) AS waiting_actual_cents,
        sum(multiIf(
            NOT waits OR reason != '', toDecimal256(0, 12),
            change > 0, bonus_rates[change + 1],
            toDecimal256(price_bonus, 12))) AS waiting_replayed_cents
    FROM
    (
        SELECT
            * EXCEPT (unknown, inexact),
            multiIf(
                change <= 0, '',
                notEmpty(unknown), concat('no_rate:', unknown[1]),
                notEmpty(inexact), concat('too_many_decimals:', inexact[1].1),
                at_once > toDecimal256('1000000000000', 12), 'too_expensive',
                '') AS reason
        FROM
        (
            SELECT
                customer_id, action, day, change, price_bonus, unknown,
                toDecimal256(total_cents, 12) + charge AS cents,
                arrayFilter(q -> arrayExists(part -> part.1 * part.2 != truncate(part.1 * part.2, 12), q.3), rated) AS inexact,
                base_rates[change + 1]
                    + token_rates[change + 1] * (toInt256(tokens) - toInt256(arraySum(q -> q.2, rated)))
                    + toDecimal256(arraySum(q -> arraySum(part -> part.1 * part.2, q.3), rated), 12)
                    + if(outcome = 'success', bonus_rates[change + 1], toDecimal256(0, 12)) AS at_once,
                if(
                    outcome = 'pending' AND NOT is_voided
                        AND (verdict = 'succeeded' OR verdict = 'expired' AND on_expiry = 'success'),
                    bonus_rates[change + 1],
                    toDecimal256(0, 12)) AS later,
                outcome = 'pending' AND verdict = '' AS waits
            FROM
            (
                SELECT
                    *,
                    unknown_of(change, names) AS unknown,
                    -- name, tokens, and the parts at each rate: units with 6 decimals and cents with 12
                    arrayFilter(
                        q -> notEmpty(q.3),
                        arrayMap(
                            (name, rate, tier, units) -> (
                                name,
                                if(name IN ('input', 'output', 'cache_read', 'cache_write', 'reasoning'),
                                    units, toDecimal256(0, 6)),
                                multiIf(
                                    rate > 0, [(units, quantity_rates[rate + 1])],
                                    tier > 0, parts_of(tier, toDecimal256(counts_before[indexOf(counted_names, name)], 6), units),
                                    [])),
                            names, numbers, tiers, amounts)) AS rated
                FROM
                (
                    SELECT
                        *,
                        arrayMap(name -> rate_of(change, name), names) AS numbers,
                        arrayMap(name -> tier_of(change, name), names) AS tiers
                    FROM
                    (
                        SELECT
                            *,
                            matched AS change,
                            arrayConcat(
                                if(tier_of(change, 'event') > 0, ['event'], []),
                                if(isNull(tokens_input), [], ['input']), if(isNull(tokens_output), [], ['output']),
                                arrayMap(name -> name::String, mapKeys(quantities))) AS names,
                            arrayConcat(
                                if(tier_of(change, 'event') > 0, [toDecimal256(1, 6)], []),
                                if(isNull(tokens_input), [], [toDecimal256(ifNull(tokens_input, 0), 6)]),
                                if(isNull(tokens_output), [], [toDecimal256(ifNull(tokens_output, 0), 6)]),
                                arrayMap(units -> toDecimal256(units, 6), mapValues(quantities))) AS amounts
                        FROM others
                        LEFT ANY JOIN closed ON opened_by = event_id
                        LEFT ANY JOIN counted ON counted_event = event_id
                    )
                )
            )
        )
    )
    GROUP BY customer_id, action, day, reason
)
GROUP BY GROUPING SETS ((), (action), (customer_id), (day), (action, reason))
HAVING part != 'refused' OR why != ''
ORDER BY part, abs(sum(replayed_cents) - sum(actual_cents)) DESC, name, why
LIMIT {limit:UInt32} BY part
SETTINGS optimize_functions_to_subcolumns = 0, max_threads = 2
