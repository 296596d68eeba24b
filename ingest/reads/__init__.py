"""The read side of the gateway: events, usage and the audit trail, from the ledger.

Everything here is read from ClickHouse through named queries (warehouse/) and is at most a second
behind the responses to POST. Nothing here writes, and metering needs nothing here: while ClickHouse is
unavailable, these reads return 503 and metering goes on. The routes are in ingest.reads.handlers.
"""
