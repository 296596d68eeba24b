-- What the priced events of [start, end) counted and were charged that a price row could fit ('' and '*' fit any),
-- without test events and voided ones, by what decides their price. A deferred bonus counts with its event: `successes`
-- are events whose bonus is due, by their own outcome or since; `charged` includes what those outcomes charged, unless
-- it was voided. `open`: events whose outcome is not known yet.
-- `refused`: whether the new row would refuse the event, for a quantity that has no rate in {names} or whose line, at
-- {picos} pico-cents for a unit, would need more than 12 decimals.
WITH
    closings AS
    (
        SELECT
            assumeNotNull(original) AS opened,
            if(event_id IN (SELECT assumeNotNull(original) FROM rev.entries WHERE kind = 'void' AND config_type = 'charge'
                AND original IS NOT NULL), '', verdict) AS ended,
            if(ended = '', toDecimal128(0, 12), total_cents) AS cents
        FROM rev.entries
        WHERE kind IN ('charge', 'waived') AND test = false AND original IS NOT NULL
            AND ({customer:String} = '' OR customer_id = {customer:String})
    )
SELECT
    customer_id,
    action,
    model,
    provider,
    toBool(arrayExists(
        name -> NOT {ignore_unknown:Bool} AND NOT has({names:Array(String)}, name)
                AND name NOT IN ('input', 'output', 'cache_read', 'cache_write', 'reasoning')
            -- the 0 in front is the rate of a name that has none
            OR (toInt256(toDecimal256(quantities[name], 6) * 1000000)
                * toInt256(concat('0', {picos:Array(String)}[indexOf({names:Array(String)}, name)]))) % 1000000 != 0,
        arrayMap(name -> toString(name), mapKeys(quantities)))) AS refused,
    count() AS events,
    countIf(outcome = 'success' OR ended = 'succeeded' OR ended = 'expired' AND on_expiry = 'success') AS successes,
    countIf(outcome = 'pending' AND closings.opened = 0) AS open,
    toString(sum(toInt256(tokens))) AS token_sum,
    toString(sum(toInt256(ifNull(tokens_input, 0)))) AS input_sum,
    toString(sum(toInt256(ifNull(tokens_output, 0)))) AS output_sum,
    mapApply((name, number) -> (name, toString(number)),
        sumMap(mapApply((name, number) -> (toString(name), toDecimal256(number, 6)), quantities))) AS quantity_sums,
    toString(sum(toDecimal256(total_cents, 12) + toDecimal256(closings.cents, 12))) AS charged
FROM rev.entries AS entries
LEFT ANY JOIN closings ON closings.opened = entries.event_id
WHERE kind = 'event'
    AND test = false
    AND ({customer:String} = '' OR customer_id = {customer:String})
    AND ({action:String} = '*' OR action = {action:String})
    AND ({model:String} = '' OR model = {model:String})
    AND ({provider:String} = '' OR provider = {provider:String})
    AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND event_id NOT IN
    (
        SELECT assumeNotNull(original)
        FROM rev.entries
        WHERE kind = 'void' AND config_type != 'charge' AND original IS NOT NULL
    )
GROUP BY customer_id, action, model, provider, refused
ORDER BY customer_id, action, model, provider, refused
