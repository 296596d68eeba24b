-- When each of these customers last metered an event that was priced, test events left out.
SELECT customer_id AS id, toUnixTimestamp64Milli(max(entries.event_time)) AS at
FROM rev.entries AS entries
WHERE customer_id IN {customers:Array(String)} AND kind = 'event' AND test = false
GROUP BY customer_id
ORDER BY customer_id
