-- The outcomes of all customers that were opened in [start, end), without test outcomes, by how they stand: an open one
-- that is past its time counts as expired, though no entry has closed it yet. `charged`: charges less what was voided.
-- `awaited`: what the pending ones that are not voided add if all succeed. As rev.outcomes has them, but by numbers alone:
-- what closes an outcome, or voids the event that opened it, names that in `original`; the void of a charge names the charge.
WITH
    closings AS
    (
        SELECT assumeNotNull(original) AS opened, event_id, verdict, total_cents
        FROM rev.entries
        WHERE kind IN ('charge', 'waived') AND test = false AND original IS NOT NULL
    ),
    voids AS
    (
        SELECT assumeNotNull(original) AS taken_back, min(event_id) AS void, sum(total_cents) AS cents
        FROM rev.entries
        WHERE kind = 'void' AND test = false AND outcome_id != '' AND original IS NOT NULL
        GROUP BY taken_back
    )
SELECT
    multiIf(verdict != '', verdict, expires_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC'), 'expired', 'pending') AS name,
    count() AS outcomes,
    toString(sum(toDecimal256(charge, 12) + if(verdict != '', toDecimal256(of_charge.cents, 12), toDecimal256(0, 12)))) AS charged,
    toString(sumIf(toDecimal256(on_success, 12), name = 'pending' AND of_event.void = 0)) AS awaited
FROM
(
    SELECT
        opener.id AS id, on_success, expires_at,
        toString(closing.verdict) AS verdict, closing.event_id AS closed_by, closing.total_cents AS charge
    FROM
    (
        SELECT event_id AS id, if(kind = 'registered', price_on_success, price_bonus) AS on_success, expires_at
        FROM rev.entries
        WHERE test = false
            AND (kind = 'registered' OR kind = 'event' AND outcome = 'pending')
            AND recorded_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND recorded_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    ) AS opener
    LEFT ANY JOIN closings AS closing ON closing.opened = opener.id
) AS outcome
LEFT ANY JOIN voids AS of_event ON of_event.taken_back = outcome.id
LEFT ANY JOIN voids AS of_charge ON of_charge.taken_back = outcome.closed_by
GROUP BY name
ORDER BY name
