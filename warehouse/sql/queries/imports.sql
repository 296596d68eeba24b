-- Sums of the imports of one customer (or, '', of all) and one mode, from the one on whose last event was accepted
-- last, before a place in that order. Widened before they are summed, so that no sum wraps.
SELECT
    customer_id,
    import_id,
    toUnixTimestamp64Milli(minIf(recorded_at, kind = 'event')) AS first,
    toUnixTimestamp64Milli(maxIf(recorded_at, kind = 'event')) AS last,
    countIf(kind = 'event') AS events,
    countIf(kind = 'void' AND config_type != 'charge') AS voided,
    toString(sumIf(toDecimal256(total_cents, 12), kind != 'void')) AS cents,
    toString(sumIf(toDecimal256(total_cents, 12), kind = 'void')) AS taken
FROM rev.entries
WHERE ({customer:String} = '' OR customer_id = {customer:String})
    AND test = {test:Bool}
    AND import_id != ''
    AND ({import_id:String} = '' OR import_id = {import_id:String})
    AND kind IN ('event', 'charge', 'void')
GROUP BY customer_id, import_id
HAVING events > 0
    AND (last, import_id, customer_id) < ({before_time:Int64}, {before_id:String}, {before_customer:String})
ORDER BY last DESC, import_id DESC, customer_id DESC
LIMIT {limit:UInt32}
