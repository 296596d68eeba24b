"""The transactional shard host, state stores, compacted views, appends and request/reply.

The only place that knows aiokafka's transactions. Nothing of any service may come in:
streams knows records, keys and bytes, never a price.
"""
