-- What registered outcomes charged in [start, end), less what was taken back: they have prices of their own.
SELECT
    toInt64(countIf(kind = 'charge')) - toInt64(countIf(kind = 'void')) AS charges,
    toString(sum(toDecimal256(total_cents, 12))) AS total
FROM rev.entries
WHERE action = 'outcome_charge' AND test = false AND kind IN ('charge', 'void')
    AND ({customer:String} = '' OR customer_id = {customer:String})
    AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
