-- How many visitors signed up in [start, end), by the UTM parameters of the link that led them; '' without one.
SELECT
    JSONExtractString(detail, 'utm_source') AS source,
    JSONExtractString(detail, 'utm_medium') AS medium,
    JSONExtractString(detail, 'utm_campaign') AS campaign,
    count() AS signups
FROM rev.entries
WHERE customer_id = '_config' AND kind = 'config' AND config_type = 'signup.created'
    AND recorded_at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND recorded_at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY source, medium, campaign
ORDER BY signups DESC, source, medium, campaign
