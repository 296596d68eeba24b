-- The outcomes of all customers that were opened in [start, end), without test outcomes, by how they stand: an open one
-- that is past its time counts as expired, though no entry has closed it yet. `charged`: charges less what was voided.
-- `awaited`: what the pending ones that are not voided add if all succeed.
SELECT
    if(status = 'pending' AND expires_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC'), 'expired', status) AS name,
    count() AS outcomes,
    toString(sum(toDecimal256(revenue_cents, 12))) AS charged,
    toString(sumIf(toDecimal256(price_on_success_cents, 12), name = 'pending' AND NOT voided)) AS awaited
FROM rev.outcomes
WHERE test = false
    AND opened_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND opened_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY name
ORDER BY name
