-- within: statement_scope
-- The sums by kind, from the totals of the entries instead of their lines.
SELECT toString(e.kind) AS kind, count() AS entries, toString(sum(toDecimal256(e.total_cents, 12))) AS cents
FROM scope AS e
GROUP BY e.kind
ORDER BY e.kind
