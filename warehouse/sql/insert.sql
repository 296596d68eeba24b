-- The one statement that writes the ledger, for blocks of one or several partitions. Conditional both ways:
-- nothing at or below a partition's maximum passes (another writer was here), and nothing at all passes unless
-- each maximum has reached the record before the partition's block (no gap) and each stage holds its block,
-- each record once. 'resync:' in a message tells the writer to start over; any other throwIf is a record that
-- must not enter the ledger.
-- {columns} and {values}: warehouse/columns.py. {staged}: the stages, each row with its raw_partition. Parameters: firsts, (partition, offset that must not be
-- above the one that follows its maximum); blocks, (partition, records, last offset), by partition.
-- A record without entries is met as an entry without a kind (LEFT ARRAY JOIN).
-- The tuples are taken apart once, below, since planning a way into them for each column costs more than
-- the rows of a small block (docs/decisions/0006).
INSERT INTO rev.entries ({columns})
SELECT
    {values}
FROM
(
    SELECT raw_partition, entries_offset, customer_id, api_key_id, test, import_id, length(prices) AS priced,
        assumeNotNull(s.raw_offset) AS raw_offset, assumeNotNull(s.recorded_at) AS recorded_ms,
        untuple(e) AS entry, untuple(e.event) AS event, untuple(prices[ifNull(e.price, -1) + 1]) AS price
    FROM ({staged}) AS s
    LEFT ARRAY JOIN entries AS e
    WHERE entries_offset >=
    (
        WITH
        (
            SELECT groupArray((raw_partition, records, last))
            FROM
            (
                SELECT raw_partition, count() AS records, max(entries_offset) AS last
                FROM ({staged}) GROUP BY raw_partition ORDER BY raw_partition
            )
        ) AS staged
        SELECT mapFromArrays(groupArray(raw_partition), groupArray(next)) AS following
        FROM
        (
            SELECT raw_partition, max(entries_offset) + 1 AS next
            FROM rev.entries
            WHERE raw_partition IN ({partitions})
            GROUP BY raw_partition
        )
        HAVING throwIf(NOT arrayAll(first -> following[first.1] >= first.2, {{firsts:Array(Tuple(UInt16, UInt64))}}), 'resync: a gap before the block') = 0
            AND throwIf(staged != {{blocks:Array(Tuple(UInt16, UInt64, UInt64))}}, 'resync: the stage does not hold the block') = 0
    )[raw_partition]
    AND throwIf(
        customer_id = '' OR isNull(s.raw_offset) OR isNull(s.recorded_at),
        'a record without its address, time or customer') = 0
)
WHERE throwIf(
        `entry.kind` = '' OR `entry.index` > 1023 OR raw_offset >= 137438953472,
        'an entry without a kind or without an event id') = 0
    AND throwIf(
        `entry.total` != `entry.base` + `entry.token` + `entry.bonus` + `entry.quantity`,
        'an entry whose parts are not its total') = 0
    AND throwIf(
        notEmpty(`entry.lines`)
            AND arraySum(tupleElement(`entry.lines`, 'cents')) != `entry.token` + `entry.quantity`,
        'an entry whose lines are not what its tokens and quantities cost') = 0
    AND throwIf(
        ifNull(`entry.credit`, 0) != arraySum(tupleElement(`entry.draws`, 'cents')),
        'an entry whose draws are not its credit') = 0
    AND throwIf(
        `entry.kind` IN ('charge', 'waived', 'registered') AND `entry.outcome_id` = ''
            OR `entry.kind` IN ('charge', 'waived') AND `entry.verdict` = '',
        'an outcome without its id or its verdict') = 0
    AND throwIf(ifNull(`entry.price`, -1) >= toInt64(priced), 'an entry without its price') = 0
