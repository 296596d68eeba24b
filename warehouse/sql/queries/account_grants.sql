-- A customer's grants of prepaid credit in one mode, the newest first, with the cents that were drawn from each, less
-- what voids gave back. `detail` is the grant as the API showed it when it was made.
WITH drawn AS
(
    SELECT draw.grant AS drawn_from, sum(toDecimal256(draw.cents, 12)) AS cents
    FROM rev.entries
    ARRAY JOIN draws AS draw
    WHERE customer_id = {customer:String} AND test = {test:Bool} AND notEmpty(draws)
    GROUP BY drawn_from
)
SELECT event_id AS id, actor, detail, toString(drawn.cents) AS used
FROM rev.entries AS entries
LEFT ANY JOIN drawn ON drawn.drawn_from = entries.event_id
WHERE customer_id = {customer:String} AND test = {test:Bool} AND kind = 'config' AND config_type = 'credit.granted'
ORDER BY event_id DESC
LIMIT {limit:UInt32}
