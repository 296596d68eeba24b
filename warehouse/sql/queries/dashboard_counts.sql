-- How many customers and active API keys there are, without test ones, from the entries that made and changed them.
SELECT
    (
        SELECT count()
        FROM
        (
            SELECT
                JSONExtractString(detail, 'customer_id') AS id,
                argMaxIf(JSONExtractBool(detail, 'test'), event_id, config_type LIKE 'customer.%') AS is_test
            FROM rev.entries
            WHERE customer_id = '_config' AND kind = 'config'
                AND (config_type LIKE 'customer.%' OR config_type = 'key.created')
            GROUP BY id
        )
        WHERE id != '*' AND NOT is_test
    ) AS customers,
    (
        SELECT count()
        FROM
        (
            SELECT
                JSONExtractUInt(detail, 'id') AS id,
                argMax(JSONExtractBool(detail, 'is_active') AND NOT JSONExtractBool(detail, 'test'), event_id) AS is_active
            FROM rev.entries
            WHERE customer_id = '_config' AND kind = 'config' AND config_type IN ('key.created', 'key.revoked')
            GROUP BY id
        )
        WHERE is_active
    ) AS keys
