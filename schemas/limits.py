"""Every bound on input, in one place. Sizes in bytes, lengths in characters, times in ms."""

MAX_TOKENS = 10**12
MAX_NAME = 256
"""agent_id, action, task_id, customer_id and idempotency keys: 1 to 256 characters."""
MAX_OBJECT = 16 * 1024
"""metadata, evidence and success_criteria, as JSON text."""
MAX_DEPTH = 64
"""Nesting of those objects."""
MAX_BODY = 1 << 20
MAX_BATCH_BODY = 8 << 20
MAX_EVENTS = 1000
MAX_RECORD = 9 << 20
"""One encoded command in rev.raw; never split, since a record is the unit that is atomic. What a body of
MAX_BATCH_BODY can become, each event with a key of its own (docs/decisions/0029)."""
MAX_MESSAGE = 16 << 20
"""Topics, producers and fetches."""
MAX_TRANSACTION_RAW = 4 << 20
MAX_TRANSACTION_EVENTS = 5000
MAX_LIST = 1000
DEFAULT_LIST = 50

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TIMESTAMP_AHEAD = 5 * MINUTE
"""How far ahead of the accepted time an event's own timestamp may be."""
