-- When each of these customers last metered an event that was priced, test events left out. Written so that the projection
-- `by_day` can answer it.
SELECT customer_id AS id, toUnixTimestamp64Milli(max(event_time)) AS at
FROM rev.entries
WHERE customer_id IN {customers:Array(String)} AND kind = 'event' AND test = false
GROUP BY customer_id
ORDER BY customer_id
