-- Which of these events of any customer were voided, and why.
SELECT assumeNotNull(original) AS original, reason
FROM rev.entries
WHERE kind = 'void' AND original IN {events:Array(UInt64)}
