"""The transactional shard host, state stores, compacted views, appends and request/reply.

Only this package uses aiokafka's transactions. It contains nothing specific to a service: it handles records, keys and
bytes, never a price.
"""
