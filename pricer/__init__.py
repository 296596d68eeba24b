"""Price rules, outcomes, idempotency and configuration commands (all pure), and the service that runs them.

No wall clock, no randomness, no I/O outside of service.py: price = f(the log of the shard).
"""
