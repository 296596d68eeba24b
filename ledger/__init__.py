"""The ledger: rev.entries into ClickHouse, every entry exactly one row.

It knows records, offsets, blocks and SQL, never how a price comes about. Nothing here may
change, drop or make up an amount: a record that cannot be stored stops its partition.
"""
