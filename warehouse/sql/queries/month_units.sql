-- What each customer used in each calendar month (UTC, by accepted time) of what one row of prices is for ('' fits any),
-- and what it was charged, by the names of quantities. Test events and voided ones are left out, and those for which a
-- row of {customers}, {actions}, {models} and {providers} wins.
SELECT
    customer_id AS customer,
    formatDateTime(toStartOfMonth(recorded_at), '%Y-%m') AS month,
    mapKeys(quantities)::Array(String) AS names,
    toInt64(count()) AS events,
    toInt64(countIf(outcome = 'success')) AS wins,
    toString(sum(toDecimal128(tokens, 0))) AS token_sum,
    toString(sum(toDecimal128(ifNull(tokens_input, 0), 0))) AS input_sum,
    toString(sum(toDecimal128(ifNull(tokens_output, 0), 0))) AS output_sum,
    arrayMap(unit -> toString(unit), sumForEach(mapValues(quantities))) AS units,
    toString(sum(total_cents)) AS total
FROM rev.entries
WHERE kind = 'event' AND test = false
    AND ({customer:String} = '' OR customer_id = {customer:String})
    AND ({action:String} = '' OR action = {action:String})
    AND ({model:String} = '' OR model = {model:String})
    AND ({provider:String} = '' OR provider = {provider:String})
    AND recorded_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND recorded_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND (customer_id, event_id) NOT IN
    (
        SELECT customer_id, assumeNotNull(original) FROM rev.entries
        WHERE kind = 'void' AND original IS NOT NULL
            AND recorded_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    )
    AND NOT arrayExists(
        (c, a, m, p) ->
            (c = '' OR c = customer_id) AND (a = '' OR a = action)
            AND (m = '' OR m = model) AND (p = '' OR p = provider),
        {customers:Array(String)}, {actions:Array(String)}, {models:Array(String)}, {providers:Array(String)})
GROUP BY customer, month, names
ORDER BY customer, month, names
LIMIT {limit:UInt32}
