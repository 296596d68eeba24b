-- The {most} largest names of a query that has one row for each, and all others as one last row without a name.
WITH
    toStartOfHour(event_time) AS hour,
    toStartOfDay(toStartOfHour(event_time)) AS day
SELECT
    if(rank > {most:UInt32}, '', any(one)) AS name,
    if(rank > {most:UInt32}, count(), 0) AS others,
    countIf(event_count > 0) AS active,
    sum(event_count) AS events,
    sum(charge_count) AS charges,
    toString(sum(tokens_counted)) AS tokens,
    toString(sum(cents_counted)) AS total,
    toString(sum(cents_charged)) AS charged
FROM
(
    SELECT *, least(row_number() OVER (ORDER BY cents_counted DESC, one), {most:UInt32} + 1) AS rank
    FROM
    (
        {sums}
    )
)
GROUP BY rank
ORDER BY rank
