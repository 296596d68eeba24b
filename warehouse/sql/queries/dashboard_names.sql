-- The names of these customers: the last that a change gave, else the first that came with an API key.
SELECT
    JSONExtractString(detail, 'customer_id') AS id,
    argMaxIf(JSONExtractString(detail, 'name'), event_id, config_type LIKE 'customer.%') AS changed,
    argMinIf(JSONExtractString(detail, 'customer_name'), event_id, config_type = 'key.created'
        AND JSONExtractString(detail, 'customer_name') != '') AS first,
    if(changed != '', changed, first) AS name
FROM rev.entries
WHERE customer_id = '_config' AND kind = 'config'
    AND (config_type LIKE 'customer.%' OR config_type = 'key.created')
    AND id IN {customers:Array(String)}
GROUP BY id
HAVING name != ''
