"""The ledger: copies rev.entries into ClickHouse, every entry as exactly one row.

It handles records, offsets, blocks and SQL, and does not know how a price is computed. Nothing here may change, drop or
invent an amount: a record that cannot be stored stops its partition.
"""
