-- What each component of an action earned in [start, end): units less voided ones, and cents.
SELECT
    component,
    toString(sum(toDecimal256(quantity, 6))) AS units,
    toString(sum(toDecimal256(cents, 12))) AS total
FROM rev.lines
WHERE action = {action:String}
    AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY component
ORDER BY sum(toDecimal256(cents, 12)) DESC, component
