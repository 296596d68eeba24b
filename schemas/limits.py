"""The limits on input. Sizes in bytes, lengths in characters, times in ms."""

MAX_TOKENS = 10**12
MAX_NAME = 256
"""agent_id, action, task_id, customer_id and idempotency keys: 1 to 256 characters."""
MAX_OBJECT = 16 * 1024
"""metadata, evidence and success_criteria, as JSON text."""
MAX_DEPTH = 64
"""Maximum nesting of those objects."""
MAX_BODY = 1 << 20
MAX_BATCH_BODY = 8 << 20
MAX_EVENTS = 1000
MAX_RECORD = 9 << 20
"""Maximum size of one encoded command in rev.raw.

It is never split, since only a single record is atomic. A body of MAX_BATCH_BODY whose events each have
a key of their own can become this large (docs/decisions/0029).
"""
MAX_MESSAGE = 16 << 20
"""For topics, producers and fetches."""
MAX_TRANSACTION_RAW = 4 << 20
MAX_TRANSACTION_EVENTS = 5000
MAX_LIST = 1000
DEFAULT_LIST = 50

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TIMESTAMP_AHEAD = 5 * MINUTE
"""Maximum time by which an event's own timestamp may be ahead of the accepted time."""
