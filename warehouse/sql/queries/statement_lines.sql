-- within: statement_scope
-- Charges by what priced them, and voids, each by itself ({each}) or summed.
SELECT
    kind_name AS kind,
    late,
    action,
    model,
    provider,
    price,
    line.1 AS component,
    toString(sum(toDecimal256(line.2, 6))) AS quantity,
    toString(line.3) AS rate,
    line.4 AS per,
    count() AS entries,
    toString(sum(toDecimal256(line.5, 12))) AS cents,
    void.1 AS event_id,
    void.2 AS original,
    void.3 AS reason,
    void.4 AS import_id,
    void.5 AS recorded
FROM
(
    SELECT
        toString(e.kind) AS kind_name,
        e.late AS late,
        e.action AS action,
        e.model AS model,
        e.provider AS provider,
        if(e.kind = 'void', 0, e.price_id) AS price,
        multiIf(
            e.kind != 'void', (0, 0, '', '', 0),
            {each:Bool}, (e.event_id, ifNull(e.original, 0), e.reason, toString(e.import_id), toUnixTimestamp64Milli(e.recorded_at)),
            (0, 0, '', toString(e.import_id), 0)
        )::Tuple(UInt64, UInt64, String, String, Int64) AS void,
        if(
            e.kind = 'void',
            [('', toDecimal128(0, 6), toDecimal128(0, 12), 1, e.total_cents)],
            arrayConcat(
                if(e.base_cents = 0, [], [('event', toDecimal128(1, 6), e.price_base, 1, e.base_cents)]),
                if(notEmpty(e.lines) OR e.token_cents = 0, [], [('tokens', toDecimal128(e.tokens, 6), e.price_token, 1, e.token_cents)]),
                e.lines,
                if(e.bonus_cents = 0, [], [(if(e.kind = 'charge', 'outcome', 'success'), toDecimal128(1, 6), e.bonus_cents, 1, e.bonus_cents)]))
        )::Array(Tuple(
            component String,
            quantity Decimal(38, 6),
            rate Decimal(38, 12),
            per UInt64,
            cents Decimal(38, 12))) AS charged
    FROM scope AS e
)
ARRAY JOIN charged AS line
GROUP BY kind_name, late, action, model, provider, price, line.1, line.3, line.4, void
ORDER BY late, indexOf(['event', 'charge', 'adjustment', 'void'], kind_name), action, model, provider, price, line.1, line.3, line.4, void
LIMIT {limit:UInt32}
