-- How far the ledger has come in one partition.
SELECT
    if(count() = 0, -1, toInt64(max(raw_offset))) AS raw,
    if(count() = 0, -1, toInt64(max(entries_offset))) AS entries
FROM rev.entries
WHERE raw_partition = {partition:UInt16}
