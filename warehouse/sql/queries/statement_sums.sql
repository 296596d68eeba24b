-- within: statement_scope
-- The sums by kind, from the totals of the entries instead of their lines, and what prepaid credit paid of them.
SELECT
    toString(e.kind) AS kind,
    count() AS entries,
    toString(sum(toDecimal256(e.total_cents, 12))) AS cents,
    toString(sum(toDecimal256(ifNull(e.credit_cents, toDecimal128(0, 12)), 12))) AS credit
FROM scope AS e
GROUP BY e.kind
ORDER BY e.kind
