"""The read side of the gateway: events, usage and the audit trail, from the ledger.

Everything here is read from ClickHouse through named queries (warehouse/) and is at most a
second behind the answers of POST. Nothing here writes, and nothing here is needed to meter:
when ClickHouse is away these reads are 503 and metering goes on. The routes are in
ingest.reads.handlers.
"""
